"""What a page is made of: plain values that the template lays out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


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
    """A table, and below it what to read off. A long one is `folded` until it is asked for."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    caption: str = ""
    title: str = ""
    folded: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """A figure of Plotly's, `data` and `layout`.

    Assistive technology reads its caption.

    Attributes:
        name: Fit for an id in HTML.
        figure: Without colors of text and ground, which the page sets.
        caption: What to read off.
        title: Above it.
        legend: Names and colors.
        narrow: No wider than text is.
    """

    name: str
    figure: Mapping[str, Any]
    caption: str = ""
    title: str = ""
    legend: Sequence[tuple[str, str]] = ()
    narrow: bool = False


@dataclass(frozen=True, slots=True)
class Plots:
    """Small figures side by side, with one legend (names and colors) and one caption for all."""

    plots: Sequence[Plot]
    caption: str
    title: str = ""
    legend: Sequence[tuple[str, str]] = ()


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


Block: TypeAlias = Table | Plot | Plots | Text | Facts | Pictures


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under a heading."""

    name: str  # fit for an id in HTML
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A whole page.

    Attributes:
        title: The window's.
        question: The heading.
        banner: Lines before anything else, where the sweep is not whole.
        headline: Sentences, the first in large type.
        recipe: Below them, what exactly is shipped.
        cautions: The caveats.
        sections: In order; those of the first screen have no title.
        footer: A last line.
    """

    title: str
    question: str
    banner: Sequence[str]
    headline: Sequence[str]
    recipe: str
    cautions: Sequence[str]
    sections: Sequence[Section]
    footer: str
