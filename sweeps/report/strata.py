"""Balanced accuracy as a mean over images: its intervals and tests are those of any score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def balanced(right: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a value of each image, [N].

    Their mean is the balanced accuracy, their variance that of images drawn by class.

    With C classes of N_c images each, N in all, an image of class c has

        balanced accuracy + N / (C N_c) * sqrt(N_c / (N_c - 1)) * (right - recall of c)

    What is added sums to 0 in each class. The variance of a mean of N such values is the mean over
    classes of their recalls' variances, over C: the stratified estimate (Cochran 1977, Sampling
    Techniques, section 5.4), where N_c is given and which images stand for a class is chance. The
    root takes care that small classes do not seem surer than they are. A class of one image adds no
    variance, since one does not tell how much another would differ.

    Args:
        right: [N], of one training run, or 0 and 1.
        labels: [N], the true classes; those without images are left out.
    """
    _, of_image, images = np.unique(labels, return_inverse=True, return_counts=True)
    # [classes], then by the class of each image.
    recall = np.bincount(of_image, weights=right) / images
    weight = len(labels) / (len(images) * images) * np.sqrt(images / np.maximum(images - 1, 1))
    values: NDArray[np.float64] = recall.mean() + weight[of_image] * (right - recall[of_image])
    return values
