"""Prints, by which copies of images are found: a hash of the pixels and two thumbnails."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from trainables.data.listing import Images

Floats = npt.NDArray[np.float32]
Greys = npt.NDArray[np.uint8]  # [N, 16, 16]
Colors = npt.NDArray[np.int8]  # [N, 4, 4, 2], Cb and Cr around 0

# Pixels on a side of a gray thumbnail, and of one in color.
SIDE = 16
COLOR_SIDE = 4
# As in JPEG.
YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32
)


@dataclass(frozen=True, slots=True)
class Prints:
    """The prints of N images, 304 bytes each.

    Attributes:
        exact: uint64 [N, 2], 128 bits of the SHA-256 of the pixels.
        greys: uint8 [N, 16, 16].
        colors: int8 [N, 4, 4, 2], Cb and Cr around 0.
    """

    exact: npt.NDArray[np.uint64]
    greys: Greys
    colors: Colors

    @classmethod
    def of(cls, images: Images) -> Prints:
        """Take the prints of decoded squares, uint8 [N, S, S, 3].

        A few hundred at a time keep memory low.
        """
        with one_thread():
            thumbs = _thumbs(images)  # [N, 16, 16, 3]
        cell = SIDE // COLOR_SIDE
        chroma = thumbs[..., 1:].reshape(-1, COLOR_SIDE, cell, COLOR_SIDE, cell, 2).mean((2, 4))
        greys = np.rint(thumbs[..., 0].clip(0, 255)).astype(np.uint8)
        colors = np.rint(chroma.clip(-127, 127)).astype(np.int8)
        return cls(_digests(images), greys, colors)

    @classmethod
    def joined(cls, parts: Sequence[Prints]) -> Prints:
        """Join the prints of one or more parts, in their order."""
        exact = np.concatenate([part.exact for part in parts])
        greys = np.concatenate([part.greys for part in parts])
        colors = np.concatenate([part.colors for part in parts])
        return cls(exact, greys, colors)


def one_thread() -> AbstractContextManager[Any]:
    """Keep numpy's matrix products on one thread.

    They are small, and on busy cores two threads took ten times as long.
    """
    limit: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limit


def spectra(greys: Floats, count: int, weight: float) -> Floats:
    """Return unit vectors of the lowest DCT frequencies, float32 [N, count^2 - 1].

    Mean and contrast do not matter to them.

    Args:
        greys: Thumbnails, [N, 16, 16].
        count: Frequencies in each direction, the mean included, which is left out of the vectors.
        weight: Each coefficient is multiplied by its frequency to this power; 1 whitens natural
            images (Field 1987).
    """
    angles = np.pi * np.arange(count)[:, None] * (np.arange(SIDE) + 0.5) / SIDE
    basis = np.cos(angles).astype(np.float32)  # [count, 16]
    basis[0] /= np.sqrt(2)
    weights = frequencies(count) ** weight
    vectors: Floats = (basis @ greys @ basis.T).reshape(-1, count * count)[:, 1:] * weights
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors


def frequencies(count: int) -> Floats:
    """Return the frequency of each element of `spectra`, [count^2 - 1], half periods per side."""
    down, right = np.mgrid[:count, :count]
    without_mean: Floats = np.hypot(down, right).reshape(-1)[1:].astype(np.float32)
    return without_mean


@cache
def _controller() -> ThreadpoolController:
    # It looks through all loaded libraries, which takes a few ms.
    return ThreadpoolController()


def _thumbs(images: Images) -> Floats:
    """Return luma and chroma, [N, 16, 16, 3].

    Each image is computed by products of its own, so that its neighbors change no bit.
    """
    number, side = images.shape[:2]
    matrix = _shrinking(side)
    rows = matrix @ images.reshape(number, side, side * 3).astype(np.float32)  # [N, 16, S x 3]
    columns = np.kron(matrix, YCBCR).T  # [S x 3, 16 x 3]
    return (rows @ columns).reshape(number, SIDE, SIDE, 3)


def _shrinking(side: int) -> Floats:
    """Return the weights of a row's pixels in each of its 16 means, [16, side].

    They are a triangle, as in Pillow's bilinear filter.
    """
    step = side / SIDE
    centers = (np.arange(SIDE) + 0.5) * step - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(side) - centers[:, None]) / max(step, 1))
    shares: Floats = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return shares


def _digests(images: Images) -> npt.NDArray[np.uint64]:
    digests = [hashlib.sha256(image).digest()[:16] for image in np.ascontiguousarray(images)]
    return np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2).astype(np.uint64)
