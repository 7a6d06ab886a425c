"""`dvt list`: the sweeps of a storage, what is done and left of each, and how to continue one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

from sweeps.commands import kit
from sweeps.commands.kit import shown
from sweeps.records.folder import at
from sweeps.records.score import SHORT
from sweeps.records.status import SweepStatus, all_sweeps
from sweeps.terminal.grid import Column, Grid
from sweeps.terminal.json_text import json_text
from sweeps.terminal.screen import say, screen
from trainables.problems import counted

COLUMNS = (
    # It is there to be copied.
    Column(title="sweep"),
    # The name says it, mostly.
    Column(title="study", rank=5),
    Column(title="state"),
    Column(title="done", number=True),
    Column(title="left", number=True),
    Column(title="best %", number=True, rank=1),
    Column(title="champion", rank=3),
    Column(title="started", rank=4),
    Column(title="size", number=True, rank=2),
)


@kit.command("dvt list")
@kit.flags("storage")
@kit.json_flag
def command(storage: Path | None, as_json: bool) -> int:
    """List all sweeps, what is done and left, and how to continue the newest interrupted one."""
    storage = kit.storage_of(storage)
    sweeps = all_sweeps(storage)
    if as_json:
        click.echo(json_text([_plain(sweep) for sweep in sweeps]))
        return kit.DONE
    if not sweeps:
        say(screen(), f"No sweeps in {storage}.")
        return kit.DONE
    rows = [tuple(_cells(sweep)) for sweep in sweeps]
    console = screen()
    console.print(Grid(title="Sweeps", columns=COLUMNS, rows=rows))

    # What is to be done about them.
    for sweep in sweeps:
        if sweep.state == "damaged":
            say(console, f"{shown(sweep.name)} is damaged: {sweep.reason}")
    interrupted = next((sweep for sweep in sweeps if sweep.state == "interrupted"), None)
    if interrupted:
        say(
            console,
            f"To continue the newest interrupted one:\n  {shown(interrupted.resume)}",
        )
    for sweep in sweeps:
        if sweep.undelivered and sweep.state != "running":
            missing = counted(sweep.undelivered, "event")
            say(console, f"MLflow lacks {missing} of {sweep.name}. To send them:")
            say(console, f"  dvt sync {sweep.name}{at(storage)}")
    return kit.DONE


def _plain(sweep: SweepStatus) -> dict[str, Any]:
    """Return a sweep as docs/json.md has it: scores are shares, null is what is not known."""
    started = sweep.started
    return {
        "sweep": sweep.name,
        "study": sweep.study or None,
        "state": sweep.state,
        "reason": sweep.reason or None,
        "started": started.isoformat() if started else None,
        "arms": sweep.arms,
        "trials_per_arm": sweep.trials_per_arm,
        "done": sweep.done,
        "left": sweep.left,
        "score": sweep.metric,
        "best": sweep.score,
        "champion": sweep.champion or None,
        "not_in_mlflow": sweep.undelivered,
        "bytes": sweep.size,
        "folder": sweep.folder,
        "resume": sweep.resume or None,
    }


def _cells(sweep: SweepStatus) -> Iterator[str]:
    """Yield a row of the table, in the order of `COLUMNS`; a dash is what is not known."""
    yield shown(sweep.name)
    yield shown(sweep.study) or "-"
    yield sweep.state

    # Of a damaged sweep nobody knows how many there are.
    if sweep.arms:
        yield str(sweep.done)
        yield str(sweep.left)
    else:
        yield "-"
        yield "-"
    yield _best(sweep)
    yield shown(sweep.champion) or "-"
    if sweep.started:
        yield f"{sweep.started.astimezone():%Y-%m-%d %H:%M}"
    else:
        yield "-"
    yield decimal(sweep.size)


def _best(sweep: SweepStatus) -> str:
    """Return `81.4`, or `81.4 (balanced)` where the score is not accuracy."""
    if sweep.score is None:
        return "-"
    percent = f"{100 * sweep.score:.1f}"
    if sweep.metric == "accuracy":
        return percent
    return f"{percent} ({SHORT[sweep.metric]})"
