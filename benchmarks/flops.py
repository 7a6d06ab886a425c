"""FLOPs of what a function computes, for `roof.py`: 2 for a multiplication with its addition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode


def counted(run: Callable[[], object]) -> tuple[float, float]:
    """Return the FLOPs of a forward and backward pass: all, and those that meet no padding.

    All are what torch's FlopCounterMode counts. It counts a convolution's taps on padding, which
    torch's own convolutions may do or leave out, and cannot see that others leave them out.
    """
    on_padding = 0.0

    def note(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        nonlocal on_padding
        if not isinstance(module, nn.Conv2d):
            return
        inputs: Tensor = args[0]
        passes = 1
        if torch.is_grad_enabled():
            passes += int(inputs.requires_grad) + int(module.weight.requires_grad)
        flop = 2 * output.numel() * module.weight[0].numel() * passes
        on_padding += flop * (1 - useful(module, *inputs.shape[2:]))

    hook = register_module_forward_hook(note)
    try:
        with FlopCounterMode(display=False) as counter:
            run()
    finally:
        hook.remove()
    return counter.get_total_flops(), counter.get_total_flops() - on_padding


def useful(conv: nn.Conv2d, height: int, width: int) -> float:
    """Return the share of a convolution's taps that meet pixels and not padding."""
    share = 1.0
    for dim, size in enumerate((height, width)):
        kernel, stride, padding = conv.kernel_size[dim], conv.stride[dim], int(conv.padding[dim])
        out = (size + 2 * padding - kernel) // stride + 1
        taps = [o * stride - padding + tap for o in range(out) for tap in range(kernel)]
        share *= sum(0 <= at < size for at in taps) / len(taps)
    return share
