"""What a page is made of: plain values that the template lays out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sweeps.report.figures import Figure, Key


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column; those of one `group` stand under it. Numbers are right-aligned."""

    title: str
    group: str = ""
    number: bool = True


def number_columns(titles: Iterable[str], group: str = "") -> list[Column]:
    """Return columns of numbers, under one group."""
    return [Column(title, group) for title in titles]


def text_columns(titles: Iterable[str], group: str = "") -> list[Column]:
    """Return columns of text, under one group."""
    return [Column(title, group, number=False) for title in titles]


@dataclass(frozen=True, slots=True)
class Row:
    """A table's row, one text per column; `strong` marks the champion's."""

    cells: tuple[str, ...]
    strong: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table, and below it what to read off.

    Attributes:
        columns: The first names its row.
        rows: In order.
        caption: What to read off.
        title: Above it.
        folded: Whether a long one is hidden until it is asked for.
        name: What a screen reader calls one without a title.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    caption: str = ""
    title: str = ""
    folded: bool = False
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """A figure, and below it what to read off.

    Attributes:
        figure: What is drawn.
        caption: What to read off, also for who does not see it.
        title: Above it.
        legend: What colors and symbols stand for.
        narrow: No wider than text is.
    """

    figure: Figure
    caption: str = ""
    title: str = ""
    legend: Sequence[Key] = ()
    narrow: bool = False


@dataclass(frozen=True, slots=True)
class Plots:
    """Small figures side by side, with one legend and one caption for all."""

    plots: Sequence[Plot]
    caption: str
    title: str = ""
    legend: Sequence[Key] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """A table of shares by row and column, each cell as dark as its share is large.

    Attributes:
        down: What rows are.
        across: What columns are.
        names: Of rows and columns alike.
        cells: By row and column, a share of 1 and the text that is shown when it is pointed at.
        caption: What to read off.
        title: Above it.
    """

    down: str
    across: str
    names: Sequence[str]
    cells: Sequence[Sequence[tuple[float, str]]]
    caption: str
    title: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms, each with its lines."""

    facts: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as a data URI, with its lines."""

    uri: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Images beside each other."""

    pictures: Sequence[Picture]
    caption: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Strips:
    """Rows of images, each under a name, as data URIs."""

    strips: Sequence[tuple[str, Sequence[str]]]
    caption: str
    title: str = ""


Block: TypeAlias = Table | Plot | Plots | Matrix | Text | Facts | Pictures | Strips


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under a heading.

    Attributes:
        name: Fit for an id in HTML.
        title: Its heading; the first screen has none.
        blocks: In order.
        folded: What unfolds it, in words; empty where it is open.
    """

    name: str
    title: str
    blocks: Sequence[Block]
    folded: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A whole page.

    Attributes:
        title: The window's.
        question: In small type above the heading.
        answer: The heading.
        banner: Lines before anything else, where the sweep is not whole.
        lines: Sentences below the heading.
        recipe: Below them, what exactly is shipped.
        cautions: The caveats.
        sections: In order; those of the first screen have no title.
        footer: A last line.
        reload_s: After how many seconds the page is loaded again; 0 is never.
    """

    title: str
    question: str
    answer: str
    banner: Sequence[str]
    lines: Sequence[str]
    recipe: str
    cautions: Sequence[str]
    sections: Sequence[Section]
    footer: str
    reload_s: int = 0
