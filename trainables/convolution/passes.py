"""The three passes of a convolution, by torch: as oneDNN does them, and plainly, in fp32.

Images `[N, C, H, W]` and weights `[out, in / groups, k, k]` are channels-last, hence NHWC and
`[out, k, k, in / groups]` in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pass = Literal["forward", "input", "weight"]
"""The output, the gradient of the input, the gradient of the weight."""

WAYS_VERSION = 1
"""Of the ways that there are and their code: what was found with another is tried again."""

PASSES: tuple[Pass, ...] = ("forward", "input", "weight")

Way = Literal["product", "tiles", "nnpack"]
"""How a pass is done that is not oneDNN's: see `products`, `tiles` and `nnpack`."""


class How(NamedTuple):
    """What a convolution does besides its weight's shape; the same along both sides."""

    stride: int
    padding: int
    dilation: int = 1
    groups: int = 1

    @classmethod
    def of(cls, conv: nn.Conv2d) -> How:
        """Return that of a layer whose sides are alike and whose padding is a number."""
        return cls(conv.stride[0], int(conv.padding[0]), conv.dilation[0], conv.groups)


def forward(x: Tensor, w: Tensor, how: How) -> Tensor:
    """Return the output, channels-last."""
    return F.conv2d(x, w, None, *how).contiguous(memory_format=torch.channels_last)


def gradients(
    g: Tensor, x: Tensor, w: Tensor, how: How, mask: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of input and weight that `mask` asks for.

    Of a tensor that is needed for neither of them, only the shape is read.
    """
    stride, padding, dilation, groups = how
    sides = ([stride] * 2, [padding] * 2, [dilation] * 2)
    rest = (*sides, False, [0, 0], groups, [*mask, False])
    of_input, of_weight, _ = torch.ops.aten.convolution_backward(g, x, w, None, *rest)
    return of_input, of_weight


@contextmanager
def plainly() -> Iterator[None]:
    """Let torch convolve by the matrix products that all else is built on: slowly.

    NNPACK, which it would call where oneDNN is off, adds up what rounding leaves of transformed
    images.
    """
    # `mkldnn.flags()`, the context manager of torch, warns of a precision that nobody asked to set.
    before = torch.backends.mkldnn.set_flags(_enabled=False, _fp32_precision=None)
    try:
        # Autocast would take values back to bf16.
        with torch.autocast("cpu", enabled=False), torch.backends.nnpack.flags(enabled=False):
            yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=before[0], _fp32_precision=None)


def exact_forward(x: Tensor, w: Tensor, how: How) -> Tensor:
    """Return the output in fp32, from values of whatever dtype."""
    with plainly():
        return forward(x.float(), w.float(), how)


def exact_gradients(
    g: Tensor, x: Tensor, w: Tensor, how: How, mask: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients that `mask` asks for, in fp32, from values of whatever dtype."""
    with plainly():
        return gradients(g.float(), x.float(), w.float(), how, mask)


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return a channels-last tensor whose values are not set."""
    return torch.empty(tuple(shape), dtype=dtype, memory_format=torch.channels_last)
