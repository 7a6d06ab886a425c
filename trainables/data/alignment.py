"""Tell whether two images are one picture after small edits: aligned first, then compared.

One is moved, stretched and changed in brightness and contrast by one step of Lucas and Kanade
(1981), around the mean of both, so that it does not matter which is the original. What is left
between them is compared at whitened frequencies, because unrelated natural images often agree at
the lowest.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainables.data.prints import SIDE, Floats, spectra

FINE = 8  # DCT frequencies 0 to 7 in each direction
RIDGE = 1e-3
PERCENTILE_60 = 154  # of 256 pixels
# Change from which covered pixels are not looked for: a small text makes 0.25 at most, on CIFAR-10.
HOPELESS = 0.4
# Times the 60th percentile of what is left, where a pixel counts as covered (a text, a logo).
OUTLIER = 3.0
OPEN = 0.85  # share of the pixels that is not covered
SHOWN = 0.5  # share of the contrast that the pixels keep that are not covered
# Share of the bound that holds for them, because leaving out the worst pixels flatters.
COVERED = 0.3


def one_picture(ones: Floats, others: Floats, bounds: Floats) -> npt.NDArray[np.bool_]:
    """Return whether pairs of thumbnails are one picture, bool [P].

    Args:
        ones: Grey, [P, 16, 16].
        others: As `ones`.
        bounds: What each pair may differ by, in 1 - cosine, [P].
    """
    ones = _standard(ones)
    others = _standard(others)
    weights = np.ones_like(ones)
    left = _left(ones, others, weights)
    change = _change(ones, others, left)
    same = change <= bounds

    # The same without the pixels that fit worst, for the pairs that differ by not too much.
    rest = np.flatnonzero(~same & (change <= HOPELESS))
    ones = ones[rest]
    others = others[rest]
    bounds = bounds[rest]
    misfit = np.abs(left[rest])
    ordered = np.partition(misfit.reshape(-1, SIDE * SIDE), PERCENTILE_60, axis=1)
    spread = ordered[:, PERCENTILE_60]
    weights = (misfit <= OUTLIER * spread[:, None, None] + 0.02).astype(np.float32)
    left = _left(ones, others, weights) * weights

    # A picture that is mostly covered, or without contrast where it is not, tells nothing.
    shown = np.minimum(_contrast(ones, weights), _contrast(others, weights))
    covered = (weights.mean((1, 2)) >= OPEN) & (shown >= SHOWN)
    same[rest] = covered & (_change(ones, others, left) <= COVERED * bounds)
    return same


def _standard(greys: Floats) -> Floats:
    """Return the thumbnails with mean 0 and deviation 1 each."""
    centered = greys - greys.mean((1, 2), keepdims=True)
    standard: Floats = centered / np.maximum(centered.std((1, 2), keepdims=True), 1e-3)
    return standard


def _left(ones: Floats, others: Floats, weights: Floats) -> Floats:
    """Return what is left of the differences, [P, 16, 16], after a weighted alignment."""
    # A move and a stretch in both directions, a contrast and a brightness explain the difference.
    middle = (ones + others) / 2
    down, right = np.gradient(middle, axis=(1, 2))
    place = ((np.arange(SIDE) + 0.5) / (SIDE / 2) - 1).astype(np.float32)
    causes = [right, down, right * place, down * place[:, None], middle, np.ones_like(middle)]
    design = np.stack([cause.reshape(-1, SIDE * SIDE) for cause in causes], 2)  # [P, 256, 6]

    # Weighted least squares, with a ridge for thumbnails that do not determine all six.
    weighted = (design * weights.reshape(-1, SIDE * SIDE, 1)).transpose(0, 2, 1)
    difference = (others - ones).reshape(-1, SIDE * SIDE, 1)
    normal = weighted @ design + RIDGE * np.eye(len(causes), dtype=np.float32)
    amounts = np.linalg.solve(normal, weighted @ difference)
    left: Floats = (difference - design @ amounts).reshape(middle.shape)
    return left


def _change(ones: Floats, others: Floats, left: Floats) -> Floats:
    """Return 1 - cosine of the aligned pairs at whitened frequencies, [P]."""
    middle = (ones + others) / 2
    half = np.float32(0.5) * left
    before = spectra(middle - half, FINE, 1.0)
    after = spectra(middle + half, FINE, 1.0)
    cosine: Floats = (before * after).sum(1)
    return 1 - cosine


def _contrast(standard: Floats, weights: Floats) -> Floats:
    """Return the variance of the pixels with weight 1, [P]; that of all pixels is 1."""
    total = weights.sum((1, 2))
    mean = (standard * weights).sum((1, 2)) / total
    variance: Floats = (weights * (standard - mean[:, None, None]) ** 2).sum((1, 2)) / total
    return variance
