"""From a study's command line to an exit status.

0 done, 1 no trial completed or the output was lost, 2 refused before any work, 3 broken off with
trials completed, 130 interrupted.
"""

from __future__ import annotations

import builtins
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import NoReturn

import click

from cluster import signals
from cluster.refused import DONE, INTERRUPTED, REFUSED, Refused
from cluster.session import environment
from sweeps.records.folder import at, sweep_folder
from sweeps.records.named import sweep_named
from sweeps.runner.notebook.errors import SweepRefused
from sweeps.runner.options import Options, command, parse
from sweeps.runner.progress import Progress
from sweeps.runner.study import Study
from sweeps.runner.study_help import typed
from sweeps.terminal.screen import say_wrong, screen
from sweeps.tracking.chosen import named_store
from sweeps.tracking.environment import prepare_process
from trainables.problems import counted
from trainables.quick_imports import quick_imports
from trainables.streams import go_on_unseen, printed


def main(study: Study, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a study with the process's arguments, or those given, and exit.

    Raises:
        SweepRefused: In a notebook, since the exit would be its kernel's.
    """
    if hasattr(builtins, "__IPYTHON__"):
        raise SweepRefused(
            "main must have a process of its own, which ends with it, but this one is IPython's: "
            "call run_sweep(STUDY)."
        )
    given = sys.argv[1:] if arguments is None else arguments
    leave(lambda: run(study, given))


def run(study: Study, arguments: Sequence[str]) -> int:
    """Run a study.

    Problems that are the user's are lines on stderr, never a traceback.

    Returns:
        The exit status.
    """
    verbose = "-v" in arguments or "--verbose" in arguments
    try:
        prepare_process()
        options = parse(command(typed(), study.question), arguments)
        return _run(study, options)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except Refused as error:
        if verbose:
            traceback.print_exc()
        say_wrong(error.problems)
        return REFUSED
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        return INTERRUPTED


def leave(act: Callable[[], int]) -> NoReturn:
    """Run a command and exit with its status, without the interpreter's own end.

    All is closed; that end would go through millions of torch's and MLflow's objects: 3 s.
    """
    signals.catch(signals.interrupt)
    try:
        status = printed(act)
    # It came where nobody was prepared for it, such as a second one.
    except KeyboardInterrupt:
        status = INTERRUPTED
        click.echo("Interrupted.", err=True)
    logging.shutdown()
    sys.stdout.flush()
    # A shell may have closed it before the start.
    if sys.stderr is not None:
        sys.stderr.flush()
    os._exit(status)


def _run(study: Study, options: Options) -> int:
    """Plan a study, then print the plan for `--dry-run` or launch it."""
    if not options.verbose:
        logging.disable(logging.WARNING)
    with ExitStack() as stack:
        progress = Progress(screen())
        # A sweep that is yet without a name goes on, too, where its terminal goes away.
        if not options.dry_run:
            go_on_unseen(progress.console.file, "the sweep goes on, and `dvt list` shows it.")
        stack.enter_context(progress)
        # A sweep is held before its journal is read: another driver may be ending just now.
        earlier = None
        if options.resume:
            from sweeps.runner.resume import finished, held, past, restored

            storage = options.storage.absolute()
            name = sweep_named(storage, options.resume)
            if name != options.resume:
                progress.say(f"Sweep: {name}")
            stack.enter_context(held(sweep_folder(storage, name)))
            earlier = past(storage, name, study.name)
            options = restored(replace(options, resume=name), earlier)
            if finished(options, earlier):
                trials = counted(len(earlier.history.of("trial")), "trial")
                finalists = counted(len(earlier.history.of("finalist")), "finalist run")
                done = f"all {trials} and {finalists} are done"
                progress.say(
                    f"{options.resume} is finished: {done}. "
                    "A higher --trials or --seeds extends it."
                )
                return DONE

        # A new sweep follows the environment, an earlier one keeps its store.
        elif options.tracking_uri is None:
            options = replace(options, tracking_uri=named_store(options.storage))

        # Torch takes seconds: after the flags, before anything that needs it.
        with progress.doing("Loading torch"), quick_imports():
            from sweeps.runner.plan import make_plan

        with progress.doing("Checking options, data and weights"):
            plan = make_plan(study, options)
        if options.dry_run:
            from sweeps.runner.dry_run import dry_run

            dry_run(plan, progress.console, progress.doing)
            return DONE
        stack.enter_context(environment(options.address))
        with progress.doing("Loading Ray"), quick_imports():
            from sweeps.runner.launch import launch

        again = f"dvt report {plan.name}{at(plan.storage)}"
        go_on_unseen(progress.console.file, f"the sweep goes on, and `{again}` shows its results.")
        return launch(plan, progress, earlier)
