"""The `dvt` console command.

`dvt run STUDY …` runs a study, the others look after what sweeps leave. A command's module is
imported when it is asked for, since some take seconds.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from sweeps.commands import kit
from sweeps.runner.cli import leave
from trainables.problems import unknown_name

SWEEPS = Path(__file__).parents[1]
COMMANDS = {
    "data": "show how a data set is understood, and write a page with its images",
    "list": "list all sweeps, what is done and left",
    "report": "rebuild a sweep's report and results.csv",
    "sync": "send MLflow what it missed",
    "predict": "classify images with a sweep's champion; write Kaggle submissions",
    "clean": "show and free disk space",
    "service": "Ray with a job server, and MLflow, on this machine: up, status, down",
    "submit": "run a study as a job of the service or of a cluster",
    "jobs": "list jobs and their state",
    "logs": "show what a job has written",
    "stop": "stop a job cleanly",
    "doctor": "check that this machine is ready",
}
"""Modules of this package, whose `command` is run, and their lines of the help, in its order."""


def main() -> NoReturn:
    """Run `dvt` with the process's arguments, and exit."""
    leave(lambda: run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command of `dvt` and return its exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        click.echo(_help())
        return kit.DONE
    name, *rest = arguments
    if name == "run":
        return _run(rest)
    if name not in COMMANDS:
        known = ["run", *COMMANDS]
        click.echo(f"error: {unknown_name(name, known, 'command', ' of dvt')}", err=True)
        return kit.REFUSED
    try:
        module = importlib.import_module(f"sweeps.commands.{name}")
    except KeyboardInterrupt:  # it takes half a second; after that `kit.main` answers
        click.echo("Interrupted.", err=True)
        return kit.INTERRUPTED
    return kit.main(module.command, rest)


def studies() -> list[str]:
    """Return the names of the project's studies."""
    names = {path.stem for path in SWEEPS.glob("*.py")}
    return sorted(names - {"__init__"})


def _help() -> str:
    lines = ["Usage:", "  dvt run STUDY   run a study (dvt run STUDY --help)"]
    lines += [f"  dvt {name:11} {what}" for name, what in COMMANDS.items()]
    return "\n".join([*lines, f"Studies: {', '.join(studies())}"])


def _run(arguments: Sequence[str]) -> int:
    """Run a study's file as `python sweeps/STUDY.py` does."""
    known = studies()
    name = arguments[0] if arguments else ""
    if name not in known:
        click.echo(f"error: {unknown_name(name, known, 'study')}", err=True)
        return kit.REFUSED

    # It exits by itself where it ends with main(STUDY).
    path = SWEEPS / f"{name}.py"
    sys.argv = [str(path), *arguments[1:]]
    runpy.run_path(str(path), run_name="__main__")
    click.echo(f"error: a study must end with main(STUDY), but {path} does not: add it.", err=True)
    return kit.REFUSED
