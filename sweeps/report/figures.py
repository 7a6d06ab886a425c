"""How figures look: Plotly's `data` and `layout` as plain values, without colours of text and ground, which the page sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Trace: TypeAlias = dict[str, Any]

# Luminance 0.15 to 0.30: at least 3 to 1 against white as well as against the dark page's ground.
PALETTE = ("#3f7fbf", "#cf6230", "#2f9a6c", "#9a6fc4", "#b3861f", "#2a97aa", "#c75d93", "#7d868f")
GREY = "#8a8f96"
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
LONGEST = 40  # characters of a label


def color(at: int) -> str:
    """Of the arm, or whatever else, at this place."""
    return PALETTE[at % len(PALETTE)]


def symbol(at: int) -> str:
    """Tells those apart that share a color."""
    return SYMBOLS[at // len(PALETTE) % len(SYMBOLS)]


def legend(names: Sequence[str]) -> list[tuple[str, str]]:
    """Names with their colors."""
    return [(name, color(at)) for at, name in enumerate(names)]


def label(text: object) -> str:
    """A name as Plotly shows it: no markup, one line, not too long."""
    line = " ".join(str(text).split())
    short = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def hover(*lines: str) -> str:
    """Lines of a hover box; each is a label, or made of numbers."""
    return "<br>".join(lines)


def figure(
    data: Sequence[Trace], x: str, y: str, *, height: int = 320, **layout: Any
) -> dict[str, Any]:
    """A figure with titled axes; more of the layout by name, what it says of an axis is added."""
    axes = {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}}
    for name in axes:
        axes[name] |= layout.pop(name, {})
    return {"data": list(data), "layout": {"height": height, "showlegend": False, **axes, **layout}}


def points(
    x: Sequence[Any], y: Sequence[Any], text: Sequence[str], marker: Mapping[str, Any], **more: Any
) -> Trace:
    """Dots that say their text."""
    shown = {"text": list(text), "hovertemplate": "%{text}<extra></extra>"}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(x),
        "y": list(y),
        "marker": dict(marker),
        **shown,
        **more,
    }


def line(
    x: Sequence[Any],
    y: Sequence[Any],
    colored: str,
    *,
    width: float = 2,
    dash: str = "solid",
    **more: Any,
) -> Trace:
    """A line, that says nothing unless it is given a `text`."""
    said = {"hovertemplate": "%{text}<extra></extra>"} if "text" in more else {"hoverinfo": "skip"}
    drawn = {"color": colored, "width": width, "dash": dash}
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": list(y),
        "line": drawn,
        **said,
        **more,
    }


def rounded(values: Sequence[float], digits: int = 2) -> list[float | None]:
    """Numbers with few digits, so that the page stays small; None where there is none."""
    return [round(float(value), digits) if value == value else None for value in values]


def ticks(names: Sequence[str]) -> dict[str, Any]:
    """An axis whose places 0, 1, 2 ... have names."""
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [label(name) for name in names],
    }
