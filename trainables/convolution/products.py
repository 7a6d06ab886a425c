"""The three passes of a convolution as matrix products, in the dtype of what they are given.

They are faster than oneDNN's at small maps: there is one product for each tap of the kernel, or for
each class of positions that see the same taps, on rows that are copied out of the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, product

import torch
from torch import Tensor

from trainables.convolution.passes import How, empty

# Bytes copied out for one product: glibc gives pieces above 32 MiB back to the system after each
# use.
_CHUNK = 2**24


def output(x: Tensor, w: Tensor, how: How) -> Tensor:
    """Return the output, channels-last."""
    return correlate(x, w.permute(2, 3, 1, 0), how)


def input_gradient(g: Tensor, w: Tensor, shape: Sequence[int], how: How) -> Tensor:
    """Return the gradient of an input of this shape; a stride needs a kernel of 1."""
    stride, padding, *_ = how
    kernel = w.shape[2]
    backwards = range(kernel - 1, -1, -1)
    taps = [w[:, :, i, j] for i, j in product(backwards, backwards)]
    mirrored = torch.stack(taps).unflatten(0, (kernel, kernel))  # [k, k, out, in]
    seen = correlate(g, mirrored, How(1, kernel - 1 - padding))
    if stride == 1:
        return seen
    gradient = empty(shape, g.dtype).zero_()  # a 1x1 with a stride passes over the other positions
    gradient[:, :, ::stride, ::stride] = seen
    return gradient


def weight_gradient(g: Tensor, x: Tensor, gradient: Tensor, how: How) -> Tensor:
    """Fill `gradient`, of the weight's shape in any layout, by a product for each tap."""
    rows, columns = (_meetings(x.shape[d], g.shape[d], gradient.shape[d], how) for d in (2, 3))
    x = x.permute(0, 2, 3, 1)  # [N, H, W, C]
    g = g.permute(0, 2, 3, 1)
    for i, (x_rows, g_rows) in enumerate(rows):
        for j, (x_columns, g_columns) in enumerate(columns):
            # Of no rows, hence 0, for a tap that meets padding alone.
            inputs = x[:, x_rows, x_columns].flatten(0, 2)  # [N H W, C]
            outputs = g[:, g_rows, g_columns].flatten(0, 2)
            gradient[:, :, i, j] = outputs.t() @ inputs
    return gradient


def correlate(x: Tensor, w: Tensor, how: How) -> Tensor:
    """Apply a kernel [k, k, in, out] of any layout.

    There is a product for each class of positions that see the same taps of the kernel.
    """
    batch, channels, height, width = x.shape
    kernel, _, _, out = w.shape
    stride, padding, *_ = how
    high, wide = ((size + 2 * padding - kernel) // stride + 1 for size in (height, width))
    result = empty((batch, out, high, wide), x.dtype)
    if not batch:
        return result
    # Values from one row, and from one image, to the next.
    row = width * channels
    image = height * row
    for rows, (top, bottom) in _classes(height, high, kernel, how):
        for columns, (left, right) in _classes(width, wide, kernel, how):
            # The kernel's part as a matrix, and the output positions, [N, H, W, out].
            taps = w[top:bottom, left:right]
            places = result.permute(0, 2, 3, 1)[:, rows, columns]
            if bottom - top > 1 and right - left < kernel:
                # flatten would copy too, but transpose what a clone leaves in its layout
                taps = taps.clone()
            matrix = taps.flatten(0, 2)
            # Where the first position begins to see, and how many images are copied out at once.
            first_row = rows.start * stride - padding + top
            first_column = columns.start * stride - padding + left
            corner = first_row * row + first_column * channels
            of_image = len(matrix) * places.shape[1] * places.shape[2] * x.element_size()
            step = max(1, _CHUNK // of_image)
            strides = (image, stride * row, stride * channels, row, 1)
            for n, chunk in enumerate(places.split(step)):
                size = (*chunk.shape[:3], bottom - top, (right - left) * channels)
                start = x.storage_offset() + n * step * image + corner
                seen = x.as_strided(size, strides, start).reshape(-1, len(matrix))
                if chunk.is_contiguous():
                    torch.mm(seen, matrix, out=chunk.flatten(0, 2))
                else:
                    chunk.copy_((seen @ matrix).view(chunk.shape))
    return result


def _classes(size: int, out: int, kernel: int, how: How) -> list[tuple[slice, tuple[int, int]]]:
    """Return, along one side, the runs of output positions that see the same taps.

    Each comes with its taps: from and up to.
    """
    stride, padding, *_ = how

    def taps_at(position: int) -> tuple[int, int]:
        start = position * stride - padding  # of what it sees, padding included
        return max(0, -start), min(kernel, size - start)

    classes: list[tuple[slice, tuple[int, int]]] = []
    for taps, positions in groupby(range(out), taps_at):
        run = list(positions)
        classes.append((slice(run[0], run[-1] + 1), taps))
    return classes


def _meetings(size: int, out: int, kernel: int, how: How) -> list[tuple[slice, slice]]:
    """Return, along one side, what each tap meets.

    That is the positions of the input that it meets, and those of the output for which it does.
    """
    stride, padding, *_ = how
    meetings: list[tuple[slice, slice]] = []
    for tap in range(kernel):
        first = max(0, -((tap - padding) // stride))
        end = max(first, min(out, (size - 1 + padding - tap) // stride + 1))
        start = first * stride - padding + tap
        meetings.append((slice(start, start + (end - first) * stride, stride), slice(first, end)))
    return meetings
