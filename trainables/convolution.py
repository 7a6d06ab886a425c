"""Convolutions as matrix products on the CPU in bf16, where oneDNN's own are slow: at small maps, up to 3x.

Each of a convolution's three passes is torch's or ours, as a table of choices says for each shape. `measure` makes the table
and `install` puts it to work. In fp32, on another device or at a shape without a choice, nothing changes, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
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
"""By `shape_key`, the passes that are done by matrix products; all others, and other shapes, are torch's."""

WORTHWHILE = 0.9  # of torch's time: a smaller gain can't be told from noise, and would only change the rounding

_CHUNK = (
    2**23
)  # values copied out for one product, 16 MiB: glibc gives pieces above 32 MiB back to the system after each use
_NOTHING: Choices = MappingProxyType({})
_How = tuple[int, int]  # stride, padding


class Convolution(nn.Conv2d):
    """An `nn.Conv2d` that does the chosen passes as matrix products where autocast has them in bf16 on the CPU."""

    choices: Choices = _NOTHING

    @classmethod
    def like(cls, conv: nn.Conv2d, choices: Choices) -> Convolution:
        """The same layer with the same parameter, not a copy; `conv` must be `eligible`."""
        new = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size[0],
            *_how(conv),
            bias=False,
            device="meta",
        )
        new.weight = conv.weight
        new.choices = dict(choices)
        return new.train(conv.training)

    def forward(self, input: Tensor) -> Tensor:
        """What `nn.Conv2d` computes, up to bf16's rounding; channels-last where a chosen pass is needed."""
        chosen = self._chosen(input)
        needed = {"forward"}
        if torch.is_grad_enabled():
            needed |= {
                name
                for name, tensor in (("input", input), ("weight", self.weight))
                if tensor.requires_grad
            }
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
        return frozenset(self.choices.get(shape_key(self, *inputs.shape[2:]), ())).intersection(
            offered(self)
        )


def eligible(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether `install` replaces a module: a convolution that is square, without bias, groups and dilation."""
    if (
        not isinstance(module, nn.Conv2d)
        or type(module) not in (nn.Conv2d, Convolution)
        or isinstance(module.padding, str)
    ):
        return False
    square = all(
        len(set(pair)) == 1 for pair in (module.kernel_size, module.stride, module.padding)
    )
    plain = (
        module.bias is None
        and module.groups == 1
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
    )
    return square and plain and module.padding[0] < module.kernel_size[0]


def offered(conv: nn.Conv2d) -> tuple[Pass, ...]:
    """The passes of an eligible convolution that can be done as matrix products."""
    return (
        ("forward", "input", "weight")
        if conv.stride[0] == 1 or conv.kernel_size[0] == 1
        else ("forward", "weight")
    )


def shape_key(conv: nn.Conv2d, height: int, width: int) -> str:
    """Its name in a table of choices: `512>512 3x3/1 at 3x3` is in>out, kernel/stride and the input's height x width.

    A padding other than half the kernel is named too.
    """
    kernel, (stride, padding) = conv.kernel_size[0], _how(conv)
    padded = "" if padding == kernel // 2 else f" padded by {padding}"
    return f"{conv.in_channels}>{conv.out_channels} {kernel}x{kernel}/{stride}{padded} at {height}x{width}"


def install(network: nn.Module, choices: Choices) -> None:
    """Replace every eligible convolution inside a network, in place; an empty table leaves the network untouched.

    Parameters and the state dict's keys stay the same. A replaced layer's hooks are lost.
    """
    replaced: dict[nn.Module, Convolution] = {}
    for name, module in list(network.named_modules(remove_duplicate=False)) if choices else ():
        if name and eligible(module):
            replaced[module] = replaced.get(module) or Convolution.like(module, choices)
            network.set_submodule(name, replaced[module])


def measure(
    network: nn.Module, inputs: Tensor, *, known: Choices = _NOTHING, rounds: int = 3
) -> dict[str, list[Pass]]:
    """Time each pass of the convolutions that a network does on these inputs, both ways, and choose for all these shapes.

    Args:
        network: On the CPU. It runs once, in eval mode, and is left as it was; so is torch's random state.
        inputs: A batch of the size that shall be fast.
        known: Choices of an earlier call: their shapes are not timed again.
        rounds: Timings of each pass, of which the fastest counts: what disturbs one only makes it slower.
    """
    found: dict[str, tuple[nn.Conv2d, Sequence[int]]] = {}

    def note(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        if eligible(module):
            found.setdefault(shape_key(module, *args[0].shape[2:]), (module, args[0].shape))

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
        return {
            key: list(known[key]) if key in known else _faster(*found[key], rounds) for key in found
        }


def _faster(conv: nn.Conv2d, shape: Sequence[int], rounds: int) -> list[Pass]:
    """The passes that matrix products do faster, on random values."""
    how, generator = _how(conv), torch.Generator().manual_seed(0)
    x, w = (_empty(size).normal_(generator=generator) for size in (shape, conv.weight.shape))
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
        seconds = [[timeit(run, number=1) for run in both[name]] for _ in range(1 + rounds)]
        theirs, ours = (
            min(times) for times in zip(*seconds[1:], strict=True)
        )  # the first warms up
        # At a width of 1, oneDNN leaves the gradient of taps that meet padding alone uninitialised where the stride is over 1.
        wrong = name == "weight" and conv.stride[0] > 1 and shape[-1] == 1
        chosen += [name] if wrong or ours <= WORTHWHILE * theirs else []
    return chosen


# Below, images and weights are bf16 and channels-last: [N, C, H, W] and [out, in, k, k], in memory NHWC and [out, k, k, in].


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, how: _How, chosen: frozenset[Pass]
    ) -> Tensor:
        x, w = (
            tensor.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
            for tensor in (inputs, weight)
        )
        ctx.save_for_backward(
            x if ctx.needs_input_grad[1] else None, w if ctx.needs_input_grad[0] else None
        )
        ctx.shapes, ctx.strides, ctx.how, ctx.chosen = (
            (x.shape, w.shape),
            weight.stride(),
            how,
            chosen,
        )
        return (
            _correlate(x, w.permute(2, 3, 1, 0), how)
            if "forward" in chosen
            else _torch_forward(x, w, how)
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (x, w), (for_input, for_weight, *_) = ctx.saved_tensors, ctx.needs_input_grad
        g = grad.contiguous(memory_format=torch.channels_last)
        torchs = for_input and "input" not in ctx.chosen, for_weight and "weight" not in ctx.chosen
        of_input = of_weight = None
        if any(torchs):  # they read the mere shape of what was not saved
            x, w = (
                _empty(shape) if tensor is None else tensor
                for tensor, shape in zip((x, w), ctx.shapes, strict=True)
            )
            of_input, of_weight = _torch_backward(g, x, w, ctx.how, torchs)
        if for_input and of_input is None:
            of_input = _input_gradient(g, w, ctx.shapes[0], ctx.how)
        if for_weight:
            like = torch.empty_strided(ctx.shapes[1], ctx.strides, dtype=torch.float32)
            of_weight = (
                _weight_gradient(g, x, like, ctx.how)
                if of_weight is None
                else like.copy_(of_weight)
            )
        return of_input, of_weight, None, None


def _torch_forward(x: Tensor, w: Tensor, how: _How) -> Tensor:
    return F.conv2d(x, w, None, *how).contiguous(memory_format=torch.channels_last)


def _torch_backward(g: Tensor, x: Tensor, w: Tensor, how: _How, mask: Sequence[bool]) -> Any:
    rest = ([how[0]] * 2, [how[1]] * 2, [1, 1], False, [0, 0], 1, [*mask, False])
    return torch.ops.aten.convolution_backward(g, x, w, None, *rest)[:2]


def _input_gradient(g: Tensor, w: Tensor, shape: Sequence[int], how: _How) -> Tensor:
    (stride, padding), kernel = how, w.shape[2]
    mirrored = torch.stack(
        [w[:, :, i, j] for i in reversed(range(kernel)) for j in reversed(range(kernel))]
    )
    seen = _correlate(g, mirrored.unflatten(0, (kernel, kernel)), (1, kernel - 1 - padding))
    if stride == 1:
        return seen
    gradient = _empty(shape).zero_()  # a 1x1 with a stride passes over the other positions
    gradient[:, :, ::stride, ::stride] = seen
    return gradient


def _weight_gradient(g: Tensor, x: Tensor, gradient: Tensor, how: _How) -> Tensor:
    """Fill `gradient`, which has the weight's shape in any layout, with a product for each tap of the kernel."""
    rows, columns = (_meetings(x.shape[d], g.shape[d], gradient.shape[d], how) for d in (2, 3))
    x, g = x.permute(0, 2, 3, 1), g.permute(0, 2, 3, 1)
    for i, (x_rows, g_rows) in enumerate(rows):
        for j, (x_columns, g_columns) in enumerate(columns):
            inputs, outputs = (
                x[:, x_rows, x_columns].flatten(0, 2),
                g[:, g_rows, g_columns].flatten(0, 2),
            )
            gradient[:, :, i, j] = (
                outputs.t() @ inputs
            )  # of no rows, hence 0, for a tap that meets padding alone
    return gradient


def _correlate(x: Tensor, w: Tensor, how: _How) -> Tensor:
    """Apply a kernel [k, k, in, out] of any layout, in a product for each class of positions that see the same taps of it."""
    (batch, channels, height, width), (kernel, _, _, out), (stride, padding) = x.shape, w.shape, how
    high, wide = ((size + 2 * padding - kernel) // stride + 1 for size in (height, width))
    result = _empty((batch, out, high, wide))
    row, image = width * channels, height * width * channels
    for rows, (top, bottom) in _classes(height, high, kernel, how):
        for columns, (left, right) in _classes(width, wide, kernel, how):
            taps, places = w[top:bottom, left:right], result.permute(0, 2, 3, 1)[:, rows, columns]
            if bottom - top > 1 and right - left < kernel:
                taps = (
                    taps.clone()
                )  # flatten would copy too, but transpose what a clone leaves in its layout
            matrix = taps.flatten(0, 2)
            corner = (rows.start * stride - padding + top) * row + (
                columns.start * stride - padding + left
            ) * channels
            step = max(1, _CHUNK // (len(matrix) * places.shape[1] * places.shape[2]))
            for n, chunk in enumerate(places.split(step) if batch else ()):
                size = (*chunk.shape[:3], bottom - top, (right - left) * channels)
                start = x.storage_offset() + n * step * image + corner
                seen = x.as_strided(
                    size, (image, stride * row, stride * channels, row, 1), start
                ).reshape(-1, len(matrix))
                if chunk.is_contiguous():
                    torch.mm(seen, matrix, out=chunk.flatten(0, 2))
                else:
                    chunk.copy_((seen @ matrix).view(chunk.shape))
    return result


def _classes(size: int, out: int, kernel: int, how: _How) -> list[tuple[slice, tuple[int, int]]]:
    """Along one side, the runs of output positions that see the same taps, and which: from and up to."""
    starts = [
        o * how[0] - how[1] for o in range(out)
    ]  # of what each position sees, padding included
    runs = groupby(range(out), lambda o: (max(0, -starts[o]), min(kernel, size - starts[o])))
    return [
        (slice(run[0], run[-1] + 1), taps)
        for taps, run in ((taps, list(run)) for taps, run in runs)
    ]


def _meetings(size: int, out: int, kernel: int, how: _How) -> list[tuple[slice, slice]]:
    """Along one side, for each tap: the positions of the input that it meets, and those of the output for which it does."""
    (stride, padding), meetings = how, []
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
