"""Scores in which classes count, and not images alone: balanced accuracy and macro F1.

They are defined as in scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScores:
    """Shares from 0 to 1.

    Attributes:
        accuracy: Of the images that are right.
        balanced_accuracy: Mean over classes of the recall; a class without images has none and is
            left out.
        macro_f1: Mean over classes of F1; a class without images is left out unless it is
            predicted, which gives it 0.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float


def class_scores(labels: Tensor, predicted: Tensor, num_classes: int) -> ClassScores:
    """Return the scores of a split's predictions.

    They are scikit-learn's `accuracy_score`, `balanced_accuracy_score` (Brodersen et al. 2010) and
    `f1_score` with `average="macro"` and `zero_division=0`. Of the confusion matrix they need its
    diagonal and its margins alone, which stay small where there are thousands of classes.

    Args:
        labels: int64 `[N]`, one image or more.
        predicted: int64 `[N]`, on the same device.
        num_classes: Above all labels and predictions.
    """
    # Of each class: its images, its predictions, and those that are right.
    places = torch.stack([labels, predicted, labels])
    counted = torch.ones_like(places)
    counted[2] = predicted == labels
    counts = torch.zeros(3, num_classes, dtype=torch.int64, device=labels.device)
    counts.scatter_add_(1, places, counted)
    images, predictions, right = counts.cpu().double()
    there = images > 0
    named = there | (predictions > 0)
    f1 = 2 * right[named] / (images + predictions)[named]
    return ClassScores(
        accuracy=right.sum().item() / len(labels),
        balanced_accuracy=(right / images)[there].mean().item(),
        macro_f1=f1.mean().item(),
    )
