"""Mixup: train on convex combinations of pairs of images and labels (Zhang et al. 2018)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainables.randomness import named_seed


def mixup(
    images: Tensor, targets: Tensor, *, alpha: float, seed: int, epoch: int, batch: int
) -> tuple[Tensor, Tensor]:
    """Mix each image and its target with another one of the batch.

    Args:
        images: `[B, C, H, W]`.
        targets: Class probabilities, `[B, classes]`.
        alpha: Of Beta(alpha, alpha), from which one mixing weight is drawn per batch, as the paper
            does; 0 does nothing.
        seed: With `epoch` and `batch` it decides weight and partners.
        epoch: Current epoch.
        batch: Number of the batch in its epoch: mixing is a matter of the batch, not of one sample.

    Returns:
        Images and targets of the same shapes.
    """
    if alpha == 0:
        return images, targets
    # One weight per batch and a partner per image, drawn on the CPU: all devices see the same.
    rng = np.random.default_rng(named_seed(seed, "mixup", epoch, batch))
    weight = float(rng.beta(alpha, alpha))
    partner = torch.from_numpy(rng.permutation(len(images))).to(images.device)
    return images.lerp(images[partner], 1 - weight), targets.lerp(targets[partner], 1 - weight)
