"""From what a score's spread comes: recipes, seeds, draws of images, test images, and the rest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from sweeps.records.design import turn_of
from sweeps.report.findings import Findings
from sweeps.report.variance import components, within_and_between

Arms = Mapping[str, Mapping[int, NDArray[np.float64]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Standard deviations of one run's score, in its unit; NaN where the sweep cannot tell.

    Attributes:
        recipes: From one recipe that a search finds to the next, in the same arm.
        seeds: From one seed to the next on the same draw.
        draws: From one draw of train and val images to the next, as far as all arms share it.
        images: From one set of as many test images to the next.
        residual: What a run makes of these very images, beyond all that.
    """

    recipes: float
    seeds: float
    draws: float
    images: float
    residual: float


def spread_of(findings: Findings) -> Spread | None:
    """Return the parts of the spread of a sweep's scores; None where nothing is known of them."""
    score = findings.run.score
    if score == "macro_f1":  # which has no images' values
        return None
    arms = {arm: group.images(score) for arm, group in findings.arms.items() if group.predicted}
    own_draws = bool(findings.run.history.draws)
    return spread(arms, findings.design.recipes, own_draws=own_draws)


def spread(arms: Arms, turn: int, *, own_draws: bool) -> Spread | None:
    """Return the parts of a score's spread, by the method of moments, pooled over arms.

    Args:
        arms: By arm and number of a seed, each test image's value [N].
        turn: How many recipes take turns.
        own_draws: Whether each seed has its own draw.

    Returns:
        None where no arm has two seeds.
    """
    of_arms = [arm for arm in arms.values() if len(arm) > 1]
    if not of_arms:
        return None
    # Of each arm: what images and the residual make of a score.
    parts = [components(np.stack(list(arm.values()))) for arm in of_arms]
    images = fmean(part.images**2 for part in parts)
    residual = fmean(part.residual**2 for part in parts)

    # Rows of an arm vary by recipe and by seed; what all arms share of a seed is its draw.
    within = []
    between = []
    for arm in of_arms:
        part = within_and_between(_rows(arm), [turn_of(seed, turn) for seed in arm])
        if part:
            within.append(part[0])
            between.append(part[1])
    draws = _shared(of_arms) if own_draws else math.nan
    if within:
        seeds = fmean(within) - residual
        recipes = fmean(between)
    else:
        # A seed of each recipe: the two cannot be told apart.
        seeds = fmean(float(_rows(arm).var(ddof=1)) for arm in of_arms) - residual
        recipes = math.nan if turn > 1 else 0.0
    if draws == draws:
        seeds -= draws
    return Spread(
        recipes=_root(recipes),
        seeds=_root(seeds),
        draws=_root(draws),
        images=_root(images),
        residual=_root(residual),
    )


def _shared(arms: Sequence[Mapping[int, NDArray[np.float64]]]) -> float:
    """Return the mean covariance of two arms' scores over their seeds; NaN of one arm."""
    found = []
    for one, other in itertools.combinations(arms, 2):
        common = [seed for seed in one if seed in other]
        if len(common) < 2:
            continue
        a = np.array([one[seed].mean() for seed in common])
        b = np.array([other[seed].mean() for seed in common])
        found.append(float(np.cov(a, b)[0, 1]))
    return fmean(found) if found else math.nan


def _rows(arm: Mapping[int, NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.array([values.mean() for values in arm.values()])


def _root(variance: float) -> float:
    """Return a standard deviation; a part that comes out below 0 is 0."""
    return math.sqrt(max(variance, 0.0)) if variance == variance else math.nan
