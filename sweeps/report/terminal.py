"""A report in the terminal: the headline, the arms, and the caveats."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from sweeps.report.blocks import Table
from sweeps.report.calibration import how_sure
from sweeps.report.cautions import banner, cautions
from sweeps.report.classes import weakest
from sweeps.report.findings import Findings
from sweeps.report.headline import equal_trials, headline, recipe_line
from sweeps.report.tables import OVERSTATED, ablations_table, arms_table
from sweeps.terminal.grid import Column, Grid
from sweeps.terminal.screen import say

# Columns that give way where there is no room, from the first to go on; any other one stays.
GIVE_WAY = (
    "tuned",
    "epochs",
    "test log loss",
    OVERSTATED,
    "device-hours",
    "diverged",
    "failed",
    "interrupted",
    "pruned",
    "completed",
    "seeds",
)


def show(console: Console, findings: Findings) -> None:
    """Print what the first screen of the page says."""
    # What the page says before its first table.
    first = [
        *banner(findings.run),
        *headline(findings),
        recipe_line(findings),
        weakest(findings),
        how_sure(findings),
    ]
    for line in filter(None, first):
        # A command is there to be copied: in a line of its own.
        say(console, line.replace(":  ", ":\n  "))
    console.print()
    console.print(grid(arms_table(findings)))
    ablations = ablations_table(findings)
    if ablations:
        console.print()
        console.print(grid(ablations))
    console.print()
    for line in (*cautions(findings), equal_trials(findings.run)):
        say(console, line)


def grid(table: Table, names: Sequence[str] = ()) -> Grid:
    """Return a table of the page as a terminal has room for it.

    Args:
        table: The page's.
        names: Short titles of the columns after the first one, in place of the page's. All but the
            last of them give way where there is no room.
    """
    titles = [column.title for column in table.columns]
    titles[1 : 1 + len(names)] = names
    columns = []
    for at, (column, title) in enumerate(zip(table.columns, titles, strict=True)):
        rank = 0
        if at < len(names):
            rank = at
        elif column.title in GIVE_WAY:
            rank = len(GIVE_WAY) - GIVE_WAY.index(column.title)
        columns.append(Column(title=title, number=column.number, rank=rank))
    return Grid(
        columns=columns,
        rows=[row.cells for row in table.rows],
        title=table.title,
        strong=frozenset(at for at, row in enumerate(table.rows) if row.strong),
        elsewhere="the report has",
    )
