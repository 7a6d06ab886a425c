"""Views of stored images, made on the device: resize, augmentation per image, normalization.

A view is a function of (seed, epoch, sample) alone, to the last bit: it is the same in any batch,
order and process, so trials that share an augmentation see the same views.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.data import color, trivial
from trainables.data.counter_rng import normal, uniform
from trainables.data.listing import DECODE_SCALE
from trainables.problems import unknown_name

AUGMENTATION_VERSION = 1
"""Part of the key of stored views: raise it when the same (seed, epoch, sample) gives others."""

# Of ImageNet, as torchvision's weights expect them.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

MIN_AREA = 0.64  # of the square that a crop keeps: 0.8 of its side, the size of the view
# And its inverse: Szegedy et al. 2015 (Inception), torchvision's RandomResizedCrop.
MAX_ASPECT = 4 / 3
# Brightness, contrast and saturation factors lie in 1 +- this: MoCo v2 (Chen et al. 2020), SimSiam.
JITTER = 0.4
HUE_JITTER = 0.1  # turns, likewise
# 5 of 255 levels: half of CIFAR-10-C's mildest Gaussian noise (0.04, Hendrycks, Dietterich 2019).
NOISE_SIGMA = 0.02

# Images per thread: their planes stay in the cache. 1.9x the speed of one piece of 256 at 96 px.
_CPU_CHUNK = 16

# Columns of an image's random numbers. New ones go to the end: the others keep their values.
_AREA, _ASPECT, _LEFT, _TOP, _FLIP, _BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(9)
_DRAWS = 9


def view(
    images: Tensor, samples: Tensor, *, augmentation: str, image_size: int, seed: int, epoch: int
) -> Tensor:
    """Return the view of each image in this epoch.

    `none` is `plain_view`. `crop_flip` cuts a square of 0.64 to 1 of the area, flips half of the
    images left to right and adds Gaussian noise; `crop_flip_color` also varies the aspect from 3/4
    to 4/3 and brightness, contrast, saturation and hue, in this order. `trivial` is
    TrivialAugmentWide on the plain view. No augmentation turns images upside down: photographs to
    be classified are upright, in val and test too.

    Args:
        images: uint8 [B, S, S, 3] on the device that shall do the work; S is at most
            1.25 x `image_size`.
        samples: int64 [B] on the same device, the images' numbers in their data set.
        augmentation: A value of `Recipe.augmentation`.
        image_size: The view's side in pixels.
        seed: The sweep's seed.
        epoch: Which view of the image.

    Returns:
        float32 [B, 3, image_size, image_size] in [0, 1]; see `normalise`.

    Raises:
        ValueError: An unknown augmentation, or an image too large to be resampled without
            antialiasing.
    """
    if augmentation not in _VIEWS:
        raise ValueError(unknown_name(augmentation, _VIEWS, "value", " of augmentation"))
    largest = math.ceil(DECODE_SCALE * image_size)
    if images.shape[1] > largest:
        raise ValueError(
            f"Images must be at most {DECODE_SCALE:g} x image_size = {largest} px wide, "
            f"but got {images.shape[1]}: store them smaller."
        )
    make = _VIEWS[augmentation]
    chunks = zip(_chunks(images), _chunks(samples), strict=True)
    return torch.cat([make(some, which, image_size, seed, epoch) for some, which in chunks])


def plain_view(images: Tensor, image_size: int) -> Tensor:
    """Return what val, test and `none` see: the images, resized with antialiasing.

    Images that have the size already are only divided by 255.

    Args:
        images: uint8 [B, S, S, 3].
        image_size: The view's side in pixels.

    Returns:
        float32 [B, 3, image_size, image_size] in [0, 1].
    """
    return torch.cat([_plain(chunk, image_size) for chunk in _chunks(images)])


def normalise(views: Tensor) -> Tensor:
    """Subtract ImageNet's mean and divide by its deviation, as the backbones expect it.

    Args:
        views: float32 [B, 3, H, W] in [0, 1].
    """
    mean, std = _moments(views.device)
    return (views - mean).div_(std)


def resample(
    images: Tensor,
    left: Tensor,
    top: Tensor,
    width: Tensor,
    height: Tensor,
    flip: Tensor,
    image_size: int,
) -> Tensor:
    """Cut a box out of each image, mirror it where `flip` says so, and resize it, in one sampling.

    Enlarging to 1.25 x `image_size`, cropping and resizing equals sampling the box of the stored
    square once. Antialiasing is left out: a box has at most 1.25 stored pixels per pixel of the
    view. Next to its edges a box reads its neighbors, where a cut-out copy would repeat its last
    pixel.

    Args:
        images: uint8 [B, S, S, 3].
        left: float32 [B], as `top`, `width` and `height` a share of the square's side.
        top: See `left`.
        width: See `left`.
        height: See `left`.
        flip: bool [B].
        image_size: The result's side in pixels.

    Returns:
        float32 [B, 3, image_size, image_size] in [0, 1].
    """
    # The centers of the view's pixels, in the square's coordinates from -1 to 1.
    centers = (torch.arange(image_size, device=images.device) + 0.5) / image_size
    across = torch.where(flip[:, None], centers.flip(0), centers)  # [B, image_size]
    x = (left[:, None] + width[:, None] * across) * 2 - 1
    y = (top[:, None] + height[:, None] * centers) * 2 - 1

    shape = (len(images), image_size, image_size)
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], -1)
    pixels = F.grid_sample(
        _float(images), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return pixels.div_(255).clamp_(0, 1)


def _plain(images: Tensor, image_size: int) -> Tensor:
    pixels = _float(images)
    if images.shape[1] != image_size:
        pixels = F.interpolate(
            pixels, size=(image_size, image_size), mode="bilinear", antialias=True
        )
    return pixels.div_(255).clamp_(0, 1)


def _none(images: Tensor, _samples: Tensor, image_size: int, _seed: int, _epoch: int) -> Tensor:
    return _plain(images, image_size)


def _crop_flip(images: Tensor, samples: Tensor, image_size: int, seed: int, epoch: int) -> Tensor:
    draws = uniform(seed, epoch, samples, _DRAWS, "augmentation")
    side = _side(draws)
    views = _cut(images, draws, side, side, image_size)
    return _add_noise(views, samples, seed, epoch)


def _crop_flip_color(
    images: Tensor, samples: Tensor, image_size: int, seed: int, epoch: int
) -> Tensor:
    draws = uniform(seed, epoch, samples, _DRAWS, "augmentation")
    side = _side(draws)
    ratio = _root_aspect(draws)
    # A box wider or higher than the square is cut to it: area and aspect stay within their bounds.
    width = (side * ratio).clamp_max(1)
    height = (side / ratio).clamp_max(1)
    views = _cut(images, draws, width, height, image_size)
    views = color.brightness(views, 1 + JITTER * _signed(draws[:, _BRIGHTNESS]))
    views = color.contrast(views, 1 + JITTER * _signed(draws[:, _CONTRAST]))
    views = color.saturation(views, 1 + JITTER * _signed(draws[:, _SATURATION]))
    views = color.hue(views, HUE_JITTER * _signed(draws[:, _HUE]))
    return _add_noise(views, samples, seed, epoch)


def _trivial(images: Tensor, samples: Tensor, image_size: int, seed: int, epoch: int) -> Tensor:
    draws = uniform(seed, epoch, samples, trivial.DRAWS, "trivial")
    return trivial.trivial_augment(_plain(images, image_size), draws)


_VIEWS: dict[str, Callable[[Tensor, Tensor, int, int, int], Tensor]] = {
    "none": _none,
    "crop_flip": _crop_flip,
    "crop_flip_color": _crop_flip_color,
    "trivial": _trivial,
}


def _side(draws: Tensor) -> Tensor:
    """Return the side of a box of uniform area, as a share of the square's, [B]."""
    return (MIN_AREA + (1 - MIN_AREA) * draws[:, _AREA]).sqrt()


def _root_aspect(draws: Tensor) -> Tensor:
    """Return the square root of a log-uniform aspect, [B].

    It is (1 + q) / (1 - q) for a uniform q: within 0.01% of exp, and no `exp`, whose last bit
    depends on the place in the batch.
    """
    limit = (math.sqrt(MAX_ASPECT) - 1) / (math.sqrt(MAX_ASPECT) + 1)
    q = limit * _signed(draws[:, _ASPECT])
    return (1 + q) / (1 - q)


def _cut(images: Tensor, draws: Tensor, width: Tensor, height: Tensor, image_size: int) -> Tensor:
    left = draws[:, _LEFT] * (1 - width)
    top = draws[:, _TOP] * (1 - height)
    return resample(images, left, top, width, height, draws[:, _FLIP] < 0.5, image_size)


def _add_noise(views: Tensor, samples: Tensor, seed: int, epoch: int) -> Tensor:
    noise = normal(seed, epoch, samples, views.shape[1:].numel(), "noise").mul_(NOISE_SIGMA)
    return views.add_(noise.reshape(views.shape)).clamp_(0, 1)


def _signed(draw: Tensor) -> Tensor:
    """Return numbers of [0, 1) as numbers of [-1, 1)."""
    return 2 * draw - 1


def _float(images: Tensor) -> Tensor:
    """Return bytes [B, S, S, 3] as floats [B, 3, S, S], 0 to 255."""
    return images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)


def _chunks(batch: Tensor) -> Iterator[Tensor]:
    """Yield the pieces of a batch that are worked on at a time; an empty batch is one piece."""
    if batch.device.type != "cpu":
        yield batch
        return
    size = _CPU_CHUNK * torch.get_num_threads()
    for start in range(0, max(1, len(batch)), size):
        yield batch[start : start + size]


@lru_cache(maxsize=8)
def _moments(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the mean and the deviation, [3, 1, 1] each."""
    mean = torch.tensor(MEAN, device=device)
    std = torch.tensor(STD, device=device)
    return mean[:, None, None], std[:, None, None]
