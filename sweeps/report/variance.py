"""How far a score would move with other seeds, with other images, and with both.

A score is a mean over test images: values are [seeds, images], one row per training run, one column
per image. Seeds and images are crossed, each seed meets each image once. No distribution of the
values is assumed: for any array whose seeds and whose images are independent draws, right or wrong
(1.0, 0.0) as well as log losses, the mean squares below have the expectations

    E MS_seed = images * var_seed + var_residual,   E MS_image = seeds * var_image + var_residual

and var(mean) = (E MS_seed + E MS_image - E MS_residual) / (seeds * images): Searle, Casella and
McCulloch, Variance Components (1992), for the two-way crossed model; Hillis 2007, Statistics in
Medicine 26, 596-619, for readers and cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

MIN_SEEDS = 3
"""With two, a 95% interval is 12.7 standard errors wide to each side; no interval says it better.
"""
LEAST_P = 1e-100


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


def crossed(values: NDArray[np.floating], confidence: float = 0.95) -> Interval:
    """Return what new seeds would give on new images of the same source.

    Seeds and images are crossed, both random, one value per cell. The squared standard error is
    V_seed + V_image: V_seed = MS_seed / (S I), and V_image = (MS_image - MS_residual) / (S I) but
    not below 0. So it is never below what seeds alone give: where images add nothing, this is
    `over_seeds`.

    The quantile of the interval is the mean of those of t(S - 1) and t(I - 1), weighted by V_seed
    and V_image (Cochran and Cox, Experimental Designs; Cochran 1964, Biometrics 20, 191-195). `df`
    is the one at which t has that quantile; it lies between S - 1 and I - 1. Satterthwaite's, as
    Hillis (2007) has it for this design, divides by V_seed squared: where three seeds agree by
    chance it is in the hundreds while the error is too small, and 95% intervals over three seeds
    hold 91 to 96% of the time, where these hold 94 to 98% (`benchmarks/coverage.py`). Neither holds
    where hardly any image is wrong: 84% at an accuracy of 99.5% on 150 images.

    Args:
        values: [seeds, images]: 1.0 where right, the log loss of an image, or a weighted sum over
            arms of such arrays.
        confidence: Share of such intervals that hold the expectation over seeds and images.

    Raises:
        ValueError: It is not [seeds, images], or empty.
    """
    cells = _cells(values)
    mean = float(cells.mean())
    seeds = len(cells)
    error = _error(cells)
    if error is None:
        return Interval(mean, None, None, seeds, None, None)
    se = math.hypot(*error)
    if se == 0.0:
        return _interval(mean, seeds, 0.0, seeds - 1.0, confidence)
    # The degrees of freedom at which t has the weighted quantile.
    tail = (1 - confidence) / 2
    df = float(special.stdtridf(1 - tail, _weighted_quantile(error, cells.shape, tail)))
    return _interval(mean, seeds, se, df, confidence)


def p_value(values: NDArray[np.floating]) -> float:
    """Return the two-sided p of `crossed` against a mean of 0; NaN where there is none.

    The interval of confidence 1 - p ends at 0. Not simply that of t(`df`), which is fitted at one
    confidence: far out, its tail is too thin for few seeds.

    Args:
        values: [seeds, images], as in `crossed`.
    """
    cells = _cells(values)
    mean = abs(float(cells.mean()))
    error = _error(cells)
    if error is None:
        return math.nan
    if mean == 0.0 or not any(error):
        return float(mean == 0.0)
    t = mean / math.hypot(*error)
    if _weighted_quantile(error, cells.shape, LEAST_P / 2) <= t:
        return LEAST_P

    # p has no closed form: the tail at which the quantile is t, searched over log p.
    def above(log_p: float) -> float:
        return _weighted_quantile(error, cells.shape, math.exp(log_p) / 2) - t

    return math.exp(optimize.brentq(above, math.log(LEAST_P), 0.0))


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


def _error(cells: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return standard errors of the mean from seeds, the residual included, and from images.

    None where there is no interval.
    """
    if len(cells) < MIN_SEEDS or cells.shape[1] < 2 or not np.isfinite(cells).all():
        return None
    by_seed, by_image, residual = _mean_squares(cells)
    return math.sqrt(by_seed / cells.size), math.sqrt(max(by_image - residual, 0.0) / cells.size)


def _weighted_quantile(error: tuple[float, float], shape: tuple[int, ...], tail: float) -> float:
    """Return the t above which `tail` lies, by Cochran."""
    weights = [part**2 / (error[0] ** 2 + error[1] ** 2) for part in error]
    return sum(weight * _quantile(n - 1, tail) for weight, n in zip(weights, shape, strict=True))


def _interval(mean: float, n: int, se: float, df: float, confidence: float) -> Interval:
    half = _quantile(df, (1 - confidence) / 2) * se
    return Interval(mean, mean - half, mean + half, n, se, df)


def _quantile(df: float, tail: float) -> float:
    """Return the t above which `tail` lies."""
    return -float(special.stdtrit(df, tail))
