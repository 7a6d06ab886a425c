"""The looks of a decoded split's images, in numbers: their original sizes and their brightness."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.data.listing import Images, SplitName

Floats = npt.NDArray[np.float32]

# Files of an entry of the cache.
SIZES = "{split}_sizes.npy"
BRIGHTNESS = "{split}_brightness.npy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Looks:
    """The looks of the images of a split, in its order.

    Attributes:
        sizes: int32 [N, 2], the shorter and the longer side of each in pixels, as its owner has it.
        brightness: float32 [N, 3], the darkest value, the mean and the brightest value of its
            decoded square, of 255.
    """

    sizes: npt.NDArray[np.int32]
    brightness: Floats


def read_looks(entry: Path, split: SplitName) -> Looks:
    """Read what an entry of the cache says of a split's images.

    Raises:
        OSError: The entry is gone.
    """
    sizes = np.load(entry / SIZES.format(split=split), allow_pickle=False)
    brightness = np.load(entry / BRIGHTNESS.format(split=split), allow_pickle=False)
    return Looks(sizes=sizes, brightness=brightness)


def brightness_of(images: Images) -> Floats:
    """Return the darkest value, the mean and the brightest value of each image, float32 [N, 3].

    Args:
        images: uint8 [N, S, S, 3].
    """
    flat = images.reshape(len(images), -1)
    mean = flat.sum(axis=1, dtype=np.uint64) / flat.shape[1]
    return np.stack([flat.min(axis=1), mean, flat.max(axis=1)], axis=1).astype(np.float32)
