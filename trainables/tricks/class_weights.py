"""Class weights: in the loss each class weighs the same, however few images it has.

The source is King and Zeng 2001, section 4.2. The weights N / (C N_c) are scikit-learn's
`class_weight="balanced"`. Over the training images their mean is 1, so that the loss keeps its
scale and learning rates mean what they meant.
"""

from __future__ import annotations

import torch
from torch import Tensor


def class_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Return the weight of an image of each class.

    Args:
        labels: int64 `[N]`, of all training images.
        num_classes: Width of the result.

    Returns:
        float32 `[classes]`: images over the number of classes that have some, over the class's own.
        A class without images weighs 0. Where all classes have as many images, each weighs 1,
        which does nothing.
    """
    counts = torch.zeros(num_classes, dtype=torch.int64, device=labels.device)
    counts.scatter_add_(0, labels, torch.ones_like(labels))
    present = counts > 0
    weights = len(labels) / (present.sum() * counts.clamp(min=1)).double()
    return torch.where(present, weights, 0.0).float()


def weigh(targets: Tensor, weights: Tensor, *, smoothing: float) -> Tensor:
    """Multiply each image's target by its weight.

    Cross-entropy is linear in its target, so this weighs the image's loss. An image that mixup made
    weighs the mean of its two by their shares. What label smoothing gave to every class weighs
    nothing: it says nothing of the image, and would change the mean weight from 1.

    Args:
        targets: Class probabilities, `[B, classes]`.
        weights: Of `class_weights`.
        smoothing: That the targets were smoothed by, in [0, 1).

    Returns:
        `[B, classes]`; rows sum to the images' weights.
    """
    # The targets before they were smoothed.
    shares = (targets - smoothing / targets.shape[1]) / (1 - smoothing)
    return targets * (shares * weights).sum(1, keepdim=True)
