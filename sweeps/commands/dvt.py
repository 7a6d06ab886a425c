"""The `dvt` console command.

`dvt run STUDY …` runs a study, the others look after what sweeps leave. A command's module is
imported when it is asked for, since some take seconds.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import click

from sweeps.commands import kit
from sweeps.runner.cli import leave

SECTIONS = {
    "Sweeps": {
        "run": "run a study (dvt run STUDY --help)",
        "best": "find the best model for your images",
        "resume": "continue an interrupted sweep",
        "list": "list all sweeps, what is done and left",
        "ui": "show a sweep in MLflow, in the browser",
        "report": "rebuild a sweep's report and results.csv",
        "predict": "classify images with a champion; write a Kaggle submission",
        "sync": "send MLflow what it missed",
    },
    "Data and machine": {
        "data": "show how a data set is understood; write a page of its images",
        "doctor": "check that this machine is ready",
        "clean": "show and free disk space",
    },
    "Jobs": {
        "service": "Ray with a job server, and MLflow, here: up, status, down",
        "submit": "run a study as a job of the service or of a cluster",
        "jobs": "list jobs and their state",
        "logs": "show what a job has written",
        "stop": "stop a job cleanly",
    },
    "Shell": {
        "completion": "make the Tab key complete commands, options and names",
    },
}
"""Modules of this package, whose `command` is run, and their lines of the help, in its order."""
COMMANDS = [name for section in SECTIONS.values() for name in section]


class _Dvt(kit.Group):
    def summaries(self) -> Mapping[str, Mapping[str, str]]:
        return SECTIONS

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"sweeps.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


@click.group("dvt", cls=_Dvt, context_settings=kit.GROUP_CONTEXT)
@click.version_option(package_name="depth-vs-tricks", message="%(prog)s %(version)s")
def group() -> None:
    """Compare image-classification recipes fairly, and ship the best one."""


def main() -> NoReturn:
    """Run `dvt` with the process's arguments, and exit."""
    leave(lambda: run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command of `dvt` and return its exit status."""
    return kit.main(group, arguments)
