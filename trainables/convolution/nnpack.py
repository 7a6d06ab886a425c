"""3x3 convolutions in fp32 by NNPACK, which torch brings along but asks only where oneDNN is off.

It transforms tiles of the images, where a convolution takes 2 to 4 times fewer multiplications
(Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks"). What the transforms
round is about 1e-4 of a value's usual size, between fp32 (1e-6) and bf16 (4e-3).
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.convolution.passes import How


def available() -> bool:
    """Return whether torch has NNPACK here: on a CPU with AVX2, say."""
    return bool(torch.backends.nnpack.is_available())


def output(x: Tensor, w: Tensor, how: How) -> Tensor:
    """Return the output, channels-last, of a convolution with a stride of 1."""
    padding = [how.padding] * 2
    # NNPACK has images and weights channels-first in memory.
    made = torch._nnpack_spatial_convolution(x.contiguous(), w.contiguous(), None, padding, [1, 1])
    return made.contiguous(memory_format=torch.channels_last)


def input_gradient(g: Tensor, w: Tensor, how: How) -> Tensor:
    """Return the gradient of the input: the mirrored kernel, passed over that of the output."""
    mirrored = w.flip(2, 3).transpose(0, 1)
    return output(g, mirrored, How(1, w.shape[2] - 1 - how.padding))
