"""From a command line to an exit status: 0 done, 1 nothing completed or its output was lost, 2 refused before any work,
130 interrupted."""

from __future__ import annotations

import importlib
import logging
import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console

from cluster.session import environment
from sweeps.commands import kit
from sweeps.runner.options import Options, Refused, command, parse
from sweeps.runner.output import printed
from sweeps.runner.study import Sweep
from trainables.problems import unknown_name
from trainables.quick_imports import quick_imports

REFUSED, INTERRUPTED = 2, 130
COMMANDS = {
    "data": (
        "sweeps.runner.data_command",
        "how a data set is understood, and a page with its images",
    ),
    "list": ("sweeps.runner.listing", "all sweeps, what is done and left"),
    "report": ("sweeps.report.__main__", "rebuild a sweep's report and results.csv"),
    "sync": ("sweeps.runner.sync", "give MLflow what it missed of a sweep"),
    "predict": (
        "sweeps.predict.__main__",
        "classes of images by a sweep's champion, or a Kaggle submission",
    ),
    "clean": ("sweeps.runner.cleaning", "what occupies the disk, and its removal"),
    "service": (
        "sweeps.commands.service",
        "Ray with a job server, and MLflow, on this machine: up, status, down",
    ),
    "submit": ("sweeps.commands.submit", "run a study as a job of the service or of a cluster"),
    "jobs": ("sweeps.commands.jobs", "what was submitted, and how it stands"),
    "logs": ("sweeps.commands.logs", "what a job has written"),
    "stop": ("sweeps.commands.stop", "stop a job in order"),
    "doctor": ("sweeps.runner.doctor", "whether this machine is fit for a sweep"),
}
WIDE = 140  # columns where the output is no terminal


def main(study: Sweep, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a study with the process's arguments, or those given, and exit."""
    given = sys.argv[1:] if arguments is None else arguments
    _leave(printed(lambda: run(study, given)))


def run(study: Sweep, arguments: Sequence[str]) -> int:
    """Run a study; the exit status. Problems that are the user's are lines on stderr, never a traceback."""
    verbose = "-v" in arguments or "--verbose" in arguments
    try:
        options = parse(command(study.name, study.question), arguments)
        return _run(study, options)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except Refused as error:
        if verbose:
            traceback.print_exc()
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        return REFUSED
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        return INTERRUPTED


def dvt() -> NoReturn:
    """The `dvt` console command: `dvt run STUDY …` runs `sweeps/STUDY.py`, the others look after what sweeps leave."""
    _leave(printed(lambda: _command(sys.argv[1:])))


def _command(arguments: Sequence[str]) -> int:
    folder = Path(__file__).parents[1]
    studies = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    if not arguments or arguments[0] in ("-h", "--help"):
        lines = [f"  dvt {name:11} {what}" for name, (_, what) in COMMANDS.items()]
        click.echo(
            "\n".join(["Usage:", "  dvt run STUDY   run a study; with --help its options", *lines])
        )
        click.echo(f"Studies: {', '.join(studies)}")
        return 0
    if arguments[0] in COMMANDS:
        module = importlib.import_module(COMMANDS[arguments[0]][0])
        if module.__name__.startswith("sweeps.commands."):
            return kit.main(module.command, arguments[1:])
        status: int = module.main(arguments[1:])
        return status
    if arguments[0] != "run":
        click.echo(
            f"error: {unknown_name(arguments[0], ['run', *COMMANDS], 'command of dvt')}", err=True
        )
        return REFUSED
    if len(arguments) < 2 or arguments[1] not in studies:
        given = arguments[1] if len(arguments) > 1 else ""
        click.echo(f"error: {unknown_name(given, studies, 'study')}", err=True)
        return REFUSED
    sys.argv = [str(folder / f"{arguments[1]}.py"), *arguments[2:]]
    runpy.run_path(sys.argv[0], run_name="__main__")
    raise AssertionError("a study file ends with main(SWEEP)")


def _run(study: Sweep, options: Options) -> int:
    if not options.verbose:
        logging.disable(logging.WARNING)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDE)
    earlier = None
    if options.resume:
        from sweeps.runner.resume import past, restored

        earlier = past(options.storage.absolute(), options.resume, study.name)
        options = restored(options, earlier)
        asked = earlier.description
        more = (options.trials or 0) > asked["trials_per_arm"] or (
            options.ablate and not asked.get("ablate", False)
        )
        if earlier.finished and not more:
            done = f"all its {len(earlier.of('trial'))} trials and {len(earlier.of('finalist'))} finalists ended"
            console.print(f"{options.resume} is finished: {done}. A higher --trials extends it.")
            return 0
    with quick_imports():
        from sweeps.runner.plan import (
            make_plan,
        )  # torch takes seconds: after the flags, before anything that needs it

    plan = make_plan(study, options)
    if options.dry_run:
        from sweeps.runner.dry_run import dry_run

        dry_run(plan, console)
        return 0
    with environment(options.address):
        with quick_imports():
            from sweeps.runner.launch import launch

        return launch(plan, console, earlier)


def _leave(status: int) -> NoReturn:
    logging.shutdown()
    sys.stdout.flush()
    if sys.stderr is not None:  # it was closed before the start
        sys.stderr.flush()
    os._exit(
        status
    )  # all is closed; the interpreter would go through millions of torch's and MLflow's objects: 3 s
