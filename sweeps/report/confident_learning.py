"""Which given labels are likely wrong: confident learning.

After Northcutt, Jiang and Chuang, JAIR 2021, arXiv 1911.00068. A class's threshold is the mean
probability of that class over the images that are given it. An image that reaches thresholds is
counted as the likeliest of those classes, and the counts by given and by counted class, the
confident joint, estimate how many labels are wrong. Thresholds are per class: a rare class, of
which models are less sure, is held to its own measure.

How many are listed comes from the joint; which ones, and in what order, from self-confidence, the
probability of the given label. In `benchmarks/suspects.py` that finds more planted labels than the
normalized margin and than the paper's other lists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.floating[Any]]  # [N, classes]
Labels = NDArray[np.int64]  # [N]


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspect:
    """An image whose label is likely wrong.

    Attributes:
        row: Its number.
        given: The class that it is given.
        suggested: The likeliest class.
        score: 1 minus the probability of the given class.
    """

    row: int
    given: int
    suggested: int
    score: float


def suspects(probabilities: Probabilities, labels: Labels) -> list[Suspect]:
    """Return the images whose labels are likely wrong, the most suspicious first.

    Never one whose given class is the likeliest. A class that is the likeliest of none of its
    images is one that the models do not know: they can say little of its labels, so these come
    last, where the list has room.

    Args:
        probabilities: [N, classes], of models that were not trained on these images.
        labels: [N], the given classes.
    """
    classes = probabilities.shape[1]
    suggested = probabilities.argmax(axis=1)  # [N]
    # Classes that are the likeliest of at least one of their images.
    known = np.bincount(labels[suggested == labels], minlength=classes) > 0
    own = probabilities[np.arange(len(labels)), labels]

    # The least probable labels first, those of unknown classes after all others.
    doubted = np.flatnonzero(suggested != labels)
    order = np.lexsort([own[doubted], ~known[labels[doubted]]])
    images = np.bincount(labels, minlength=classes)
    ranked = doubted[order][: _most(confident_joint(probabilities, labels), images, known)]
    return [
        Suspect(
            row=int(row),
            given=int(labels[row]),
            suggested=int(suggested[row]),
            score=1 - float(own[row]),
        )
        for row in ranked
    ]


def confident_joint(probabilities: Probabilities, labels: Labels) -> NDArray[np.int64]:
    """Return how many images [given class, counted class] reach a threshold."""
    classes = probabilities.shape[1]
    reached = np.where(probabilities >= thresholds(probabilities, labels), probabilities, -1)
    # Of the classes whose thresholds an image reaches, the likeliest; -1 reaches none.
    sure = reached.max(axis=1) >= 0
    cells = labels[sure] * classes + reached[sure].argmax(axis=1)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def thresholds(probabilities: Probabilities, labels: Labels) -> NDArray[np.float64]:
    """Return each class's threshold [classes].

    Infinity, which nothing reaches, for a class that no image is given.
    """
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    images = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=own, minlength=classes)
    means: NDArray[np.float64] = sums / np.maximum(images, 1)
    return np.where(images > 0, means, np.inf)


def _most(joint: NDArray[np.int64], images: NDArray[np.int64], known: NDArray[np.bool_]) -> int:
    """Return how many labels of the known classes may be wrong.

    The estimate and twice its standard error. Each counted image speaks for those of its given
    class that reach no threshold; the counts are taken as Poisson's.
    """
    wrong = (joint.sum(axis=1) - joint.diagonal())[known]
    stands_for = (images / np.maximum(joint.sum(axis=1), 1))[known]
    error = math.sqrt(float((wrong * stands_for**2).sum()))
    return math.ceil(float((wrong * stands_for).sum()) + 2 * error)
