"""Effects: planned contrasts of arms, with tests, and every pair of arms, with intervals alone."""

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

from sweeps.report.formats import named
from sweeps.report.variance import MIN_SEEDS, Interval, crossed, over_seeds, p_value

Values = Mapping[str, NDArray[np.floating]]
"""By arm, [seeds, images]: the same seeds in the same rows, the same images in the same columns."""

ALPHA = 0.05
PLANNED = ("name", "estimate", "low", "high", "p", "p_holm", "significant", "detectable", "n")
PAIRS = (
    *("a", "b", "difference", "low", "high", "seeds_low", "seeds_high"),
    *("wins", "n", "superiority", "superiority_low", "superiority_high", "detectable"),
)
DECIMALS = 12  # of a weighted sum: equal arms cancel to 0, and not to what rounding leaves


def planned(contrasts: Sequence[Mapping[str, Any]], values: Values) -> pd.DataFrame:
    """Return a row for each planned contrast whose patterns all match an arm.

    On it t tests, adjusted by Holm. The interval and p are those of `variance.crossed`, new seeds
    and new images, of the weighted sum: seeds and images are paired, what arms share cancels.
    `detectable` is at ALPHA / rows, Holm's first step: the smallest true difference that would have
    come out as significant, in 80% of cases, whatever the other contrasts did. Under 3 seeds there
    is the estimate, and NaN and False for the rest.

    Args:
        contrasts: Each with a `name` and `weights`, by shell pattern of arms' names; the arms that
            match a pattern share its weight equally.
        values: By arm.

    Raises:
        ValueError: The arms' shapes differ.
    """
    _check(values)
    # Each contrast as one array [seeds, images], whose mean is the estimate.
    sums: list[tuple[str, NDArray[np.float64]]] = []
    for contrast in contrasts:
        total = _weighted(contrast["weights"], values)
        if total is not None:
            sums.append((str(contrast["name"]), total))
    # Holm counts those alone that can be had.
    raw = [p_value(total) for _, total in sums]
    adjusted = holm(raw)

    rows = []
    for (name, total), p, p_holm in zip(sums, raw, adjusted, strict=True):
        interval = crossed(total)
        alpha = ALPHA / len(sums)
        row = {
            "name": name,
            "estimate": interval.mean,
            "low": _known(interval.low),
            "high": _known(interval.high),
            "p": p,
            "p_holm": p_holm,
            "significant": p_holm < ALPHA,
            "detectable": _detectable(crossed(total, 1 - alpha), alpha),
            "n": interval.n,
        }
        rows.append(row)
    return pd.DataFrame(rows, columns=list(PLANNED)).astype({"significant": bool})


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


def detectable(se: float, df: float, alpha: float = ALPHA, power: float = 0.8) -> float:
    """Return the smallest true difference that a two-sided t test finds with the chance `power`.

    By the noncentral t distribution, as in Cohen (1988), Statistical Power Analysis for the
    Behavioral Sciences. The chance to find it with the wrong sign, under 1e-6 at the defaults, does
    not count.

    Args:
        se: Standard error of the difference.
        df: Its degrees of freedom.
        alpha: Level of the test.
        power: Share of cases.
    """
    return se * float(special.nctdtrinc(df, 1 - power, special.stdtrit(df, 1 - alpha / 2)))


def pairs(values: Values) -> pd.DataFrame:
    """Return each pair of arms once, in the order of the arms: a - b, and how often a > b.

    `low`, `high`: new seeds and new images, images paired (`variance.crossed`). `seeds_low`,
    `seeds_high`: new seeds on these images. `superiority`: chance that a run of a scores higher
    than one of b with the same seed (Bouthillier et al. 2021, "Accounting for Variance in Machine
    Learning Benchmarks"), with its Clopper-Pearson interval. A tie counts as half a win; the
    limits, beta quantiles, take halves as they are. Higher is not better where values are log
    losses.

    No adjustment for the number of pairs: these are not tests, see `planned`. Under 3 seeds all
    intervals are NaN.

    Args:
        values: By arm.

    Raises:
        ValueError: The arms' shapes differ.
    """
    _check(values)
    rows = []
    for a, b in itertools.combinations(values, 2):
        difference = np.round(values[a] - values[b], DECIMALS)  # [seeds, images]
        by_seed = np.round(difference.mean(axis=1), DECIMALS)  # [seeds]
        both = crossed(difference)
        seeds = over_seeds(by_seed.tolist())
        wins = float((by_seed > 0).sum() + (by_seed == 0).sum() / 2)
        # Superiority counts seeds, a tie as half a win.
        superiority_low, superiority_high = _clopper_pearson(wins, both.n)
        row = {
            "a": a,
            "b": b,
            "difference": both.mean,
            "low": _known(both.low),
            "high": _known(both.high),
            "seeds_low": _known(seeds.low),
            "seeds_high": _known(seeds.high),
            "wins": wins,
            "n": both.n,
            "superiority": wins / both.n,
            "superiority_low": superiority_low,
            "superiority_high": superiority_high,
            "detectable": _detectable(both, ALPHA),
        }
        rows.append(row)
    return pd.DataFrame(rows, columns=list(PAIRS))


def _check(values: Values) -> None:
    shapes = {arm: np.shape(array) for arm, array in values.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(
            f"all arms must have the same seeds and images, but got {named(shapes)}: take what "
            "they have in common."
        )


def _weighted(weights: Mapping[str, float], values: Values) -> NDArray[np.float64] | None:
    """Return the weighted sum of the arms, [seeds, images]; None where a pattern matches no arm."""
    # The arms of a pattern share its weight: their mean counts once.
    parts = []
    for pattern, weight in weights.items():
        matching = [values[arm] for arm in values if fnmatchcase(arm, pattern)]
        if not matching:
            return None
        parts.append(weight * np.mean(matching, axis=0, dtype=np.float64))
    total: NDArray[np.float64] = np.round(np.sum(parts, axis=0), DECIMALS)
    return total


def _known(end: float | None) -> float:
    """Return an end of an interval, NaN where there is none."""
    return math.nan if end is None else end


def _detectable(interval: Interval, alpha: float) -> float:
    if interval.se is None or interval.df is None:
        return math.nan
    return detectable(interval.se, interval.df, alpha)


def _clopper_pearson(wins: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return exact limits of a share (Clopper and Pearson 1934, Biometrika 26, 404-413)."""
    if n < MIN_SEEDS:
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    # At no win, or nothing but wins, the limit is that of all shares: beta has no quantile there.
    low = 0.0
    high = 1.0
    if wins > 0:
        low = float(stats.beta.ppf(tail, wins, n - wins + 1))
    if wins < n:
        high = float(stats.beta.ppf(1 - tail, wins + 1, n - wins))
    return low, high
