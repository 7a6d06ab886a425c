"""Whether the champion is right as often as it is sure, on the test images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.report.blocks import Block, Plot, Row, Table, Text, number_columns
from sweeps.report.figures import GREY, Axis, Dot, Dots, Figure, Line, color, hover
from sweeps.report.finalists import Group
from sweeps.report.findings import Findings
from sweeps.report.formats import MISSING, percent, seeds
from sweeps.report.mistakes import predicting
from trainables.problems import counted

BINS = 10  # of equal width, as in Guo et al. 2017
SURE = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """Predictions that are about as sure as each other.

    Attributes:
        low: Its lowest probability, which is not in it, but for 0.
        high: Its highest, which is.
        count: Predictions in it.
        sure: Their mean probability; NaN where there are none.
        right: The share of them that is right; NaN where there are none.
    """

    low: float
    high: float
    count: int
    sure: float
    right: float


def how_sure(findings: Findings) -> str:
    """Return how often the champion is right when it is at least 90% sure, and how often that is.

    Empty where its predictions are not there.
    """
    champion = predicting(findings)
    if champion is None:
        return ""
    sure, right = _predictions(champion)
    chosen = sure >= SURE
    if not chosen.any():
        return f"It is never {percent(SURE, 0)}% sure of a test image."
    return (
        f"When it is at least {percent(SURE, 0)}% sure, it is right in "
        f"{percent(float(right[chosen].mean()))}% of cases; that covers "
        f"{percent(float(chosen.mean()))}% of the test images."
    )


def bins(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> list[Bin]:
    """Return predictions by how sure they are.

    Args:
        sure: [N], the probability that each predicted class was given.
        right: [N], whether it was the true class.
    """
    ends = np.linspace(0, 1, BINS + 1)
    # A probability of 0.9 is in the bin that ends with it, one of 0 in the first.
    place = np.clip(np.ceil(np.round(sure * BINS, 9)).astype(int) - 1, 0, BINS - 1)
    found = []
    for at in range(BINS):
        chosen = place == at
        sure_here = right_here = float("nan")
        if chosen.any():
            sure_here = float(sure[chosen].mean())
            right_here = float(right[chosen].mean())
        found.append(
            Bin(
                low=float(ends[at]),
                high=float(ends[at + 1]),
                count=int(chosen.sum()),
                sure=sure_here,
                right=right_here,
            )
        )
    return found


def calibration_error(found: list[Bin]) -> float:
    """Return the expected calibration error: how far sureness and accuracy are apart, on average.

    The mean over predictions of the distance in their bin (Guo et al. 2017, "On Calibration of
    Modern Neural Networks").
    """
    known = [one for one in found if one.count]
    total = sum(one.count for one in known)
    return sum(one.count * abs(one.sure - one.right) for one in known) / total


def blocks(findings: Findings) -> list[Block]:
    """Return a reliability diagram with its numbers in a table; a sentence without predictions."""
    champion = predicting(findings)
    if champion is None:
        return [Text("Calibration: there are no predictions of a champion.")]
    sure, right = _predictions(champion)
    found = bins(sure, right)
    error = percent(calibration_error(found))
    trained = seeds(len(champion.predicted))
    caption = (
        f"Test images by how sure {champion.name} is of its prediction, in steps of 10%: the share "
        "that is right, and above it how many predictions that is. On the dashed line it is right "
        "as often as it says; below, it is too sure. Expected calibration error (ECE): "
        f"{error} points over {BINS} bins; {counted(len(sure), 'prediction')} of {trained}."
    )
    plot = Plot(figure=_diagram(found), caption=caption, title="Calibration", narrow=True)
    return [Text(how_sure(findings)), plot, _table(found)]


def _predictions(champion: Group) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return how sure the predictions of all seeds are, and which are right, [seeds x N] both."""
    trained = champion.predicted
    sure = np.concatenate([seed.sure for seed in trained])
    right = np.concatenate([seed.right for seed in trained])
    return sure, right


def _diagram(found: list[Bin]) -> Figure:
    known = [one for one in found if one.count]
    dots = []
    for one in known:
        said = hover(
            f"{percent(one.sure)}% sure on average",
            f"{percent(one.right)}% right",
            counted(one.count, "prediction"),
        )
        x = 100 * one.sure
        dots.append(Dot(x=x, y=100 * one.right, said=said, note=f"{one.count:,}"))
    line = Line(x=[dot.x for dot in dots], y=[dot.y for dot in dots], color=color(0))
    ideal = Line(x=[0, 100], y=[0, 100], color=GREY, width=1.4, dashed=True)
    return Figure(
        marks=[ideal, line, Dots(dots=dots, color=color(0), size=10)],
        x=Axis(title="how sure it is, %", low=0, high=102),
        y=Axis(title="right, %", low=0, high=108),
        height=300,
    )


def _table(found: list[Bin]) -> Table:
    rows = []
    for one in found:
        sure = percent(one.sure) if one.count else MISSING
        right = percent(one.right) if one.count else MISSING
        span = f"{percent(one.low, 0)} to {percent(one.high, 0)}"
        rows.append(Row((span, f"{one.count:,}", sure, right)))
    columns = number_columns(["confidence, %", "predictions", "mean confidence, %", "right, %"])
    return Table(columns=columns, rows=rows, title="Calibration in numbers", folded=True)
