"""How far a score would move with other seeds, with other images, and with both.

A score is a mean over test images: values are [seeds, images], one row per training run, one column
per image. Seeds and images are crossed, each seed meets each image once. No distribution of the
values is assumed: for any array whose seeds and whose images are independent draws, right or wrong
(1.0, 0.0) as well as log losses, the mean squares below have the expectations

    E MS_seed = images * var_seed + var_residual,   E MS_image = seeds * var_image + var_residual

and var(mean) = (E MS_seed + E MS_image - E MS_residual) / (seeds * images): Searle, Casella and
McCulloch, Variance Components (1992), for the two-way crossed model; Hillis 2007, Statistics in
Medicine 26, 596-619, for readers and cases.

Where an arm is judged by several of its recipes, each seed trains one of them, in turn: seeds are
nested in recipes, and the variance of a seed's row splits into that between recipes and that within
them (one-way random model, unequal numbers: Searle, Casella and McCulloch, section 3.6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from sweeps.records.design import MIN_SEEDS

LEAST_P = 1e-100
ENOUGH_RECIPES = 5
"""Recipes from which on seeds bring degrees of freedom of their own. Of fewer, an estimate of how much
they differ is often 0 by chance, and looks at it would find too much.
"""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its interval, in the unit of the values; 95% unless said.

    Attributes:
        mean: Over all seeds and images.
        low: Lower end; None under 3 seeds, or where a value is not finite.
        high: Upper end; None where `low` is.
        n: Seeds.
        se: Standard error of the mean: the interval is mean -/+ t(df) * se. None where `low` is.
        df: Degrees of freedom of `se`; need not be whole. None where `low` is.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    se: float | None
    df: float | None


@dataclass(frozen=True, slots=True)
class Components:
    """Standard deviations in the unit of the score.

    Attributes:
        seed: A test score's, from one seed to the next.
        images: A test score's, from one set of as many test images to the next.
        residual: A test score's of one seed: what this seed makes of these images, beyond the two.
    """

    seed: float
    images: float
    residual: float


def over_seeds(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return what another seed would give, on these very images.

    Student's t interval with n - 1 degrees of freedom.

    Args:
        values: One score per seed.
        confidence: Share of such intervals that hold the expectation over seeds.

    Raises:
        ValueError: There is no value.
    """
    scores = np.asarray(values, dtype=float)
    if scores.ndim != 1 or not scores.size:
        raise ValueError(
            f"there must be one score per seed, and at least one, but got shape {scores.shape}."
        )
    mean = float(scores.mean())
    n = len(scores)
    if n < MIN_SEEDS or not np.isfinite(scores).all():
        return Interval(mean, None, None, n, None, None)
    return _interval(mean, n, float(scores.std(ddof=1)) / math.sqrt(n), n - 1.0, confidence)


def crossed(
    values: NDArray[np.floating],
    confidence: float = 0.95,
    recipes: Sequence[int] | None = None,
    luck: float = 1.0,
) -> Interval:
    """Return what new seeds would give on new images of the same source.

    Seeds and images are crossed, both random, one value per cell. The squared standard error is
    V_seed + V_image: V_seed = MS_seed / (S I), and V_image = (MS_image - MS_residual) / (S I) but
    not below 0. So it is never below what seeds alone give: where images add nothing, this is
    `over_seeds`.

    With `recipes`, those are random too: what another search would have found. V_seed is then a
    part within recipes and a part between them, which more seeds of the same recipes do not lower.

    The quantile of the interval is the mean of the parts' own, weighted by their variances: t(S - 1)
    and t(I - 1), and t(K - 1) between K recipes (Cochran and Cox, Experimental Designs; Cochran
    1964, Biometrics 20, 191-195). `df` is the one at which t has that quantile. Satterthwaite's, as
    Hillis (2007) has it for this design, divides by V_seed squared: where three seeds agree by
    chance it is in the hundreds while the error is too small, and 95% intervals over three seeds
    hold 91 to 96% of the time, where these hold 94 to 98% (`benchmarks/coverage.py`). Neither holds
    where hardly any image is wrong: 84% at an accuracy of 99.5% on 150 images.

    Args:
        values: [seeds, images]: 1.0 where right, the log loss of an image, or a weighted sum over
            arms of such arrays.
        confidence: Share of such intervals that hold the expectation over seeds and images.
        recipes: [seeds], a number for the recipe that each seed trained; None where it is the same,
            and given.
        luck: Times by which the variance between recipes is larger than theirs: `Design.luck`.

    Raises:
        ValueError: It is not [seeds, images], or empty, or the recipes are not as many as seeds.
    """
    cells = _cells(values)
    mean = float(cells.mean())
    seeds = len(cells)
    error = errors(cells, recipes, luck)
    if error is None:
        return Interval(mean, None, None, seeds, None, None)
    if error.se == 0.0:
        return _interval(mean, seeds, 0.0, seeds - 1.0, confidence)
    # The degrees of freedom at which t has the weighted quantile.
    tail = (1 - confidence) / 2
    df = float(special.stdtridf(1 - tail, error.quantile(tail)))
    return _interval(mean, seeds, error.se, df, confidence)


def p_value(
    values: NDArray[np.floating],
    recipes: Sequence[int] | None = None,
    null: float = 0.0,
    luck: float = 1.0,
) -> float:
    """Return the two-sided p of `crossed` against a mean of `null`; NaN where there is none.

    The interval of confidence 1 - p ends at `null`. Not simply that of t(`df`), which is fitted at
    one confidence: far out, its tail is too thin for few seeds.

    Args:
        values: [seeds, images], as in `crossed`.
        recipes: As in `crossed`.
        null: The mean to be tested.
        luck: As in `crossed`.
    """
    cells = _cells(values)
    distance = abs(float(cells.mean()) - null)
    error = errors(cells, recipes, luck)
    if error is None:
        return math.nan
    if distance == 0.0 or error.se == 0.0:
        return float(distance == 0.0)
    t = distance / error.se
    if error.quantile(LEAST_P / 2) <= t:
        return LEAST_P

    # p has no closed form: the tail at which the quantile is t, searched over log p.
    def above(log_p: float) -> float:
        return error.quantile(math.exp(log_p) / 2) - t

    return math.exp(optimize.brentq(above, math.log(LEAST_P), 0.0))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a mean's variance, with the degrees of freedom of its estimate."""

    variance: float
    df: float


@dataclass(frozen=True, slots=True)
class Errors:
    """The parts of the variance of a mean over seeds and images.

    Attributes:
        seeds: Within recipes, from one seed to the next, the residual included.
        recipes: Between recipes; 0 where there is one, or where nothing tells it from seeds.
        images: From one set of images to the next.
        residual: The variance within `seeds` that is what a seed makes of these very images, and
            that more images lower.
        nested: Whether the degrees of freedom of `seeds` are those of few recipes, or of recipes with
            one seed each: more seeds bring none.
    """

    seeds: Part
    recipes: Part
    images: Part
    residual: float = 0.0
    nested: bool = False

    @property
    def se(self) -> float:
        """Return the standard error of the mean."""
        return math.sqrt(self.seeds.variance + self.recipes.variance + self.images.variance)

    def quantile(self, tail: float) -> float:
        """Return the t above which `tail` lies, by Cochran."""
        parts = (self.seeds, self.recipes, self.images)
        total = sum(part.variance for part in parts)
        known = [part for part in parts if part.variance > 0]
        return sum(part.variance / total * _quantile(part.df, tail) for part in known)


def errors(
    values: NDArray[np.floating], recipes: Sequence[int] | None = None, luck: float = 1.0
) -> Errors | None:
    """Return from what the variance of a mean comes; None where there is no interval.

    Args:
        values: [seeds, images], as in `crossed`.
        recipes: As in `crossed`.
        luck: As in `crossed`. Where each recipe has one seed, nothing tells the two apart, and it
            holds for both.

    Raises:
        ValueError: As in `crossed`.
    """
    cells = _cells(values)
    seeds, images = cells.shape
    if recipes is not None and len(recipes) != seeds:
        raise ValueError(f"there must be a recipe per seed, {seeds}, but got {len(recipes)}.")
    if seeds < MIN_SEEDS or images < 2 or not np.isfinite(cells).all():
        return None
    _, by_image, residual = _mean_squares(cells)
    of_images = Part(max(by_image - residual, 0.0) / cells.size, images - 1.0)
    of_seeds, of_recipes = _nested(cells.mean(axis=1), recipes, luck)
    left = min(residual / cells.size, of_seeds.variance)
    number = len(set(recipes)) if recipes is not None else 1
    return Errors(
        seeds=of_seeds,
        recipes=of_recipes,
        images=of_images,
        residual=left,
        nested=1 < number < ENOUGH_RECIPES or 1 < number == seeds,
    )


def _nested(
    rows: NDArray[np.float64], recipes: Sequence[int] | None, luck: float
) -> tuple[Part, Part]:
    """Return the parts within and between recipes of the variance of the mean of rows [seeds]."""
    n = len(rows)
    nothing = Part(0.0, 1.0)
    whole = Part(float(rows.var(ddof=1)) / n, n - 1.0)
    number = len(set(recipes)) if recipes is not None else 1
    if recipes is None or number == 1:
        return whole, nothing
    parts = within_and_between(rows, recipes)
    if parts is None:
        return Part(luck * whole.variance, whole.df), nothing
    within, between = parts
    df = float(n - number)
    if number < ENOUGH_RECIPES:
        df = number - 1.0
    of_seeds = Part(within / n, df)
    if between <= 0:
        return of_seeds, nothing
    # The weight of each recipe in the mean is its share of the seeds.
    _, counts = np.unique(np.asarray(recipes), return_counts=True)
    weight = float(np.square(counts).sum()) / n**2
    return of_seeds, Part(luck * between * weight, number - 1.0)


def within_and_between(
    rows: NDArray[np.float64], recipes: Sequence[int]
) -> tuple[float, float] | None:
    """Return the variances of a row within recipes, and of a recipe; the latter may be below 0.

    None where each recipe has one row, or all have the same: one mean square tells all there is.

    Args:
        rows: [seeds].
        recipes: [seeds], a number for the recipe of each.
    """
    n = len(rows)
    _, of_row, counts = np.unique(np.asarray(recipes), return_inverse=True, return_counts=True)
    number = len(counts)
    if number in (1, n):
        return None
    means = np.bincount(of_row, weights=rows) / counts  # [recipes]
    within = float(np.square(rows - means[of_row]).sum()) / (n - number)
    between = float((counts * np.square(means - rows.mean())).sum()) / (number - 1)
    # Counts may be unequal.
    mean_count = (n - float(np.square(counts).sum()) / n) / (number - 1)
    return within, (between - within) / mean_count


def components(values: NDArray[np.floating]) -> Components:
    """Return from where a score's spread comes, by the method of moments.

    A component that comes out below 0 is 0.

    Args:
        values: [seeds, images], as in `crossed`.

    Raises:
        ValueError: It is not [seeds, images] with 2 or more of both.
    """
    cells = _cells(values)
    seeds, images = cells.shape
    if seeds < 2 or images < 2:
        raise ValueError(
            f"components need 2 seeds and 2 images or more, but got {seeds} and {images}."
        )
    by_seed, by_image, residual = _mean_squares(cells)
    return Components(
        seed=math.sqrt(max(by_seed - residual, 0.0) / images),
        images=math.sqrt(max(by_image - residual, 0.0) / (seeds * images)),
        residual=math.sqrt(residual / images),
    )


def _cells(values: NDArray[np.floating]) -> NDArray[np.float64]:
    cells = np.asarray(values, dtype=np.float64)
    if cells.ndim != 2 or not cells.size:
        raise ValueError(
            f"values must be [seeds, images] and not empty, but got shape {cells.shape}."
        )
    return cells


def _mean_squares(cells: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the mean squares of seeds, of images and of the residual."""
    seeds, images = cells.shape
    rows = cells.mean(axis=1)  # [seeds]
    columns = cells.mean(axis=0)  # [images]
    mean = cells.mean()
    left = cells - rows[:, None] - columns[None, :] + mean
    # Sums of squares over their degrees of freedom.
    by_seed = images * np.square(rows - mean).sum() / (seeds - 1)
    by_image = seeds * np.square(columns - mean).sum() / (images - 1)
    residual = np.square(left).sum() / ((seeds - 1) * (images - 1))
    return float(by_seed), float(by_image), float(residual)


def _interval(mean: float, n: int, se: float, df: float, confidence: float) -> Interval:
    half = _quantile(df, (1 - confidence) / 2) * se
    return Interval(mean, mean - half, mean + half, n, se, df)


def _quantile(df: float, tail: float) -> float:
    """Return the t above which `tail` lies."""
    return -float(special.stdtrit(df, tail))
