"""Whether two images are one picture after small edits: aligned first, then compared.

One is moved, stretched and changed in brightness and contrast by one step of Lucas and Kanade (1981), around the mean of
both, so that it does not matter which is the original. What is left between them is compared at whitened frequencies,
because unrelated natural images often agree at the lowest.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainables.data.prints import SIDE, Floats, spectra

FINE = 8  # DCT frequencies 0 to 7 in each direction
RIDGE = 1e-3
PERCENTILE_60 = 154  # of 256 pixels
HOPELESS = 0.4  # change from which covered pixels are not looked for: a small text makes 0.25 at most, on CIFAR-10
OUTLIER = 3.0  # times the 60th percentile of what is left, where a pixel counts as covered (a text, a logo)
OPEN = 0.85  # share of the pixels that is not covered
SHOWN = 0.5  # share of the contrast that the pixels keep that are not covered
COVERED = (
    0.3  # share of the bound that holds for them, because leaving out the worst pixels flatters
)


def one_picture(ones: Floats, others: Floats, bounds: Floats) -> npt.NDArray[np.bool_]:
    """Whether pairs of grey thumbnails, [P, 16, 16] each, differ by less than bounds [P], in 1 - cosine."""
    ones, others = _standard(ones), _standard(others)
    weights = np.ones_like(ones)
    left = _left(ones, others, weights)
    change = _change(ones, others, left)
    same = change <= bounds

    # the same without the pixels that fit worst
    rest = np.flatnonzero(~same & (change <= HOPELESS))
    ones, others, left, bounds = ones[rest], others[rest], left[rest], bounds[rest]
    spread = np.partition(np.abs(left).reshape(-1, SIDE * SIDE), PERCENTILE_60, axis=1)[
        :, PERCENTILE_60
    ]
    weights = (np.abs(left) <= OUTLIER * spread[:, None, None] + 0.02).astype(np.float32)
    left = _left(ones, others, weights) * weights
    shown = np.minimum(_contrast(ones, weights), _contrast(others, weights))
    covered = (weights.mean((1, 2)) >= OPEN) & (shown >= SHOWN)
    same[rest] = covered & (_change(ones, others, left) <= COVERED * bounds)
    return same


def _standard(greys: Floats) -> Floats:
    centered = greys - greys.mean((1, 2), keepdims=True)
    standard: Floats = centered / np.maximum(centered.std((1, 2), keepdims=True), 1e-3)
    return standard


def _left(ones: Floats, others: Floats, weights: Floats) -> Floats:
    """What is left of the differences, [P, 16, 16], after alignment by weighted least squares."""
    middle = (ones + others) / 2
    down, right = np.gradient(middle, axis=(1, 2))
    place = ((np.arange(SIDE) + 0.5) / (SIDE / 2) - 1).astype(np.float32)
    causes = [right, down, right * place, down * place[:, None], middle, np.ones_like(middle)]
    design = np.stack([cause.reshape(-1, SIDE * SIDE) for cause in causes], 2)  # [P, 256, 6]
    weighted = (design * weights.reshape(-1, SIDE * SIDE, 1)).transpose(0, 2, 1)
    difference = (others - ones).reshape(-1, SIDE * SIDE, 1)
    normal = weighted @ design + RIDGE * np.eye(len(causes), dtype=np.float32)
    amounts = np.linalg.solve(normal, weighted @ difference)
    left: Floats = (difference - design @ amounts).reshape(middle.shape)
    return left


def _change(ones: Floats, others: Floats, left: Floats) -> Floats:
    middle = (ones + others) / 2
    half = np.float32(0.5) * left
    cosine: Floats = (spectra(middle - half, FINE, 1.0) * spectra(middle + half, FINE, 1.0)).sum(1)
    return 1 - cosine


def _contrast(standard: Floats, weights: Floats) -> Floats:
    """Variance of the pixels with weight 1, of 1 for all."""
    total = weights.sum((1, 2))
    mean = (standard * weights).sum((1, 2)) / total
    variance: Floats = (weights * (standard - mean[:, None, None]) ** 2).sum((1, 2)) / total
    return variance
