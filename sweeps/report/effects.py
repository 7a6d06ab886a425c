"""Effects: planned contrasts of arms, with tests, and every pair of arms, with intervals alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from sweeps.records.design import MIN_SEEDS, Design
from sweeps.report.formats import named
from sweeps.report.narrowing import narrow
from sweeps.report.variance import Interval, crossed, over_seeds
from sweeps.report.verdicts import Compared, Kind, judge, level_of

Values = Mapping[str, Mapping[int, NDArray[np.float64]]]
"""By arm and number of a seed, each test image's value [N], the same images for all."""

ALPHA = 0.05
PLANNED = (
    *("name", "estimate", "low", "high", "p_holm", "verdict", "decided", "detectable", "n"),
    *("of_seeds", "of_recipes", "of_images", "more_seeds", "more_images", "binds"),
)
PAIRS = (
    *("a", "b", "difference", "low", "high", "seeds_low", "seeds_high"),
    *("wins", "n", "superiority", "superiority_low", "superiority_high", "detectable"),
)
DECIMALS = 12  # of a weighted sum: equal arms cancel to 0, and not to what rounding leaves


def compared(contrasts: Sequence[Mapping[str, Any]], values: Values) -> dict[str, Compared]:
    """Return each contrast whose patterns all match an arm as one array [seeds, images].

    Its mean is the estimate.
    """
    found = {}
    for contrast in contrasts:
        total = _weighted(contrast["weights"], values)
        if total is not None:
            found[str(contrast["name"])] = total
    return found


def planned(
    contrasts: Sequence[Mapping[str, Any]], values: Values, design: Design, reached: int
) -> pd.DataFrame:
    """Return a row for each planned contrast whose patterns all match an arm.

    The interval is that of `variance.crossed` of the weighted sum, for other recipes that a
    search would find, new seeds and new images: seeds and images are paired, what arms share
    cancels. The verdict is that of `verdicts.judge`, after all looks that were made. `detectable`
    is at the level of a look now, shared by all rows: the smallest true difference that would come
    out at it, in 80% of cases. The parts of the standard error, and what would narrow it, are those of
    `narrowing.narrow`. Under 3 seeds there is the estimate, and NaN for the rest.

    Args:
        contrasts: Each with a `name` and `weights`, by shell pattern of arms' names; the arms that
            match a pattern share its weight equally.
        values: By arm; a contrast is over the seeds that all its arms have.
        design: Of the sweep.
        reached: Seeds of which all runs are over.

    Raises:
        ValueError: The arms' images differ in number.
    """
    _check(values)
    known = compared(contrasts, values)
    verdicts = judge(known, design, reached)
    undecided = sum(verdict.kind is Kind.OPEN for verdict in verdicts.values())

    rows = []
    for name, total in known.items():
        recipes = total.recipes(design)
        interval = crossed(total.values, recipes=recipes, luck=design.luck)
        alpha = level_of(interval.n, design) / len(known)
        verdict = verdicts[name]
        row = {
            "name": name,
            "estimate": interval.mean,
            "low": _known(interval.low),
            "high": _known(interval.high),
            "p_holm": verdict.p,
            "verdict": verdict.kind.value,
            "decided": 0 if verdict.kind is Kind.OPEN else verdict.seeds,
            "detectable": _detectable(
                crossed(total.values, 1 - alpha, recipes, design.luck), alpha
            ),
            "n": interval.n,
        }
        rows.append(row | asdict(narrow(total, design, undecided)))
    return pd.DataFrame(rows, columns=list(PLANNED))


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


def pairs(values: Values, design: Design) -> pd.DataFrame:
    """Return each pair of arms once, in the order of the arms: a - b, and how often a > b.

    `low`, `high`: other recipes of the same search, new seeds and new images, images paired
    (`variance.crossed`). `seeds_low`, `seeds_high`: new seeds on these images. `superiority`: chance that a run of a scores higher
    than one of b with the same seed (Bouthillier et al. 2021, "Accounting for Variance in Machine
    Learning Benchmarks"), with its Clopper-Pearson interval. A tie counts as half a win; the
    limits, beta quantiles, take halves as they are. Higher is not better where values are log
    losses.

    No adjustment for the number of pairs: these are not tests, see `planned`. Under 3 seeds all
    intervals are NaN.

    Args:
        values: By arm; a pair is over the seeds that both have, and left out where they have none.
        design: Of the sweep.

    Raises:
        ValueError: The arms' images differ in number.
    """
    _check(values)
    rows = []
    for a, b in itertools.combinations(values, 2):
        apart = _weighted({a: 1.0, b: -1.0}, values, exact=True)
        if apart is None:
            continue
        difference = apart.values  # [seeds, images]
        by_seed = np.round(difference.mean(axis=1), DECIMALS)  # [seeds]
        both = crossed(difference, recipes=apart.recipes(design), luck=design.luck)
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
    images = {arm: len(next(iter(of_arm.values()), ())) for arm, of_arm in values.items()}
    if len(set(images.values())) > 1:
        raise ValueError(
            f"all arms must have the same images, but got {named(images)}: take what they have in "
            "common."
        )


def _weighted(
    weights: Mapping[str, float], values: Values, *, exact: bool = False
) -> Compared | None:
    """Return the weighted sum of arms over the seeds that all of them have.

    None where a pattern matches no arm, or they have no seed in common. Where names are `exact`,
    they are no patterns.
    """
    # The arms of a pattern share its weight: their mean counts once.
    shares: dict[str, float] = {}
    for pattern, weight in weights.items():
        matching = [
            arm for arm in values if arm == pattern or (not exact and fnmatchcase(arm, pattern))
        ]
        if not matching:
            return None
        for arm in matching:
            shares[arm] = shares.get(arm, 0.0) + weight / len(matching)
    # Arms that cancel have no say, nor have their seeds.
    used = {arm: share for arm, share in shares.items() if share}
    common = set.intersection(*(set(values[arm]) for arm in used)) if used else set()
    if not common:
        return None
    seeds = sorted(common)
    total = np.zeros((len(seeds), len(values[next(iter(used))][seeds[0]])))
    for arm, share in used.items():
        total += share * np.stack([values[arm][seed] for seed in seeds])
    return Compared(np.array(seeds), np.round(total, DECIMALS))


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
