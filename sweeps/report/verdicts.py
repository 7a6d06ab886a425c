"""Verdicts on planned comparisons, looked at after each round of seeds.

Seeds come in rounds. After each, an open comparison is decided or goes on. Whoever looks ten times
at a level of 5% finds something in one of six sweeps in which nothing is to be found. So the level
of a look is `LEVEL` over the number of rounds that it has seen: however many rounds there are, and
whenever more are added, all looks together find something false in at most 5% of such sweeps
(`benchmarks/coverage.py`). A level that falls with the information needs no number of looks to be
fixed beforehand, unlike those of Pocock (1977, Biometrika 64, 191-199), and costs later looks less
than it costs the first.

Several comparisons are adjusted by Holm at each look.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sweeps.records.design import MIN_SEEDS, Design, turn_of
from sweeps.report.variance import errors, p_value

LEVEL = 0.024
"""Two-sided level of the first look; all of 400 looks are wrong in 5.0% of cases together."""


class Kind(StrEnum):
    """The ways in which a comparison ends."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "no difference that matters"
    OPEN = "cannot tell"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What is known of a comparison.

    Attributes:
        kind: How it ended, or that it is open.
        seeds: After how many seeds it was decided, or last looked at; 0 where it never was.
        p: Of no difference, adjusted by Holm, at that look; NaN where there was none.
    """

    kind: Kind
    seeds: int
    p: float


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison's values.

    Attributes:
        seeds: [n], numbers of the seeds that all its arms have, ascending.
        values: [n, images], weighted sums over arms.
    """

    seeds: NDArray[np.int64]
    values: NDArray[np.float64]

    def until(self, seeds: int) -> Compared:
        """Return what the first seeds say."""
        known = self.seeds < seeds
        return Compared(self.seeds[known], self.values[known])

    def recipes(self, design: Design) -> list[int]:
        """Return the number of the recipe that each seed trained."""
        return [turn_of(int(seed), design.recipes) for seed in self.seeds]


def judge(compared: Mapping[str, Compared], design: Design, reached: int) -> dict[str, Verdict]:
    """Return the verdict of each comparison.

    Args:
        compared: By name.
        design: Of the sweep.
        reached: Seeds of which all runs are over: no look is made before its round is.
    """
    never = Verdict(kind=Kind.OPEN, seeds=0, p=math.nan)
    verdicts = dict.fromkeys(compared, never)
    for look in design.looks:
        if look > reached:
            break
        # What is decided stays so: only the open ones share the level.
        known = {}
        for name, verdict in verdicts.items():
            if verdict.kind is Kind.OPEN:
                known[name] = compared[name].until(look)
        apart = holm([_differs(one, design) for one in known.values()])
        alike = holm([_matters(one, design) for one in known.values()])
        level = level_of(look, design)
        for (name, one), p, p_alike in zip(known.items(), apart, alike, strict=True):
            kind = Kind.OPEN
            if p_alike < level:
                kind = Kind.SAME
            elif p < level:
                kind = Kind.BETTER if one.values.mean() > 0 else Kind.WORSE
            verdicts[name] = Verdict(kind=kind, seeds=look, p=p)
    return verdicts


def level_of(seeds: int, design: Design) -> float:
    """Return the two-sided level of a look after so many seeds."""
    if design.once:
        return LEVEL
    return LEVEL / max(1.0, seeds / design.round)


def holm(p: Sequence[float]) -> list[float]:
    """Return adjusted p values, in the order given. NaN, no test, stays NaN.

    Reject those below alpha, and the chance of any false rejection is at most alpha, whatever the
    tests have in common (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).
    """
    # Step down from the smallest p.
    order = sorted((i for i in range(len(p)) if not math.isnan(p[i])), key=lambda i: p[i])
    adjusted = [math.nan] * len(p)
    floor = 0.0  # adjusted values never fall from one rank to the next
    for rank, i in enumerate(order):
        floor = max(floor, min(1.0, (len(order) - rank) * p[i]))
        adjusted[i] = floor
    return adjusted


def _differs(one: Compared, design: Design) -> float:
    """Return the two-sided p of no difference; NaN where there are too few seeds."""
    if len(one.seeds) < MIN_SEEDS:
        return math.nan
    return p_value(one.values, one.recipes(design), luck=design.luck)


def _matters(one: Compared, design: Design) -> float:
    """Return the p of a difference of `worth` or more, by two one-sided tests.

    Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680: the larger of
    both. NaN where there is no interval.
    """
    if len(one.seeds) < MIN_SEEDS:
        return math.nan
    recipes = one.recipes(design)
    if errors(one.values, recipes, design.luck) is None:
        return math.nan
    mean = float(one.values.mean())
    if abs(mean) >= design.worth:
        return 1.0
    sides = []
    for null in (-design.worth, design.worth):
        sides.append(p_value(one.values, recipes, null, design.luck) / 2)
    return max(sides)
