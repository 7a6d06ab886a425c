"""3x3 convolutions in fp32 by tiles of 3x3: 25 multiplications for what takes 81.

Winograd's way (Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks"), F(3x3,
3x3): 5x5 values of the image and 3x3 of the kernel are transformed to 25 each, which are multiplied
one by one, and their products transformed to 3x3 values of the output. Over channels and images,
that is 25 matrix products. The kernel's gradient is the same with 3x3 values of the output's
gradient in the place of the kernel. NNPACK's tiles are larger, so that they are for larger maps.

What the transforms round is about 2e-5 of a value's usual size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from trainables.convolution.passes import How, empty

# Of transformed images at once, in bytes; see `products`.
_CHUNK = 2**24

_POINTS = (0.0, 1.0, -1.0, 2.0)  # and infinity
_SIDE = 3
_WHOLE = len(_POINTS) + 1  # of a tile and its surroundings


def output(x: Tensor, w: Tensor, how: How) -> Tensor:
    """Return the output, channels-last, of a convolution with a stride of 1."""
    batch, _, height, width = x.shape
    high, wide = (side + 2 * how.padding - 2 for side in (height, width))
    made = empty((batch, len(w), high, wide), x.dtype)
    kernel = _small(w.permute(0, 2, 3, 1))  # [out, 25, in]
    _, _, back = _transforms()
    for images in _chunks(x, high, wide, len(w)):
        data = _large(x[images], how.padding, high, wide)  # [tiles, 25, in]
        products = data.new_empty(len(data), len(back[0]), len(w))
        for point in range(len(back[0])):
            torch.mm(data[:, point], kernel[:, point].t(), out=products[:, point])
        _put(made[images].permute(0, 2, 3, 1), back @ products)
    return made


def input_gradient(g: Tensor, w: Tensor, shape: Sequence[int], how: How) -> Tensor:
    """Return the gradient of an input of this shape.

    It is the mirrored kernel, passed over the gradient of the output.
    """
    mirrored = w.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
    return output(g, mirrored, How(1, w.shape[2] - 1 - how.padding))


def weight_gradient(g: Tensor, x: Tensor, gradient: Tensor, how: How) -> Tensor:
    """Fill `gradient`, of the weight's shape in any layout."""
    high, wide = g.shape[2:]
    _, _, back = _transforms()
    out, channels = gradient.shape[:2]
    products = x.new_zeros(out, len(back[0]), channels)
    for images in _chunks(x, high, wide, out):
        data = _large(x[images], how.padding, high, wide)  # [tiles, 25, in]
        kernel = _small(_tiled(g[images], high, wide))  # [tiles, 25, out]
        for point in range(len(back[0])):
            products[:, point].addmm_(kernel[:, point].t(), data[:, point])
    taps = (back @ products).view(out, _SIDE, _SIDE, channels)
    return gradient.copy_(taps.permute(0, 3, 1, 2))


def _chunks(x: Tensor, high: int, wide: int, out: int) -> Iterator[slice]:
    """Yield which images go through at once."""
    tiles = math.ceil(high / _SIDE) * math.ceil(wide / _SIDE)
    step = max(1, _CHUNK // (tiles * _WHOLE**2 * max(x.shape[1], out) * x.element_size()))
    for first in range(0, len(x), step):
        yield slice(first, min(first + step, len(x)))


def _large(x: Tensor, padding: int, high: int, wide: int) -> Tensor:
    """Return the transformed 5x5 values that each tile of the output sees, `[tiles, 25, in]`."""
    large, _, _ = _transforms()
    batch, channels, height, width = x.shape
    rows, columns = (math.ceil(side / _SIDE) for side in (high, wide))
    x = x.permute(0, 2, 3, 1)
    # Of one tile, only what is inside the image.
    if rows == columns == 1:
        seen = large.view(-1, _WHOLE, _WHOLE)[:, padding:, padding:][:, :height, :width].flatten(1)
        return seen @ x.reshape(batch, -1, channels)
    size = (batch, rows * _SIDE + 2, columns * _SIDE + 2, channels)
    padded = x.new_zeros(size)
    padded[:, padding : padding + height, padding : padding + width] = x
    image, row, column, _ = padded.stride()
    strides = (image, _SIDE * row, _SIDE * column, row, column, 1)
    tiles = padded.as_strided((batch, rows, columns, _WHOLE, _WHOLE, channels), strides)
    return large @ tiles.reshape(-1, _WHOLE**2, channels)


def _small(values: Tensor) -> Tensor:
    """Return transformed 3x3 values, `[any, 25, channels]`, of `[any, 3, 3, channels]`."""
    _, small, _ = _transforms()
    return small @ values.reshape(len(values), _SIDE**2, -1)


def _tiled(g: Tensor, high: int, wide: int) -> Tensor:
    """Return `[N, C, high, wide]` cut into tiles, `[tiles, 3, 3, C]`, the last ones filled up."""
    rows, columns = (math.ceil(side / _SIDE) for side in (high, wide))
    g = g.permute(0, 2, 3, 1)
    if (rows * _SIDE, columns * _SIDE) != (high, wide):
        whole = g.new_zeros(len(g), rows * _SIDE, columns * _SIDE, g.shape[3])
        whole[:, :high, :wide] = g
        g = whole
    tiles = g.reshape(len(g), rows, _SIDE, columns, _SIDE, -1).transpose(2, 3)
    return tiles.reshape(-1, _SIDE, _SIDE, g.shape[3])


def _put(made: Tensor, tiles: Tensor) -> None:
    """Put tiles, `[tiles, 9, out]`, into the places of an output, `[N, high, wide, out]`."""
    batch, high, wide, out = made.shape
    rows, columns = (math.ceil(side / _SIDE) for side in (high, wide))
    whole = tiles.view(batch, rows, columns, _SIDE, _SIDE, out).transpose(2, 3)
    if (rows * _SIDE, columns * _SIDE) == (high, wide):
        made.view(batch, rows, _SIDE, columns, _SIDE, out).copy_(whole)
        return
    made.copy_(whole.reshape(batch, rows * _SIDE, columns * _SIDE, out)[:, :high, :wide])


@cache
def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Return what transforms 5x5 and 3x3 values to 25, and 25 products to 3x3 values.

    They are Toom and Cook's, for a product of polynomials at these points and at infinity.
    """
    large, small, back = (np.zeros(size) for size in ((_WHOLE, _WHOLE), (_WHOLE, 3), (3, _WHOLE)))
    for number, point in enumerate(_POINTS):
        others = [other for other in _POINTS if other != point]
        large[number, : len(_POINTS)] = np.poly(others)[::-1]
        small[number] = np.power(point, range(3)) / np.prod([point - other for other in others])
        back[:, number] = np.power(point, range(3))
    large[-1] = np.poly(_POINTS)[::-1]
    small[-1, -1] = back[-1, -1] = 1
    both = (np.kron(matrix, matrix) for matrix in (large, small, back))
    large2, small2, back2 = (torch.from_numpy(matrix).float() for matrix in both)
    return large2, small2, back2
