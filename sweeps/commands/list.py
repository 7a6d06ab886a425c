"""`dvt list`: the sweeps of a storage, what is done and left of each, and how to go on with one that was interrupted."""

from __future__ import annotations

import fcntl
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from sweeps.records.score import SHORT
from sweeps.records.standing import UNREADABLE, described, journalled
from sweeps.runner.cli import INTERRUPTED, REFUSED, WIDE
from sweeps.runner.options import Options, Refused, command
from sweeps.runner.resume import LOCK
from trainables.metrics import Score
from trainables.problems import unknown_name

State: TypeAlias = Literal["running", "finished", "failed", "interrupted", "damaged"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepState:
    """How a sweep stands.

    Attributes:
        name: Of the sweep, and of its folder.
        folder: Everything of it but what MLflow has.
        state: `damaged` is a folder that holds no sweep that can be read; `reason` says why.
        study: Its study's name; empty where it is not known, as are the following.
        submitted: What goes on with it, where it was submitted to a cluster.
        arms: Names of its arms.
        trials_per_arm: The number that it was last asked for.
        done: Trials and finalists that ended, and not because they were interrupted.
        left: Trials that are not done, and finalists, once they are chosen.
        started: When it was first started.
        champion: Name of the trial or finalist that was kept as the champion.
        score: The champion's, or the best one so far.
        metric: What the score is.
        undelivered: Events that MLflow has not got.
        size: Bytes on the disk.
        reason: Why it is damaged.
    """

    name: str
    folder: Path
    state: State
    study: str = ""
    submitted: str = ""
    arms: tuple[str, ...] = ()
    trials_per_arm: int = 0
    done: int = 0
    left: int = 0
    started: datetime | None = None
    champion: str = ""
    score: float | None = None
    metric: Score = "accuracy"
    undelivered: int = 0
    size: int = 0
    reason: str = ""


@contextmanager
def claimed(folder: Path, *, shared: bool = False) -> Iterator[bool]:
    """Hold the lock of a sweep's driver for the time of a `with` block; False where a driver, or another process, has it.

    Args:
        folder: The sweep's.
        shared: Only look: several may at once.
    """
    try:
        file = os.open(folder / LOCK, os.O_RDONLY if shared else os.O_RDWR)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            free = True
        except OSError:  # held; where locks cannot be asked for, nobody can know
            free = False
        yield free
    finally:
        os.close(file)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; what disappears meanwhile counts for nothing."""
    total = 0
    with suppress(OSError):
        total = 0 if path.is_dir() and not path.is_symlink() else path.lstat().st_size
    for place, _, names in os.walk(path) if not path.is_symlink() else ():
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - a Path for each file takes long
    return total


def state_of(folder: Path) -> SweepState:
    """How the sweep in a folder stands. What is in the folder may be anything."""
    with claimed(folder, shared=True) as free:
        running = not free
    found: dict[str, Any] = {}
    try:
        found = described(folder)
        found |= journalled(folder, found.pop("searched"), found["trials_per_arm"])
    except UNREADABLE as error:
        said = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, FileNotFoundError) and error.filename is not None:
            said = f"it has no {Path(error.filename).name}"
        found |= {"state": "damaged", "reason": said}
    if running:
        found |= {"state": "running", "reason": ""}
    return SweepState(name=folder.name, folder=folder, size=size_of(folder), **found)


def all_sweeps(storage: Path) -> list[SweepState]:
    """The sweeps of a storage, newest first; folders that hold none come last, as damaged ones.

    Raises:
        Refused: The storage cannot be read.
    """
    try:
        folders = [
            path
            for path in (storage / "sweeps").iterdir()
            if path.is_dir() and not path.name.startswith(".")
        ]
    except FileNotFoundError:
        return []
    except OSError as error:
        said = f"--storage must be a folder that can be read, but {storage} cannot ({error.strerror}): choose another."
        raise Refused([said]) from error
    sweeps = sorted(map(state_of, folders), key=lambda sweep: sweep.name)
    return sorted(
        sweeps, key=lambda sweep: sweep.started.timestamp() if sweep.started else 0.0, reverse=True
    )


def flags(*names: str) -> list[click.Parameter]:
    """Some of the flags that every study has, for a command of `dvt`."""
    known = {param.name: param for param in command("dvt", "").params}
    return [known[name] for name in names]


def answer(
    asked: click.Command, arguments: Sequence[str], act: Callable[[Mapping[str, Any]], int]
) -> int:
    """Run a command of `dvt`: what is wrong with its flags is a line each and exit status 2; else act on the given ones."""
    problems: list[str] = []
    try:
        with asked.make_context(asked.name, list(arguments), obj=problems) as ctx:
            known = [
                option
                for param in asked.params
                if isinstance(param, click.Option)
                for option in param.opts
            ]
            words = [
                word for value in ctx.params.values() if isinstance(value, tuple) for word in value
            ]
            strange = [word for word in (*words, *ctx.args) if word.startswith("-")] or ctx.args
            problems += [
                unknown_name(word.partition("=")[0], known, f"flag of {asked.name}")
                for word in strange
            ]
        if problems:
            raise Refused(problems)
        return act({name: value for name, value in ctx.params.items() if value is not None})
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        problems.append(error.format_message())
    except Refused as error:
        problems = list(error.problems)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    return REFUSED


def terminal() -> Console:
    """Where tables go: wide where it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDE)


CONTEXT = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "help_option_names": ["-h", "--help"],
}
COMMAND = click.Command(
    "dvt list",
    params=flags("storage"),
    help="All sweeps, what is done and left of each, and how to go on with the one that was interrupted last.",
    context_settings=CONTEXT,
)


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    return answer(COMMAND, arguments, _list)


def _list(given: Mapping[str, Any]) -> int:
    storage = given.get("storage", Options().storage)
    sweeps = all_sweeps(storage.absolute())
    if not sweeps:
        click.echo(f"No sweeps in {storage}.")
        return 0
    terminal().print(_table(sweeps))
    for sweep in sweeps:
        if sweep.state == "damaged":
            click.echo(f"{shown(sweep.name)} is damaged: {sweep.reason}")
    at = f" --storage {shlex.quote(str(storage))}" if "storage" in given else ""
    if interrupted := next((sweep for sweep in sweeps if sweep.state == "interrupted"), None):
        line = shown(interrupted.submitted) or f"{_resume(interrupted)}{at}"
        click.echo(f"To go on with the last one that was interrupted:\n  {line}")
    for sweep in sweeps:
        if sweep.undelivered and sweep.state != "running":
            click.echo(
                f"MLflow lacks {sweep.undelivered} events of {sweep.name}; to deliver them:\n  dvt sync {sweep.name}{at}"
            )
    return 0


def _resume(sweep: SweepState) -> str:
    return f"python {shlex.quote(f'sweeps/{sweep.study}.py')} --resume {shlex.quote(sweep.name)}"


def _table(sweeps: Sequence[SweepState]) -> Table:
    table = Table(title="Sweeps", title_justify="left")
    for name in (
        "sweep",
        "study",
        "state",
        "done",
        "left",
        "best %",
        "champion",
        "started",
        "size",
    ):
        number = name in ("done", "left", "best %", "size")
        whole = name not in ("study", "champion")  # a sweep's name is there to be copied
        table.add_column(
            name, justify="right" if number else "left", no_wrap=whole, overflow="fold"
        )
    for sweep in sweeps:
        known = bool(sweep.arms)
        cells = (
            shown(sweep.name),
            shown(sweep.study) or "-",
            sweep.state,
            str(sweep.done) if known else "-",
            str(sweep.left) if known else "-",
            _best(sweep),
            shown(sweep.champion) or "-",
            f"{sweep.started.astimezone():%Y-%m-%d %H:%M}" if sweep.started else "-",
            decimal(sweep.size),
        )
        table.add_row(*map(Text, cells))
    return table


def _best(sweep: SweepState) -> str:
    """`81.4`, or `81.4 (balanced)` where the score is not accuracy."""
    if sweep.score is None:
        return "-"
    by = "" if sweep.metric == "accuracy" else f" ({SHORT[sweep.metric]})"
    return f"{100 * sweep.score:.1f}{by}"


def shown(name: str) -> str:
    """A name that came from the disk, as a terminal can show it."""
    return name if name.isprintable() else repr(name)
