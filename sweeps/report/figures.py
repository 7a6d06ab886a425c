"""How figures look: Plotly's `data` and `layout` as plain values.

Colors of text and ground are left out: the page sets them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from sweeps.report.variance import Interval

Trace: TypeAlias = dict[str, Any]

# Luminance 0.15 to 0.30: at least 3 to 1 against white as well as against the dark page's ground.
PALETTE = ("#3f7fbf", "#cf6230", "#2f9a6c", "#9a6fc4", "#b3861f", "#2a97aa", "#c75d93", "#7d868f")
GREY = "#8a8f96"
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
LONGEST = 40  # characters of a label


def color(at: int) -> str:
    """Return the color of the arm, or whatever else, at this place."""
    return PALETTE[at % len(PALETTE)]


def symbol(at: int) -> str:
    """Return a symbol that tells those apart that share a color."""
    return SYMBOLS[at // len(PALETTE) % len(SYMBOLS)]


def legend(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return names with their colors."""
    return [(name, color(at)) for at, name in enumerate(names)]


def label(text: object) -> str:
    """Return a name as Plotly shows it: no markup, one line, not too long."""
    line = " ".join(str(text).split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST - 1]}…"
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def hover(*lines: str) -> str:
    """Return the lines of a hover box; each is a label, or made of numbers."""
    return "<br>".join(lines)


def figure(
    data: Sequence[Trace], x: str, y: str, *, height: int = 320, **layout: Any
) -> dict[str, Any]:
    """Return a figure with titled axes.

    More of the layout is given by name; what it says of an axis is added to that axis.
    """
    # Axes first, since both figure and caller say something of them.
    axes = {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}}
    for name in axes:
        axes[name] |= layout.pop(name, {})
    return {"data": list(data), "layout": {"height": height, "showlegend": False, **axes, **layout}}


def points(
    x: Sequence[Any], y: Sequence[Any], text: Sequence[str], marker: Mapping[str, Any]
) -> Trace:
    """Return dots that say their text."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(x),
        "y": list(y),
        "marker": dict(marker),
        "text": list(text),
        "hovertemplate": "%{text}<extra></extra>",
    }


def line(
    x: Sequence[Any],
    y: Sequence[Any],
    colored: str,
    *,
    width: float = 2,
    dash: str = "solid",
    text: str | Sequence[str] = (),
) -> Trace:
    """Return a line; without a text, one for all or one per point, it says nothing."""
    said: Trace = {"hoverinfo": "skip"}
    if text:
        said = {"text": text, "hovertemplate": "%{text}<extra></extra>"}
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": list(y),
        "line": {"color": colored, "width": width, "dash": dash},
        **said,
    }


def bars(
    x: Sequence[Any], y: Sequence[Any], text: Sequence[str], marker: Mapping[str, Any]
) -> Trace:
    """Return horizontal bars that say their text."""
    return {
        "type": "bar",
        "orientation": "h",
        "x": list(x),
        "y": list(y),
        "marker": dict(marker),
        "text": list(text),
        "hovertemplate": "%{text}<extra></extra>",
        "textposition": "none",
    }


def error_bar(whole: Interval, colored: str) -> Trace:
    """Return what shows an interval, of shares on a scale of percent; empty where there is none."""
    if whole.low is None or whole.high is None:
        return {}
    half = round(50 * (whole.high - whole.low), 2)
    bar = {"type": "data", "array": [half], "color": colored, "thickness": 1.6, "width": 5}
    return {"error_x": bar}


def rounded(values: Sequence[float], digits: int = 2) -> list[float | None]:
    """Return numbers with few digits, so that the page stays small; None where there is none."""
    return [round(float(value), digits) if value == value else None for value in values]


def percents(shares: Iterable[float]) -> list[float | None]:
    """Return shares in percent, with few digits."""
    return rounded([100 * share for share in shares])


def ticks(names: Sequence[str]) -> dict[str, Any]:
    """Return an axis whose places 0, 1, 2 ... have names."""
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": list(map(label, names)),
    }
