"""`dvt list`: the sweeps of a storage, what is done and left of each, and how to continue one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import click
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from sweeps.commands import kit
from sweeps.commands.kit import shown
from sweeps.records.folder import at
from sweeps.records.score import SHORT
from sweeps.records.status import SweepStatus, all_sweeps
from trainables.problems import counted

COLUMNS = ("sweep", "study", "state", "done", "left", "best %", "champion", "started", "size")
NUMBERS = ("done", "left", "best %", "size")
# The others stay whole: a sweep's name is there to be copied.
FOLDED = ("study", "champion")


@kit.command("dvt list")
@kit.flags("storage")
def command(storage: Path | None) -> int:
    """List all sweeps: what is done and left, and how to continue the last interrupted one."""
    storage = kit.storage_of(storage)
    sweeps = all_sweeps(storage)
    if not sweeps:
        click.echo(f"No sweeps in {storage}.")
        return kit.DONE
    kit.terminal().print(_table(sweeps))

    # What is to be done about them.
    for sweep in sweeps:
        if sweep.state == "damaged":
            click.echo(f"{shown(sweep.name)} is damaged: {sweep.reason}")
    interrupted = next((sweep for sweep in sweeps if sweep.state == "interrupted"), None)
    if interrupted:
        click.echo("To continue the last one that was interrupted:")
        click.echo(f"  {shown(interrupted.resume)}")
    for sweep in sweeps:
        if sweep.undelivered and sweep.state != "running":
            missing = counted(sweep.undelivered, "event")
            click.echo(f"MLflow lacks {missing} of {sweep.name}; to deliver:")
            click.echo(f"  dvt sync {sweep.name}{at(storage)}")
    return kit.DONE


def _table(sweeps: Sequence[SweepStatus]) -> Table:
    table = Table(title="Sweeps", title_justify="left")
    for name in COLUMNS:
        side: Literal["left", "right"] = "right" if name in NUMBERS else "left"
        table.add_column(name, justify=side, no_wrap=name not in FOLDED, overflow="fold")
    for sweep in sweeps:
        table.add_row(*map(Text, _cells(sweep)))
    return table


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
