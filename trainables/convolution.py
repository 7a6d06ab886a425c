"""Convolutions as matrix products on the CPU in bf16, where oneDNN's own are slow.

That is at small maps, by up to 3x. Each of a convolution's three passes is torch's or ours, as a
table of choices says for each shape. `measure` makes the table and `install` puts it to work. In
fp32, on another device or at a shape without a choice, nothing changes, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, product
from timeit import timeit
from types import MappingProxyType
from typing import Any, Literal, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Pass = Literal["forward", "input", "weight"]
"""The output, the gradient of the input, the gradient of the weight."""

Choices = Mapping[str, Sequence[Pass]]
"""By `shape_key`, the passes that are done by matrix products; all others, and those at other
shapes, are torch's."""

# Of torch's time: a smaller gain cannot be told from noise, and would only change the rounding.
WORTHWHILE = 0.9

# Values copied out for one product, 16 MiB: glibc gives pieces above 32 MiB back to the system
# after each use.
_CHUNK = 2**23

_NOTHING: Choices = MappingProxyType({})
_How = tuple[int, int]  # stride, padding


class Convolution(nn.Conv2d):
    """An `nn.Conv2d` that does the chosen passes as matrix products.

    It does so where autocast has them in bf16 on the CPU.
    """

    choices: Choices = _NOTHING

    @classmethod
    def like(cls, conv: nn.Conv2d, choices: Choices) -> Convolution:
        """Return the same layer with the same parameter, not a copy; `conv` must be `eligible`."""
        channels = conv.in_channels, conv.out_channels
        new = cls(*channels, conv.kernel_size[0], *_how(conv), bias=False, device="meta")
        new.weight = conv.weight
        new.choices = dict(choices)
        return new.train(conv.training)

    def forward(self, input: Tensor) -> Tensor:
        """Compute what `nn.Conv2d` does, up to bf16's rounding.

        The output is channels-last where a chosen pass is needed.
        """
        chosen = self._chosen(input)
        needed = {"forward"}
        if torch.is_grad_enabled() and input.requires_grad:
            needed.add("input")
        if torch.is_grad_enabled() and self.weight.requires_grad:
            needed.add("weight")
        if not needed & chosen:
            return super().forward(input)
        output: Tensor = _Product.apply(input.to(torch.bfloat16), self.weight, _how(self), chosen)
        return output

    def _chosen(self, inputs: Tensor) -> frozenset[Pass]:
        bf16 = (
            torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        )
        bf16 &= torch.float64 not in (inputs.dtype, self.weight.dtype)  # autocast leaves it alone
        if not bf16 or inputs.dim() != 4 or inputs.device.type != "cpu":
            return frozenset()
        chosen = self.choices.get(shape_key(self, *inputs.shape[2:]), ())
        return frozenset(chosen).intersection(offered(self))


def eligible(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Return whether `install` replaces a module.

    It replaces convolutions that are square, without bias, groups and dilation.
    """
    if not isinstance(module, nn.Conv2d) or isinstance(module.padding, str):
        return False
    if type(module) not in (nn.Conv2d, Convolution):
        return False
    pairs = (module.kernel_size, module.stride, module.padding)
    square = all(len(set(pair)) == 1 for pair in pairs)
    plain = (
        module.bias is None
        and module.groups == 1
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
    )
    return square and plain and module.padding[0] < module.kernel_size[0]


def offered(conv: nn.Conv2d) -> tuple[Pass, ...]:
    """Return the passes of an eligible convolution that can be done as matrix products."""
    if conv.stride[0] == 1 or conv.kernel_size[0] == 1:
        return ("forward", "input", "weight")
    return ("forward", "weight")


def shape_key(conv: nn.Conv2d, height: int, width: int) -> str:
    """Return a convolution's name in a table of choices.

    `512>512 3x3/1 at 3x3` is in>out, kernel/stride and the input's height x width. A padding other
    than half the kernel is named too.
    """
    kernel = conv.kernel_size[0]
    stride, padding = _how(conv)
    key = f"{conv.in_channels}>{conv.out_channels} {kernel}x{kernel}/{stride}"
    if padding != kernel // 2:
        key += f" padded by {padding}"
    return f"{key} at {height}x{width}"


def install(network: nn.Module, choices: Choices) -> None:
    """Replace every eligible convolution inside a network, in place.

    An empty table leaves the network untouched. Parameters and the state dict's keys stay the same.
    A replaced layer's hooks are lost.
    """
    if not choices:
        return
    replaced: dict[nn.Module, Convolution] = {}
    for name, module in list(network.named_modules(remove_duplicate=False)):
        if name and eligible(module):
            replaced[module] = replaced.get(module) or Convolution.like(module, choices)
            network.set_submodule(name, replaced[module])


def measure(
    network: nn.Module, inputs: Tensor, *, known: Choices = _NOTHING, rounds: int = 3
) -> dict[str, list[Pass]]:
    """Time each pass of the convolutions that a network does on these inputs, and choose.

    Args:
        network: On the CPU. It runs once, in eval mode, and is left as it was; so is torch's random
            state.
        inputs: A batch of the size that shall be fast.
        known: Choices of an earlier call: their shapes are not timed again.
        rounds: Timings of each pass, of which the fastest counts: what disturbs one only makes it
            slower.

    Returns:
        The passes that are faster as matrix products, for each shape.
    """
    met: dict[str, tuple[nn.Conv2d, Sequence[int]]] = {}

    def note(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        if eligible(module):
            met.setdefault(shape_key(module, *args[0].shape[2:]), (module, args[0].shape))

    # Which shapes there are.
    modes = {module: module.training for module in network.modules()}
    hooks = [module.register_forward_pre_hook(note) for module in modes if eligible(module)]
    with torch.no_grad():
        try:
            with torch.random.fork_rng(devices=[]), torch.autocast("cpu", dtype=torch.bfloat16):
                network.eval()(inputs)
        finally:
            for hook in hooks:
                hook.remove()
            for module, training in modes.items():
                module.training = training
        # What is faster at each.
        chosen: dict[str, list[Pass]] = {}
        for key, (conv, shape) in met.items():
            chosen[key] = list(known[key]) if key in known else _faster(conv, shape, rounds)
        return chosen


def _faster(conv: nn.Conv2d, shape: Sequence[int], rounds: int) -> list[Pass]:
    """Return the passes that matrix products do faster, on random values."""
    how = _how(conv)
    generator = torch.Generator().manual_seed(0)
    x = _empty(shape).normal_(generator=generator)
    w = _empty(conv.weight.shape).normal_(generator=generator)
    g = _torch_forward(x, w, how).normal_(generator=generator)
    dw = torch.empty_like(w, dtype=torch.float32)
    both: dict[Pass, Sequence[Callable[[], object]]] = {
        "forward": (
            lambda: _torch_forward(x, w, how),
            lambda: _correlate(x, w.permute(2, 3, 1, 0), how),
        ),
        "input": (
            lambda: _torch_backward(g, x, w, how, (True, False)),
            lambda: _input_gradient(g, w, shape, how),
        ),
        "weight": (
            lambda: dw.copy_(_torch_backward(g, x, w, how, (False, True))[1]),
            lambda: _weight_gradient(g, x, dw, how),
        ),
    }
    chosen: list[Pass] = []
    for name in offered(conv):
        # In turn, so that what disturbs one disturbs the other; the first round warms up.
        seconds = [[timeit(run, number=1) for run in both[name]] for _ in range(1 + rounds)]
        theirs, ours = map(min, zip(*seconds[1:], strict=True))
        # At a width of 1, oneDNN leaves the gradient of taps that meet padding alone uninitialised
        # where the stride is over 1.
        wrong = name == "weight" and conv.stride[0] > 1 and shape[-1] == 1
        if wrong or ours <= WORTHWHILE * theirs:
            chosen.append(name)
    return chosen


# Below, images and weights are bf16 and channels-last: [N, C, H, W] and [out, in, k, k], in memory
# NHWC and [out, k, k, in].


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, how: _How, chosen: frozenset[Pass]
    ) -> Tensor:
        x = inputs.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        w = weight.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        # The gradient of one needs the other.
        for_input, for_weight, *_ = ctx.needs_input_grad
        ctx.save_for_backward(x if for_weight else None, w if for_input else None)
        ctx.shapes = (x.shape, w.shape)
        ctx.strides = weight.stride()
        ctx.how = how
        ctx.chosen = chosen
        if "forward" in chosen:
            return _correlate(x, w.permute(2, 3, 1, 0), how)
        return _torch_forward(x, w, how)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, w = ctx.saved_tensors
        x_shape, w_shape = ctx.shapes
        for_input, for_weight, *_ = ctx.needs_input_grad
        g = grad.contiguous(memory_format=torch.channels_last)
        of_input = of_weight = None
        # torch's passes; they read the mere shape of what was not saved
        torchs = for_input and "input" not in ctx.chosen, for_weight and "weight" not in ctx.chosen
        if any(torchs):
            x = _empty(x_shape) if x is None else x
            w = _empty(w_shape) if w is None else w
            of_input, of_weight = _torch_backward(g, x, w, ctx.how, torchs)
        # ours
        if for_input and of_input is None:
            of_input = _input_gradient(g, w, x_shape, ctx.how)
        if for_weight:
            gradient = torch.empty_strided(w_shape, ctx.strides, dtype=torch.float32)
            if of_weight is None:
                _weight_gradient(g, x, gradient, ctx.how)
            else:
                gradient.copy_(of_weight)
            of_weight = gradient
        return of_input, of_weight, None, None


def _torch_forward(x: Tensor, w: Tensor, how: _How) -> Tensor:
    return F.conv2d(x, w, None, *how).contiguous(memory_format=torch.channels_last)


def _torch_backward(g: Tensor, x: Tensor, w: Tensor, how: _How, mask: Sequence[bool]) -> Any:
    rest = ([how[0]] * 2, [how[1]] * 2, [1, 1], False, [0, 0], 1, [*mask, False])
    return torch.ops.aten.convolution_backward(g, x, w, None, *rest)[:2]


def _input_gradient(g: Tensor, w: Tensor, shape: Sequence[int], how: _How) -> Tensor:
    stride, padding = how
    kernel = w.shape[2]
    backwards = range(kernel - 1, -1, -1)
    taps = [w[:, :, i, j] for i, j in product(backwards, backwards)]
    mirrored = torch.stack(taps).unflatten(0, (kernel, kernel))  # [k, k, out, in]
    seen = _correlate(g, mirrored, (1, kernel - 1 - padding))
    if stride == 1:
        return seen
    gradient = _empty(shape).zero_()  # a 1x1 with a stride passes over the other positions
    gradient[:, :, ::stride, ::stride] = seen
    return gradient


def _weight_gradient(g: Tensor, x: Tensor, gradient: Tensor, how: _How) -> Tensor:
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


def _correlate(x: Tensor, w: Tensor, how: _How) -> Tensor:
    """Apply a kernel [k, k, in, out] of any layout.

    There is a product for each class of positions that see the same taps of the kernel.
    """
    batch, channels, height, width = x.shape
    kernel, _, _, out = w.shape
    stride, padding = how
    high, wide = ((size + 2 * padding - kernel) // stride + 1 for size in (height, width))
    result = _empty((batch, out, high, wide))
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
            step = max(1, _CHUNK // (len(matrix) * places.shape[1] * places.shape[2]))
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


def _classes(size: int, out: int, kernel: int, how: _How) -> list[tuple[slice, tuple[int, int]]]:
    """Return, along one side, the runs of output positions that see the same taps.

    Each comes with its taps: from and up to.
    """
    stride, padding = how

    def taps_at(position: int) -> tuple[int, int]:
        start = position * stride - padding  # of what it sees, padding included
        return max(0, -start), min(kernel, size - start)

    classes: list[tuple[slice, tuple[int, int]]] = []
    for taps, positions in groupby(range(out), taps_at):
        run = list(positions)
        classes.append((slice(run[0], run[-1] + 1), taps))
    return classes


def _meetings(size: int, out: int, kernel: int, how: _How) -> list[tuple[slice, slice]]:
    """Return, along one side, what each tap meets.

    That is the positions of the input that it meets, and those of the output for which it does.
    """
    stride, padding = how
    meetings: list[tuple[slice, slice]] = []
    for tap in range(kernel):
        first = max(0, -((tap - padding) // stride))
        end = max(first, min(out, (size - 1 + padding - tap) // stride + 1))
        start = first * stride - padding + tap
        meetings.append((slice(start, start + (end - first) * stride, stride), slice(first, end)))
    return meetings


def _how(conv: nn.Conv2d) -> _How:
    return conv.stride[0], int(conv.padding[0])


def _empty(shape: Sequence[int]) -> Tensor:
    return torch.empty(tuple(shape), dtype=torch.bfloat16, memory_format=torch.channels_last)
