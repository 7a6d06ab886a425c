"""A report in the terminal: the headline, the arms, and the caveats."""

from __future__ import annotations

from typing import Literal

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from sweeps.report.blocks import Table
from sweeps.report.cautions import banner, cautions
from sweeps.report.classes import weakest
from sweeps.report.findings import Findings
from sweeps.report.headline import equal_trials, headline, recipe_line
from sweeps.report.tables import OVERSTATED, ablations_table, arms_table

WIDE = ("epochs", "tuned", OVERSTATED, "test log loss")  # columns that a terminal has no room for


def show(console: Console, findings: Findings) -> None:
    """Print what the first screen of the page says."""
    # What the page says before its first table.
    first = [
        *banner(findings.run),
        *headline(findings),
        recipe_line(findings),
        weakest(findings),
    ]
    for line in filter(None, first):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(grid(arms_table(findings)))
    ablations = ablations_table(findings)
    if ablations:
        console.print(grid(ablations))
    for line in (*cautions(findings), equal_trials(findings.run)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def grid(table: Table) -> Grid:
    """Return a table of the page, as far as a terminal has room."""
    # Columns that have no room are on the page.
    kept = [at for at, column in enumerate(table.columns) if column.title not in WIDE]
    shown = Grid()
    for at in kept:
        column = table.columns[at]
        justify: Literal["left", "right"] = "right" if column.number else "left"
        shown.add_column(Text(column.title), justify=justify, no_wrap=True)
    for row in table.rows:
        cells = [Text(row.cells[at]) for at in kept]
        shown.add_row(*cells, style="bold" if row.strong else None)
    return shown
