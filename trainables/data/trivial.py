"""TrivialAugmentWide: one operation with one strength for each image, both uniform.

Müller and Hutter 2021, arXiv 2103.10158. Operations, strengths and their definitions are
torchvision's `TrivialAugmentWide` with its defaults (nearest neighbor, black outside), but drawn
for each image of the batch and computed on the device: shears, translations and rotations together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import equalize_image

from trainables.data import color

OPERATIONS = (
    "Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color",
    "Contrast", "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize",
)  # fmt: skip
# Strengths per operation.
BINS = 31
# Random numbers per image: operation, strength, sign.
DRAWS = 3

# The greatest strengths. Translations are in pixels whatever the image's size, as in the paper and
# in torchvision.
_SIGNED = {
    "ShearX": 0.99,
    "ShearY": 0.99,
    "TranslateX": 32.0,
    "TranslateY": 32.0,
    "Rotate": 135.0,
    "Brightness": 0.99,
    "Color": 0.99,
    "Contrast": 0.99,
    "Sharpness": 0.99,
}
# ShearX to Rotate in `OPERATIONS`.
_GEOMETRIC = slice(1, 6)


def trivial_augment(images: Tensor, draws: Tensor) -> Tensor:
    """Apply to each image the operation, strength and sign that its three uniform numbers name.

    Args:
        images: float32 [B, 3, S, S] in [0, 1].
        draws: float32 [B, 3] in [0, 1).

    Returns:
        float32 [B, 3, S, S] in [0, 1].
    """
    operation = (draws[:, 0] * len(OPERATIONS)).to(torch.int64)
    strength_bin = (draws[:, 1] * BINS).to(torch.int64)
    negative = (draws[:, 2] < 0.5).to(torch.int64)
    return apply(images, operation, strength_bin, negative)


def apply(images: Tensor, operation: Tensor, strength_bin: Tensor, negative: Tensor) -> Tensor:
    """Apply given operations to images.

    Args:
        images: float32 [B, 3, S, S] in [0, 1].
        operation: int64 [B], numbers in `OPERATIONS`.
        strength_bin: int64 [B], 0 to 30.
        negative: int64 [B], 1 for the negative sign.

    Returns:
        float32 [B, 3, S, S] in [0, 1].
    """
    strengths, inverses = _tables(images.shape[-1], images.device)
    strength = strengths[operation, negative, strength_bin]  # [B]
    result = images.clone()

    # The group sizes come to the host: the only synchronization, and no work is done for
    # operations not drawn.
    counts = operation.bincount(minlength=len(OPERATIONS)).tolist()
    rows = torch.split(operation.argsort(stable=True), counts)

    # All geometric operations are one warp.
    warped = torch.cat(rows[_GEOMETRIC])
    if len(warped):
        geometric = operation[warped] - _GEOMETRIC.start
        inverse = inverses[geometric, negative[warped], strength_bin[warped]]  # [W, 6]
        result.index_copy_(0, warped, _warp(images.index_select(0, warped), inverse))
    for name, chosen in zip(OPERATIONS, rows, strict=True):
        if name in _COLOR and len(chosen):
            colored = _COLOR[name](images.index_select(0, chosen), strength[chosen])
            result.index_copy_(0, chosen, colored)
    return result


def _warp(images: Tensor, inverse: Tensor) -> Tensor:
    """Read each output pixel (x, y) at (ax + by + c, dx + ey + f), all in [-1, 1].

    `inverse` [B, 6] is (a, ..., f).
    """
    size = images.shape[-1]
    centers = (torch.arange(size, device=images.device) * 2 + 1) / size - 1
    x = centers[None, None, :]
    y = centers[None, :, None]
    a, b, c, d, e, f = inverse[:, :, None, None].unbind(1)  # [B, 1, 1] each
    grid = torch.stack([a * x + b * y + c, d * x + e * y + f], -1)  # [B, S, S, 2]
    return F.grid_sample(images, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def _sharpness(images: Tensor, strength: Tensor) -> Tensor:
    """Blend with PIL's SMOOTH: 1 around 5, over 13; the border stays."""
    if images.shape[-1] < 3:
        return images
    rows = images[..., :-2, :] + images[..., 1:-1, :] + images[..., 2:, :]
    around = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * images[..., 1:-1, 1:-1]
    smooth = images.clone()
    smooth[..., 1:-1, 1:-1] = around / 13
    return color.blend(images, smooth, 1 + strength)


def _posterize(images: Tensor, step: Tensor) -> Tensor:
    step = step[:, None, None, None]
    return ((_levels(images) / step).floor_() * step).div_(255)


def _solarize(images: Tensor, threshold: Tensor) -> Tensor:
    return torch.where(_levels(images) >= threshold[:, None, None, None], 1 - images, images)


def _autocontrast(images: Tensor, _strength: Tensor) -> Tensor:
    low = images.amin((2, 3), keepdim=True)
    high = images.amax((2, 3), keepdim=True)
    # A channel of one value stays.
    flat = low == high
    stretched = (images - low) / torch.where(flat, 1.0, high - low)
    return torch.where(flat, images, stretched).clamp_(0, 1)


def _equalize(images: Tensor, _strength: Tensor) -> Tensor:
    equalized: Tensor = equalize_image(_levels(images).to(torch.uint8))
    return equalized.to(torch.float32).div_(255)


def _levels(images: Tensor) -> Tensor:
    """Return values of 0 to 255 in whole steps, for operations that PIL defines on bytes."""
    return (images * 255).round_()


_COLOR = {
    "Brightness": lambda images, strength: color.brightness(images, 1 + strength),
    "Color": lambda images, strength: color.saturation(images, 1 + strength),
    "Contrast": lambda images, strength: color.contrast(images, 1 + strength),
    "Sharpness": _sharpness,
    "Posterize": _posterize,
    "Solarize": _solarize,
    "AutoContrast": _autocontrast,
    "Equalize": _equalize,
}


@lru_cache(maxsize=8)
def _tables(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return strengths [14, 2, 31] and inverse maps of the geometric operations [5, 2, 31, 6].

    They are made once: no trigonometry per batch.
    """
    strengths: list[list[list[float]]] = []
    inverses: list[list[list[tuple[float, ...]]]] = []
    for name in OPERATIONS:
        by_sign = [_strengths(name, sign) for sign in (1, -1)]
        strengths.append(by_sign)
        if name in OPERATIONS[_GEOMETRIC]:
            inverses.append([_inverses(name, row, size) for row in by_sign])
    return torch.tensor(strengths, device=device), torch.tensor(inverses, device=device)


def _strengths(name: str, sign: int) -> list[float]:
    """Return an operation's strengths [31] with one sign."""
    return [_strength(name, sign, strength_bin) for strength_bin in range(BINS)]


def _strength(name: str, sign: int, strength_bin: int) -> float:
    share = strength_bin / (BINS - 1)
    if name == "Posterize":
        # The width of a level: 1 to 64, which is 8 to 2 bits kept.
        return 2.0 ** round(share * 6)
    if name == "Solarize":
        # Values from here on are inverted.
        return 255.0 * (1 - share)
    return sign * share * _SIGNED.get(name, 0.0)


def _inverses(name: str, strengths: Sequence[float], size: int) -> list[tuple[float, ...]]:
    return [_inverse(name, strength, size) for strength in strengths]


def _inverse(name: str, strength: float, size: int) -> tuple[float, ...]:
    match name:
        # Shears are about the upper left corner.
        case "ShearX":
            return (1.0, strength, strength, 0.0, 1.0, 0.0)
        case "ShearY":
            return (1.0, 0.0, 0.0, strength, 1.0, strength)
        case "TranslateX":
            return (1.0, 0.0, -2 * int(strength) / size, 0.0, 1.0, 0.0)
        case "TranslateY":
            return (1.0, 0.0, 0.0, 0.0, 1.0, -2 * int(strength) / size)
        case _:
            cos = math.cos(math.radians(strength))
            sin = math.sin(math.radians(strength))
            return (cos, -sin, 0.0, sin, cos, 0.0)
