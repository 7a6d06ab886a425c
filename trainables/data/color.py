"""Changes of color, each image of a batch by its own strength: float32 [B, 3, H, W] in [0, 1].

The definitions are PIL's `ImageEnhance` and torchvision's `adjust_*`: a blend of the image with a
degenerate one. Each number depends on its own image alone, to the last bit: fused multiply-adds and
floating-point sums over pixels, whose rounding depends on the batch's layout, are avoided.
"""

from __future__ import annotations

import torch
from torch import Tensor


def blend(images: Tensor, degenerate: Tensor, factor: Tensor) -> Tensor:
    """Add `factor` [B] of each image and 1 - factor of the degenerate one; 1 changes nothing."""
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

    As torchvision's `adjust_hue`, in the form that needs no cases by sector: each channel is
    V - C x a trapezoid of the hue.
    """
    # The sector-free form of HSV needs the largest channel and the spread alone.
    red, green, blue = images.unbind(1)
    value = images.amax(1)  # [B, H, W]
    chroma = value - images.amin(1)
    scale = chroma.clamp_min(1e-8)  # of a grey, whose hue does not matter
    # The hue in sixths of a turn, from the channel that is largest.
    sixths = torch.where(value == green, (blue - red) / scale + 2, (red - green) / scale + 4)
    sixths = torch.where(value == red, (green - blue) / scale, sixths)
    sixths.add_(6 * shift[:, None, None])
    turned = [value - chroma * _trapezoid(sixths + offset) for offset in (5, 3, 1)]
    return torch.stack(turned, 1).clamp_(0, 1)


def grey(images: Tensor) -> Tensor:
    """Return the luma of ITU-R 601-2, as PIL has it: [B, 1, H, W]."""
    red, green, blue = images.unbind(1)
    return (red * 0.2989).add_(green * 0.587).add_(blue * 0.114)[:, None]


def _mean(plane: Tensor) -> Tensor:
    """Return the mean of each plane, [B, 1, H, W], as [B, 1, 1, 1].

    Integers are summed: their sum does not depend on the order.
    """
    levels = (plane * 65535).round_().to(torch.int32)
    total = levels.sum(dim=(1, 2, 3), keepdim=True, dtype=torch.int64)
    return (total.to(torch.float64) / (65535 * plane.shape[1:].numel())).to(torch.float32)


def _trapezoid(k: Tensor) -> Tensor:
    """Return 1 from 1 to 3, 0 from 4 to 6 and lines between: of period 6."""
    k = k - (k / 6).floor_().mul_(6)
    return torch.minimum(k, 4 - k).clamp_(0, 1)
