"""Figures as plain values: marks on two axes. `charts` draws them.

Colors of text and ground are left out: the page sets them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sweeps.records.palette import color as color
from sweeps.report.variance import Interval

GREY = "#8a8f96"
SYMBOLS = ("circle", "square", "diamond", "triangle", "cross", "star", "down")
LONGEST = 40  # characters of a label

Values: TypeAlias = Sequence[float | None]
"""One per place; None is a gap."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """A figure's axis.

    Attributes:
        title: With the unit.
        low: Its lower end; None where the marks decide.
        high: Its upper end.
        log: Whether it is logarithmic.
        names: Of the places 0, 1, 2 ...; with names there are no numbers.
        bare: Whether it has neither numbers nor lines.
    """

    title: str = ""
    low: float | None = None
    high: float | None = None
    log: bool = False
    names: Sequence[str] = ()
    bare: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """A point that says its text.

    Attributes:
        x: Where it is.
        y: Where it is.
        said: Lines of text, shown when it is pointed at.
        hollow: Whether it is drawn as an outline.
        ringed: Whether it has a thick gray edge.
        between: The ends of its interval along x.
        note: A text above it.
    """

    x: float
    y: float
    said: str = ""
    hollow: bool = False
    ringed: bool = False
    between: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dots:
    """Points that look alike; the symbol tells them from others for who sees no colors."""

    dots: Sequence[Dot]
    color: str
    symbol: str = "circle"
    size: int = 7  # pixels: 5, 7 or 10
    opacity: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line through points; with a symbol, each is marked by it.

    `said` is one text for all of it, or one for each point.
    """

    x: Sequence[float]
    y: Values
    color: str
    width: float = 2.0
    dashed: bool = False
    opacity: float = 1.0
    symbol: str = ""
    said: str | Sequence[str] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A bar that lies, from one end to the other, in a row of its figure."""

    row: int
    start: float
    end: float
    color: str
    said: str
    opacity: float = 1.0
    note: str = ""  # at its end


@dataclass(frozen=True, kw_only=True, slots=True)
class Bars:
    """Bars, at most one on top of the other's end."""

    bars: Sequence[Bar]


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """The area between two curves."""

    x: Sequence[float]
    low: Values
    high: Values
    color: str


Mark: TypeAlias = Dots | Line | Bars | Band


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """Marks on two axes; `rule` is where a dotted vertical line stands."""

    marks: Sequence[Mark]
    x: Axis
    y: Axis
    height: int = 300  # pixels, of the area between the axes
    rule: float | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a legend."""

    name: str
    color: str
    symbol: str = "circle"


def symbol(at: int) -> str:
    """Return the symbol at this place: with the color, one of 56 pairs."""
    return SYMBOLS[at % len(SYMBOLS)]


def legend(names: Sequence[str]) -> list[Key]:
    """Return names with their colors and symbols."""
    return [Key(name, color(at), symbol(at)) for at, name in enumerate(names)]


def label(text: object) -> str:
    """Return a name as a figure shows it: one line, not too long."""
    line = " ".join(str(text).split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST - 1]}…"
    return line


def hover(*lines: str) -> str:
    """Return the lines that a mark says; each is a label, or made of numbers."""
    return "\n".join(lines)


def named_axis(names: Sequence[str], title: str = "", room: float = 0.6) -> Axis:
    """Return an axis whose places 0, 1, 2 ... have names, with room beyond the outer ones."""
    return Axis(title=title, low=-room, high=len(names) - 1 + room, names=list(map(label, names)))


def percents(shares: Iterable[float]) -> list[float | None]:
    """Return shares in percent; None where there is none."""
    return [100 * share if share == share else None for share in shares]


def in_percent(whole: Interval) -> tuple[float, float] | None:
    """Return the ends of an interval of shares, in percent; None where it has none."""
    if whole.low is None or whole.high is None:
        return None
    return 100 * whole.low, 100 * whole.high
