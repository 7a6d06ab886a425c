"""Convolutions to try, and what they give."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from trainables.convolution import Choices, Convolution, Pass, Way, shape_key
from trainables.network import Precision

bf16 = partial(torch.autocast, "cpu", dtype=torch.bfloat16)


def conv2d(
    kernel: int, stride: int = 1, *, channels_last: bool = True, padding: int | None = None
) -> nn.Conv2d:
    torch.manual_seed(kernel + 10 * stride)
    conv = nn.Conv2d(8, 12, kernel, stride, kernel // 2 if padding is None else padding, bias=False)
    return conv.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def images(batch: int, *size: int) -> Tensor:
    values = torch.randn(batch, 8, *size, generator=torch.Generator().manual_seed(batch))
    return values.bfloat16().contiguous(memory_format=torch.channels_last)


def choosing(
    conv: nn.Conv2d,
    passes: tuple[Pass, ...],
    *size: int,
    precision: Precision = "bf16",
    wrong: tuple[Pass, ...] = (),
    way: Way = "product",
) -> Convolution:
    key = shape_key(conv, *size)
    faster = {key: dict.fromkeys(passes, way)}
    choices = Choices(precision=precision, faster=faster, wrong={key: wrong})
    return Convolution.like(conv, choices)


def results(conv: nn.Conv2d, x: Tensor, precision: Precision = "bf16") -> dict[str, Tensor]:
    """The output and both gradients."""
    x, conv.weight.grad = x.detach().requires_grad_(), None
    with bf16(enabled=precision == "bf16"):
        y = conv(x)
    y.backward(gradient_like(y))
    assert x.grad is not None
    assert conv.weight.grad is not None
    return {"forward": y.detach(), "input": x.grad, "weight": conv.weight.grad}


def gradient_like(y: Tensor) -> Tensor:
    return torch.randint(-2, 3, y.shape, generator=torch.Generator().manual_seed(9)).to(y.dtype)
