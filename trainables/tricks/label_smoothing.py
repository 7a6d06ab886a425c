"""Label smoothing: targets that leave a little to the other classes.

The source is Szegedy et al. 2016, section 7.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def smooth_targets(labels: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """Turn labels into class probabilities.

    They are `1 - smoothing` for the label, plus `smoothing / classes` for every class.

    Args:
        labels: int64 `[B]`.
        num_classes: Width of the result.
        smoothing: In [0, 1); 0 gives one-hot targets.

    Returns:
        float32 `[B, classes]`, rows summing to 1.
    """
    return F.one_hot(labels, num_classes).float() * (1 - smoothing) + smoothing / num_classes
