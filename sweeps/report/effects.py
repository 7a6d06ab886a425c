"""What differs between arms: the planned contrasts, with tests, and every pair of arms, with intervals alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from sweeps.report.variance import MIN_SEEDS, Interval, crossed, over_seeds, p_value

Values = Mapping[str, NDArray[np.floating]]
"""By arm, [seeds, images]: the same seeds in the same rows and the same images in the same columns."""

ALPHA = 0.05
PLANNED = ("name", "estimate", "low", "high", "p", "p_holm", "significant", "detectable", "n")
PAIRS = (
    *("a", "b", "difference", "low", "high", "seeds_low", "seeds_high"),
    *("wins", "n", "superiority", "superiority_low", "superiority_high", "detectable"),
)
DECIMALS = 12  # of a weighted sum: arms that are equal cancel to 0, and not to what rounding leaves


def planned(contrasts: Sequence[Mapping[str, Any]], values: Values) -> pd.DataFrame:
    """A row for each planned contrast whose patterns all match an arm; on it t tests, adjusted by Holm.

    The interval and p are those of `variance.crossed`, new seeds and new images, of the weighted sum: seeds and images are
    paired, what arms share cancels. `detectable` is at ALPHA / rows, Holm's first step: the smallest true difference that
    would have come out as significant, in 80% of cases, whatever the other contrasts did. Under 3 seeds there is the
    estimate, and NaN and False for the rest.

    Args:
        contrasts: Each with a `name` and `weights`, by shell pattern of arms' names; the arms that match a pattern share its
            weight equally.
        values: By arm.

    Raises:
        ValueError: The arms' shapes differ.
    """
    _check(values)
    sums = [
        (str(c["name"]), total)
        for c in contrasts
        if (total := _weighted(c["weights"], values)) is not None
    ]
    p = [p_value(total) for _, total in sums]
    rows = []
    for (name, total), raw, adjusted in zip(sums, p, holm(p), strict=True):
        interval, alpha = crossed(total), ALPHA / len(sums)
        least = _detectable(crossed(total, 1 - alpha), alpha)
        rows.append(
            (
                name,
                interval.mean,
                *_ends(interval),
                raw,
                adjusted,
                adjusted < ALPHA,
                least,
                interval.n,
            )
        )
    return pd.DataFrame(rows, columns=list(PLANNED)).astype({"significant": bool})


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p values, in the order given: reject those below alpha, and the chance of any false rejection is at most alpha.

    Whatever the tests have in common (Holm 1979, Scandinavian Journal of Statistics 6, 65-70). NaN, no test, stays NaN.
    """
    order = sorted((i for i in range(len(p)) if not math.isnan(p[i])), key=lambda i: p[i])
    adjusted, floor = [math.nan] * len(p), 0.0
    for rank, i in enumerate(order):
        floor = max(floor, min(1.0, (len(order) - rank) * p[i]))
        adjusted[i] = floor
    return adjusted


def detectable(se: float, df: float, alpha: float = ALPHA, power: float = 0.8) -> float:
    """Smallest true difference that a two-sided t test at `alpha` finds with the chance `power`, if this is its error.

    By the noncentral t distribution, as in Cohen (1988), Statistical Power Analysis for the Behavioral Sciences. The chance
    to find it with the wrong sign, under 1e-6 at the defaults, does not count.

    Args:
        se: Standard error of the difference.
        df: Its degrees of freedom.
        alpha: Level of the test.
        power: Share of cases.
    """
    return se * float(special.nctdtrinc(df, 1 - power, special.stdtrit(df, 1 - alpha / 2)))


def pairs(values: Values) -> pd.DataFrame:
    """Each pair of arms once, in the order of the arms: the difference a - b with its intervals, and how often a > b.

    `low`, `high`: new seeds and new images, images paired (`variance.crossed`). `seeds_low`, `seeds_high`: new seeds on
    these images. `superiority`: chance that a run of a scores higher than one of b with the same seed (Bouthillier et al.
    2021, "Accounting for Variance in Machine Learning Benchmarks"), with its Clopper-Pearson interval. A tie counts as half
    a win; the limits, beta quantiles, take halves as they are. Higher is not better where values are log losses.

    No adjustment for the number of pairs: these are not tests, see `planned`. Under 3 seeds all intervals are NaN.

    Args:
        values: By arm.

    Raises:
        ValueError: The arms' shapes differ.
    """
    _check(values)
    rows = []
    for a, b in itertools.combinations(values, 2):
        difference = np.round(values[a] - values[b], DECIMALS)
        by_seed = np.round(difference.mean(axis=1), DECIMALS)
        both, seeds = crossed(difference), over_seeds(by_seed.tolist())
        wins = float((by_seed > 0).sum() + (by_seed == 0).sum() / 2)
        rows.append(
            (
                *(a, b, both.mean, *_ends(both), *_ends(seeds)),
                *(
                    wins,
                    both.n,
                    wins / both.n,
                    *_clopper_pearson(wins, both.n),
                    _detectable(both, ALPHA),
                ),
            )
        )
    return pd.DataFrame(rows, columns=list(PAIRS))


def _check(values: Values) -> None:
    shapes = {arm: np.shape(array) for arm, array in values.items()}
    if len(set(shapes.values())) > 1:
        given = ", ".join(f"{arm} {shape}" for arm, shape in shapes.items())
        raise ValueError(
            f"all arms must have the same seeds and images, but got {given}: take what they have in common."
        )


def _weighted(weights: Mapping[str, float], values: Values) -> NDArray[np.float64] | None:
    """The weighted sum of the arms, [seeds, images]; None where a pattern matches no arm."""
    matching = {
        pattern: [values[arm] for arm in values if fnmatchcase(arm, pattern)] for pattern in weights
    }
    if not all(matching.values()):
        return None
    parts = [
        weight * np.mean(matching[pattern], axis=0, dtype=np.float64)
        for pattern, weight in weights.items()
    ]
    total: NDArray[np.float64] = np.round(np.sum(parts, axis=0), DECIMALS)
    return total


def _ends(interval: Interval) -> tuple[float, float]:
    if interval.low is None or interval.high is None:
        return math.nan, math.nan
    return interval.low, interval.high


def _detectable(interval: Interval, alpha: float) -> float:
    return (
        math.nan
        if interval.se is None or interval.df is None
        else detectable(interval.se, interval.df, alpha)
    )


def _clopper_pearson(wins: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact limits of a share (Clopper and Pearson 1934, Biometrika 26, 404-413)."""
    if n < MIN_SEEDS:
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    low = 0.0 if wins == 0 else float(stats.beta.ppf(tail, wins, n - wins + 1))
    high = 1.0 if wins == n else float(stats.beta.ppf(1 - tail, wins + 1, n - wins))
    return low, high
