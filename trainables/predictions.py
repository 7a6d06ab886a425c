"""What a finalist predicts for each test image, as `evaluate_finalist` wrote it, and its scores."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trainables.metrics import Score

Labels: TypeAlias = NDArray[np.int64]

# What reading a zip that was cut off, or is none, can raise.
_DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Predictions:
    """The predicted classes of a test split's images, in the order of the split.

    Attributes:
        labels: int64 [N], one image or more; the true classes.
        predicted: int64 [N].
        num_classes: Above all labels and predictions.
    """

    labels: Labels
    predicted: Labels
    num_classes: int

    def are_for(self, labels: Labels) -> bool:
        """Return whether they can be for a split with these labels."""
        return np.array_equal(self.labels, labels)

    def score(self, metric: Score) -> float:
        """Return a score of all images, from 0 to 1."""
        # Here, since it takes seconds to import.
        import torch

        from trainables.class_scores import class_scores

        scores = class_scores(
            torch.tensor(self.labels), torch.tensor(self.predicted), self.num_classes
        )
        return float(getattr(scores, metric))


def read_predictions(path: Path) -> Predictions | None:
    """Return the predictions in an .npz; None where there is none, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            log_probabilities = file["test"]
            labels = file["test_labels"]
    except _DAMAGED:
        return None
    if not _are_sound(log_probabilities, labels):
        return None
    return Predictions(
        labels=labels,
        predicted=log_probabilities.argmax(1),
        num_classes=log_probabilities.shape[1],
    )


def _are_sound(log_probabilities: NDArray[Any], labels: NDArray[Any]) -> bool:
    """Return whether arrays are float `[N, classes]` and int64 `[N]`, with an image or more."""
    if log_probabilities.ndim != 2 or log_probabilities.dtype.kind != "f":
        return False
    if labels.shape != log_probabilities.shape[:1] or labels.dtype != np.int64:
        return False
    known = (labels >= 0) & (labels < log_probabilities.shape[1])
    return bool(len(labels) and known.all())
