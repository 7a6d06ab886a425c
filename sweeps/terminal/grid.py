"""Tables for a terminal: where one is too narrow, whole columns give way, never parts of a cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

GAP = 2
"""Spaces between columns."""
NARROWEST = 12
"""Columns that a text has at least, where it is folded onto several lines."""
LONGEST_WORD = 24
"""Columns of a word that is not broken there; one that is longer may be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        number: It is aligned to the right.
        rank: 0 always stays. Where there is no room the highest rank goes first, and of one rank
            the last column.
        folds: Its text may go onto several lines.
    """

    title: str
    number: bool = False
    rank: int = 0
    folds: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A table that fits whatever it is printed to.

    Attributes:
        columns: From left to right.
        rows: A text per column.
        title: Above it.
        strong: Numbers of the rows in bold.
        elsewhere: Where columns are that had no room: "the report has".
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    title: str = ""
    strong: frozenset[int] = frozenset()
    elsewhere: str = "a wider terminal shows"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table with the columns that have room, and a line on the others."""
        widths = list(self._widths())
        kept = self._fitting(widths, options.max_width)
        if self.title:
            yield Text(self.title, style="italic")
        if self._least(widths, kept) <= options.max_width:
            yield self._table(kept, widths, options.max_width)
        else:
            yield from self._cards(kept)
        left = [column.title for at, column in enumerate(self.columns) if at not in kept]
        if left:
            yield Text(f"Not shown for lack of room ({self.elsewhere} it): {', '.join(left)}")

    def _widths(self) -> Iterator[int]:
        """Yield how wide each column is where nothing is folded."""
        for at, column in enumerate(self.columns):
            cells = [row[at] for row in self.rows]
            yield max(cell_len(text) for text in (column.title, *cells))

    def _fitting(self, widths: Sequence[int], room: int) -> list[int]:
        """Return the places of the columns that have room together, in their order."""
        kept = list(range(len(self.columns)))
        while True:
            droppable = [at for at in kept if self.columns[at].rank]
            if self._least(widths, kept) <= room or not droppable:
                return kept
            kept.remove(max(droppable, key=lambda at: (self.columns[at].rank, at)))

    def _least(self, widths: Sequence[int], kept: Sequence[int]) -> int:
        """Return how wide a table of the kept columns is where all that fold are folded."""
        return _total(self._folded(at, widths[at]) for at in kept)

    def _folded(self, at: int, width: int) -> int:
        """Return how narrow a column can be: as its longest word, if that is not very long."""
        if not self.columns[at].folds:
            return width
        words = [word for row in self.rows for word in row[at].split()]
        longest = max(map(cell_len, words), default=0)
        return min(width, max(NARROWEST, min(longest, LONGEST_WORD)))

    def _cards(self, kept: Sequence[int]) -> Iterator[Text]:
        """Yield each row as lines, where not even the columns that always stay have room."""
        for number, row in enumerate(self.rows):
            style = "bold" if number in self.strong else ""
            lines = [f"{self.columns[at].title}: {row[at]}" for at in kept]
            yield Text("\n".join(lines) + "\n", style=style, overflow="fold")

    def _table(self, kept: Sequence[int], widths: Sequence[int], room: int) -> Table:
        """Return the kept columns; those that fold share the room that the others leave."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
        over = _total(widths[at] for at in kept) - room
        for at in kept:
            column = self.columns[at]
            side: Literal["left", "right"] = "right" if column.number else "left"
            width = widths[at]
            if column.folds and over > 0:
                less = min(over, width - self._folded(at, width))
                width -= less
                over -= less
            table.add_column(
                Text(column.title),
                justify=side,
                width=width,
                no_wrap=not column.folds,
                overflow="fold",
            )
        for number, row in enumerate(self.rows):
            cells = [Text(row[at]) for at in kept]
            table.add_row(*cells, style="bold" if number in self.strong else None)
        return table


def _total(widths: Sequence[int] | Iterator[int]) -> int:
    """Return the columns that a table of such widths takes."""
    each = list(widths)
    return sum(each) + GAP * (len(each) - 1)
