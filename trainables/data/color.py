"""Changes of colour with a strength of its own for each image of a batch: float32 [B, 3, H, W] in [0, 1] in and out.

The definitions are PIL's `ImageEnhance` and torchvision's `adjust_*`: a blend of the image with a degenerate one. Each
number depends on its own image alone, to the last bit: fused multiply-adds and floating-point sums over pixels, whose
rounding depends on the batch's layout, are avoided.
"""

from __future__ import annotations

import torch
from torch import Tensor


def blend(images: Tensor, degenerate: Tensor, factor: Tensor) -> Tensor:
    """`factor` [B] of the image and 1 - factor of the degenerate one, clamped: 1 leaves the image as it is."""
    factor = factor[:, None, None, None]
    return (images * factor).add_(degenerate * (1 - factor)).clamp_(0, 1)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with black."""
    return (images * factor[:, None, None, None]).clamp_(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the image's mean grey."""
    return blend(images, _mean(grey(images)), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the grey image."""
    return blend(images, grey(images), factor)


def hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue of HSV by `shift` [B], in turns: 0 leaves the image as it is, 1 too.

    As torchvision's `adjust_hue`, in the form that needs no cases by sector: each channel is V - C x a trapezoid of the hue.
    """
    red, green, blue = images.unbind(1)
    value = images.amax(1)  # [B, H, W]
    chroma = value - images.amin(1)
    scale = chroma.clamp_min(1e-8)
    sixths = torch.where(value == green, (blue - red) / scale + 2, (red - green) / scale + 4)
    sixths = torch.where(value == red, (green - blue) / scale, sixths).add_(
        6 * shift[:, None, None]
    )
    return torch.stack(
        [value - chroma * _trapezoid(sixths + offset) for offset in (5, 3, 1)], 1
    ).clamp_(0, 1)


def grey(images: Tensor) -> Tensor:
    """Luma of ITU-R 601-2, as PIL has it: [B, 1, H, W]."""
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    return (red * 0.2989).add_(green * 0.587).add_(blue * 0.114)


def _mean(plane: Tensor) -> Tensor:
    """Mean of each [B, 1, H, W] as [B, 1, 1, 1], summed as integers: their sum does not depend on the order."""
    levels = (plane * 65535).round_().to(torch.int32)
    total = levels.sum(dim=(1, 2, 3), keepdim=True, dtype=torch.int64)
    return (total.to(torch.float64) / (65535 * plane.shape[1:].numel())).to(torch.float32)


def _trapezoid(k: Tensor) -> Tensor:
    k = k - (k / 6).floor_().mul_(6)
    return torch.minimum(k, 4 - k).clamp_(0, 1)
