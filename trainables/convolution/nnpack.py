"""3x3 convolutions in fp32 by NNPACK, which torch brings along but asks only where oneDNN is off.

It transforms tiles of the images, by Winograd's way (Lavin and Gray 2016, "Fast Algorithms for
Convolutional Neural Networks") or, at some sizes, Fourier's, so that there are 2 to 4 times fewer
multiplications. What the transforms round is 1e-4 of a value's usual size or less, between fp32
(1e-6) and bf16 (4e-3). Its threads are as many as torch has at its first call in a process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from trainables.convolution.passes import How, empty

# Of images and outputs at once, in bytes: NNPACK's own memory is about twice that, and stays.
_CHUNK = 2**25


@cache
def available() -> bool:
    """Return whether torch has NNPACK here: on a CPU with AVX2, say."""
    return bool(torch.backends.nnpack.is_available())


def output(x: Tensor, w: Tensor, how: How) -> Tensor:
    """Return the output, channels-last, of a convolution with a stride of 1."""
    batch, channels, height, width = x.shape
    if batch == 1:
        # A single image would go another way, which nobody checked.
        return output(x.expand(2, -1, -1, -1), w, how)[:1]
    high, wide = (side + 2 * how.padding - w.shape[2] + 1 for side in (height, width))
    made = empty((batch, len(w), high, wide), x.dtype)
    of_image = (channels * height * width + len(w) * high * wide) * x.element_size()
    # Pieces of about the same size, none of them of one image.
    pieces = min(batch // 2, math.ceil(batch * of_image / _CHUNK))
    # NNPACK has images and weights channels-first in memory.
    kernel = w.contiguous()
    padding = [how.padding] * 2
    for images, place in zip(x.tensor_split(pieces), made.tensor_split(pieces), strict=True):
        place.copy_(
            torch._nnpack_spatial_convolution(images.contiguous(), kernel, None, padding, [1, 1])
        )
    return made


def input_gradient(g: Tensor, w: Tensor, shape: Sequence[int], how: How) -> Tensor:
    """Return the gradient of an input of this shape.

    It is the mirrored kernel, passed over the gradient of the output.
    """
    mirrored = w.flip(2, 3).transpose(0, 1)
    return output(g, mirrored, How(1, w.shape[2] - 1 - how.padding))
