"""Figures as HTML and SVG that needs no script.

All places are in percent of the area between the axes, so that a figure is as wide as its page;
letters, dots and lines keep their size. Colors of text and ground are the page's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from sweeps.report.figures import Axis, Band, Bars, Dots, Figure, Line

# Around 0, 0, by a size of 10 pixels.
SHAPES = {
    "circle": '<circle r="5"/>',
    "square": '<path d="M-4.4-4.4h8.8v8.8h-8.8z"/>',
    "diamond": '<path d="M0-5.9 5.9 0 0 5.9-5.9 0z"/>',
    "triangle": '<path d="M0-5.6 5.4 4h-10.8z"/>',
    "cross": '<path d="M-1.9-5.2h3.8v3.3h3.3v3.8h-3.3v3.3h-3.8v-3.3h-3.3v-3.8h3.3z"/>',
    "star": '<path d="M0-6 1.6-2.2 5.7-1.9 2.6.8 3.5 4.9 0 2.7-3.5 4.9-2.6.8-5.7-1.9-1.6-2.2z"/>',
    "down": '<path d="M0 5.6 5.4-4h-10.8z"/>',
}
SIZES = (5, 7, 10)
MOST_TICKS = 6
CROWDED = 26  # letters that a figure has room for below it
STRETCH = 1000  # units of the area that lines are drawn in, which is stretched over the figure


def definitions() -> str:
    """Return the shapes of all symbols, which a page holds once."""
    shapes = []
    for name, shape in SHAPES.items():
        for size in SIZES:
            shapes.append(
                f'<g id="{_shape(name, size)}"><g transform="scale({size / 10})">{shape}</g></g>'
            )
    return f'<svg class="shapes" aria-hidden="true"><defs>{"".join(shapes)}</defs></svg>'


def key(symbol: str) -> str:
    """Return a symbol as a legend shows it."""
    return (
        '<svg class="key" width="12" height="12" aria-hidden="true">'
        f'<use href="#{_shape(symbol, 10)}" x="6" y="6"/></svg>'
    )


def chart(figure: Figure, name: str) -> str:
    """Return a figure as HTML; `name` is what a screen reader calls it."""
    area = _Area(figure)
    upright = len("".join(figure.x.names)) > CROWDED
    below = "xs upright" if upright else "xs"
    drawn = "".join([*area.grid(), *area.lines(), *area.bars(), *area.dots()])
    heights = "".join(f'<span style="top:{at}%">{escape(text)}</span>' for at, text in area.ys)
    widths = "".join(f'<span style="left:{at}%">{escape(text)}</span>' for at, text in area.xs)
    # A frame of a grid: above the title of y, beside it the numbers of y, below those of x.
    return (
        f'<div class="chart" role="img" aria-label="{escape(name)}">'
        f'<div class="yt">{escape(figure.y.title)}</div>'
        f'<div class="ys" style="height:{figure.height}px">{heights}</div>'
        f'<svg class="area" style="height:{figure.height}px">{drawn}</svg>'
        f'<div class="{below}"{_depth(figure.x, upright)}>{widths}</div>'
        f'<div class="xt">{escape(figure.x.title)}</div></div>'
    )


def ticks(low: float, high: float, most: int = MOST_TICKS) -> list[tuple[float, str]]:
    """Return round numbers from `low` to `high`, at most `most`, with their texts."""
    if not high > low:
        return [(low, f"{low:g}")]
    # The smallest of 1, 2 and 5 times a power of ten that leaves few enough.
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = power
    for factor in (1, 2, 5, 10):
        step = factor * power
        if (high - low) / step < most:
            break
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [(at * step, _number(at * step, digits)) for at in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return powers of ten from `low` to `high`; also 2 and 5 times them where those are few."""
    first = math.floor(math.log10(low))
    last = math.ceil(math.log10(high))
    factors = (1,) if last - first > 2 else (1, 2, 5)
    found = []
    for power in range(first, last + 1):
        for factor in factors:
            value = factor * 10.0**power
            if low * 0.999 <= value <= high * 1.001:
                found.append((value, f"{factor}e{power}".replace("-", "−")))
    # Of many decades every second or third.
    return found[:: math.ceil(len(found) / MOST_TICKS)]


class _Area:
    """The area between the axes: where marks lie in it, in percent, and how they are drawn."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        xs, ys = _extent(figure)
        self._x = _Scale(figure.x, xs)
        self._y = _Scale(figure.y, ys)
        self.xs = [(_short(self._x.at(value)), text) for value, text in self._x.ticks]
        self.ys = [(_short(100 - self._y.at(value)), text) for value, text in self._y.ticks]

    def grid(self) -> Iterator[str]:
        """Yield thin lines at numbers, and the two axes."""
        if not self._figure.y.names:
            for at, _ in self.ys:
                yield f'<line class="grid" x2="100%" y1="{at}%" y2="{at}%"/>'
        if not self._figure.x.names or self._figure.y.bare:
            for at, _ in self.xs:
                yield f'<line class="grid" y2="100%" x1="{at}%" x2="{at}%"/>'
        yield '<line class="axis" x2="100%" y1="100%" y2="100%"/>'
        if not self._figure.y.bare:
            yield '<line class="axis" y2="100%"/>'
        if self._figure.rule is not None:
            at = _short(self._x.at(self._figure.rule))
            yield f'<line class="rule" y2="100%" x1="{at}%" x2="{at}%"/>'

    def lines(self) -> Iterator[str]:
        """Yield areas and lines, in a picture that is stretched while their widths are not."""
        paths = []
        for mark in self._figure.marks:
            if isinstance(mark, Band):
                around = [*zip(mark.x, mark.high, strict=True)]
                around += [*zip(mark.x, mark.low, strict=True)][::-1]
                path = self._path(around)
                paths.append(f'<path d="{path}Z" fill="{mark.color}" fill-opacity=".15"/>')
            elif isinstance(mark, Line):
                paths.append(self._line(mark))
        if paths:
            yield (
                f'<svg class="lines" viewBox="0 0 {STRETCH} {STRETCH}" '
                f'preserveAspectRatio="none">{"".join(paths)}</svg>'
            )

    def bars(self) -> Iterator[str]:
        """Yield bars with their notes."""
        thick = 60 * abs(self._y.at(1) - self._y.at(0)) / 100  # of what a row has
        for mark in self._figure.marks:
            if not isinstance(mark, Bars):
                continue
            for bar in mark.bars:
                left = self._x.at(bar.start)
                right = self._x.at(bar.end)
                middle = 100 - self._y.at(bar.row)
                yield (
                    f'<rect x="{_short(left)}%" width="{_short(right - left)}%" '
                    f'y="{_short(middle - thick / 2)}%" height="{_short(thick)}%" '
                    f'fill="{bar.color}" fill-opacity="{bar.opacity}">{_title(bar.said)}</rect>'
                )
                if bar.note:
                    yield (
                        f'<text x="{_short(right)}%" y="{_short(middle)}%" dx="5" dy=".35em">'
                        f"{escape(bar.note)}</text>"
                    )

    def dots(self) -> Iterator[str]:
        """Yield dots with their intervals and notes, and the points of lines."""
        for mark in self._figure.marks:
            if isinstance(mark, Dots):
                yield f'<g color="{mark.color}" opacity="{mark.opacity:g}">'
                for dot in mark.dots:
                    if dot.between:
                        yield self._whisker(dot.between, dot.y)
                    kind = " ".join(["hollow"] * dot.hollow + ["ringed"] * dot.ringed)
                    yield self._dot(dot.x, dot.y, mark.symbol, mark.size, dot.said, kind)
                    if dot.note:
                        yield self._note(dot.x, dot.y, dot.note)
                yield "</g>"
            elif isinstance(mark, Line) and (mark.symbol or not isinstance(mark.said, str)):
                yield f'<g color="{mark.color}" opacity="{mark.opacity:g}">'
                yield from self._points(mark)
                yield "</g>"

    def _line(self, line: Line) -> str:
        dashed = ' stroke-dasharray="2 4"' if line.dashed else ""
        said = _title(line.said) if isinstance(line.said, str) else ""
        path = self._path([*zip(line.x, line.y, strict=True)])
        return (
            f'<path d="{path}" fill="none" stroke="{line.color}" stroke-width="{line.width:g}" '
            f'stroke-opacity="{line.opacity:g}"{dashed}>{said}</path>'
        )

    def _points(self, line: Line) -> Iterator[str]:
        """Yield a line's points: symbols, or what only says its text."""
        texts = [""] * len(line.x) if isinstance(line.said, str) else line.said
        for x, y, said in zip(line.x, line.y, texts, strict=True):
            if y is None:
                continue
            kind = "" if line.symbol else "unseen"
            yield self._dot(x, y, line.symbol or "circle", 7 if said else 5, said, kind)

    def _dot(self, x: float, y: float, symbol: str, size: int, said: str, kind: str) -> str:
        shown = f' class="{kind}"' if kind else ""
        place = f'x="{_short(self._x.at(x))}%" y="{_short(100 - self._y.at(y))}%"'
        return f'<use href="#{_shape(symbol, size)}" {place}{shown}>{_title(said)}</use>'

    def _whisker(self, between: tuple[float, float], y: float) -> str:
        low, high = (_short(min(max(self._x.at(end), 0.0), 100.0)) for end in between)
        at = _short(100 - self._y.at(y))
        return f'<line class="whisker" x1="{low}%" x2="{high}%" y1="{at}%" y2="{at}%"/>'

    def _note(self, x: float, y: float, note: str) -> str:
        place = f'x="{_short(self._x.at(x))}%" y="{_short(100 - self._y.at(y))}%"'
        return f'<text class="above" {place} dy="-9">{escape(note)}</text>'

    def _path(self, points: Sequence[tuple[float, float | None]]) -> str:
        """Return the steps of a line; it is broken where a point is missing."""
        steps = []
        begun = False
        for x, y in points:
            if y is None:
                begun = False
                continue
            across = round(STRETCH * self._x.at(x) / 100)
            down = round(STRETCH * (1 - self._y.at(y) / 100))
            steps.append(f"{'L' if begun else 'M'}{across} {down}")
            begun = True
        return "".join(steps)


class _Scale:
    """An axis from end to end, and where a value lies between them."""

    def __init__(self, axis: Axis, values: Sequence[float]) -> None:
        self._log = axis.log and min(values, default=1.0) > 0
        self._low, self._high = self._ends(axis, values)
        self.ticks: list[tuple[float, str]] = []
        if axis.names:
            self.ticks = [(float(at), name) for at, name in enumerate(axis.names)]
        elif not axis.bare and self._log:
            self.ticks = log_ticks(self._low, self._high)
        elif not axis.bare:
            self.ticks = ticks(self._low, self._high)

    def at(self, value: float) -> float:
        """Return where a value lies, in percent of the axis."""
        low, high, here = map(self._scaled, (self._low, self._high, value))
        return 100 * (here - low) / (high - low)

    def _ends(self, axis: Axis, values: Sequence[float]) -> tuple[float, float]:
        low = min(values, default=0.0) if axis.low is None else axis.low
        high = max(values, default=1.0) if axis.high is None else axis.high
        # Room beside the outer marks; equal values lie in the middle.
        if self._log:
            room = (high / low) ** 0.04 if high > low else 2.0
            return low / room, high * room
        room = 0.05 * (high - low) or abs(high) * 0.1 or 1.0
        if axis.low is None:
            low -= room
        if axis.high is None:
            high += room
        return low, high

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self._log else value


def _extent(figure: Figure) -> tuple[list[float], list[float]]:
    """Return all places of marks, along x and along y."""
    xs: list[float] = []
    ys: list[float] = []
    for mark in figure.marks:
        match mark:
            case Dots():
                for dot in mark.dots:
                    xs += [dot.x, *(dot.between or ())]
                    ys.append(dot.y)
            case Line():
                xs += mark.x
                ys += [y for y in mark.y if y is not None]
            case Band():
                xs += mark.x
                ys += [y for y in (*mark.low, *mark.high) if y is not None]
            case Bars():
                for bar in mark.bars:
                    xs += [bar.start, bar.end]
                    ys.append(bar.row)
    return xs, ys


def _depth(axis: Axis, upright: bool) -> str:
    """Return the room that upright names need below a figure."""
    if not upright:
        return ""
    return f' style="height:{max(map(len, axis.names)) * 0.58 + 0.8:.1f}em"'


def _shape(symbol: str, size: int) -> str:
    return f"s-{symbol}-{size}"


def _title(said: str) -> str:
    return f"<title>{escape(said)}</title>" if said else ""


def _short(value: float) -> str:
    """Return a place in percent with two decimals, so that the page stays small."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _number(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    return f"{value:,.{digits}f}".replace("-", "−")
