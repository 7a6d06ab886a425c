"""An `nn.Conv2d` whose passes go the way that was chosen for its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trainables.convolution import nnpack, products, tiles
from trainables.convolution.passes import (
    How,
    Pass,
    Way,
    empty,
    exact_forward,
    exact_gradients,
    forward,
    gradients,
)
from trainables.network import Precision

DTYPES: Mapping[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}

KERNELS: Mapping[Way, ModuleType] = {"product": products, "tiles": tiles, "nnpack": nnpack}
"""By way, what has `output`, `input_gradient` and `weight_gradient`, as far as it can do them."""

Chosen = Mapping[str, Mapping[Pass, Way]]
"""By `shape_key`, the passes that go another way than oneDNN's."""

Wrong = Mapping[str, Sequence[Pass]]
"""By `shape_key`, the passes that oneDNN gets wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """Which passes are not oneDNN's; all others, and those in another precision, are.

    Attributes:
        precision: In which they were chosen.
        faster: The passes that are faster another way.
        wrong: The passes in which oneDNN is wrong on this machine: those that go no other way are
            torch's own without oneDNN, in fp32.
    """

    precision: Precision = "fp32"
    faster: Chosen = field(default_factory=dict)
    wrong: Wrong = field(default_factory=dict)


NOTHING = Choices()


class _Ways(NamedTuple):
    faster: Mapping[Pass, Way]
    exact: frozenset[Pass]

    @property
    def passes(self) -> frozenset[Pass]:
        """Return those that are not oneDNN's."""
        return self.exact | self.faster.keys()


class Convolution(nn.Conv2d):
    """An `nn.Conv2d` that does some passes as `choices` says, on the CPU."""

    choices: Choices = NOTHING

    @classmethod
    def like(cls, conv: nn.Conv2d, choices: Choices) -> Convolution:
        """Return the same layer with the same parameter, not a copy; `conv` must be `eligible`."""
        channels = conv.in_channels, conv.out_channels
        new = cls(*channels, conv.kernel_size[0], *How.of(conv), bias=False, device="meta")
        new.weight = conv.weight
        new.choices = choices
        return new.train(conv.training)

    def forward(self, input: Tensor) -> Tensor:
        """Compute what `nn.Conv2d` does, up to rounding.

        The output is channels-last where a chosen pass is needed.
        """
        ways = self._ways(input)
        needed = {"forward"}
        if torch.is_grad_enabled() and input.requires_grad:
            needed.add("input")
        if torch.is_grad_enabled() and self.weight.requires_grad:
            needed.add("weight")
        if ways is None or not needed & ways.passes:
            return super().forward(input)
        dtype = DTYPES[self.choices.precision]
        output: Tensor = _Passes.apply(input.to(dtype), self.weight, How.of(self), ways)
        return output

    def _ways(self, inputs: Tensor) -> _Ways | None:
        """Return what is chosen for these inputs; None in another precision or on a GPU."""
        if inputs.dim() != 4 or not len(inputs) or inputs.device.type != "cpu":
            return None
        if _precision(inputs, self.weight) != self.choices.precision:
            return None
        key = shape_key(self, *inputs.shape[2:])
        can = offered(self, self.choices.precision)
        chosen = self.choices.faster.get(key, {})
        faster = {name: way for name, way in chosen.items() if way in can.get(name, ())}
        return _Ways(faster, frozenset(self.choices.wrong.get(key, ())) - faster.keys())


def _precision(inputs: Tensor, weight: Tensor) -> Precision | None:
    """Return in which precision torch would convolve these."""
    dtypes = {inputs.dtype, weight.dtype}
    if not torch.is_autocast_enabled("cpu"):
        return "fp32" if dtypes == {torch.float32} else None
    # autocast leaves float64 alone
    if torch.get_autocast_dtype("cpu") != torch.bfloat16 or torch.float64 in dtypes:
        return None
    return "bf16"


def eligible(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Return whether `install` replaces a module.

    It replaces convolutions without bias that are alike on both sides.
    """
    if not isinstance(module, nn.Conv2d) or isinstance(module.padding, str):
        return False
    if type(module) not in (nn.Conv2d, Convolution):
        return False
    pairs = (module.kernel_size, module.stride, module.padding, module.dilation)
    alike = all(len(set(pair)) == 1 for pair in pairs)
    return alike and module.bias is None and module.padding_mode == "zeros"


def offered(conv: nn.Conv2d, precision: Precision) -> dict[Pass, tuple[Way, ...]]:
    """Return in which other ways the passes of an eligible convolution can be done."""
    kernel, (stride, padding, dilation, groups) = conv.kernel_size[0], How.of(conv)
    if groups > 1 or dilation > 1 or padding >= kernel:
        return {}
    one: tuple[Way, ...] = ("product",)
    if precision == "fp32" and kernel == 3 and stride == 1:
        both: tuple[Way, ...] = ("product", "tiles")
        images: tuple[Way, ...] = (*both, "nnpack") if nnpack.available() else both
        return {"forward": images, "input": images, "weight": both}
    if stride == 1 or kernel == 1:
        return {"forward": one, "input": one, "weight": one}
    return {"forward": one, "weight": one}


def shape_key(conv: nn.Conv2d, height: int, width: int) -> str:
    """Return the name in a table of a convolution and its input's size: `512>512 3x3/1 at 3x3`."""
    return f"{kind_of(conv)} at {height}x{width}"


def kind_of(conv: nn.Conv2d) -> str:
    """Return what a convolution is: in>out, kernel/stride.

    What is not usual is named too: a padding other than half the kernel, a dilation, groups.
    """
    kernel = conv.kernel_size[0]
    stride, padding, dilation, groups = How.of(conv)
    kind = f"{conv.in_channels}>{conv.out_channels} {kernel}x{kernel}/{stride}"
    if padding != kernel // 2:
        kind += f" padded by {padding}"
    if dilation > 1:
        kind += f" dilated by {dilation}"
    if groups > 1:
        kind += f" in {groups} groups"
    return kind


def install(network: nn.Module, choices: Choices) -> None:
    """Replace every eligible convolution inside a network, in place.

    Where nothing is chosen, the network is left untouched. Parameters and the state dict's keys
    stay the same. A replaced layer's hooks are lost.
    """
    if not choices.faster and not choices.wrong:
        return
    replaced: dict[nn.Module, Convolution] = {}
    for name, module in list(network.named_modules(remove_duplicate=False)):
        if name and eligible(module):
            replaced[module] = replaced.get(module) or Convolution.like(module, choices)
            network.set_submodule(name, replaced[module])


_GRADIENTS: frozenset[Pass] = frozenset({"input", "weight"})


class _Passes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, how: How, ways: _Ways) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        w = weight.to(x.dtype).contiguous(memory_format=torch.channels_last)
        # The gradient of one needs the other.
        for_input, for_weight, *_ = ctx.needs_input_grad
        ctx.save_for_backward(x if for_weight else None, w if for_input else None)
        ctx.shapes = (x.shape, w.shape)
        ctx.layout = (weight.stride(), weight.dtype)
        ctx.how = how
        ctx.ways = ways
        if "forward" in ways.faster:
            output: Tensor = KERNELS[ways.faster["forward"]].output(x, w, how)
            return output
        if "forward" in ways.exact:
            return exact_forward(x, w, how).to(x.dtype)
        return forward(x, w, how)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x_shape, w_shape = ctx.shapes
        how, ways = ctx.how, ctx.ways
        asked = {"input": ctx.needs_input_grad[0], "weight": ctx.needs_input_grad[1]}
        g = grad.contiguous(memory_format=torch.channels_last)
        # Of what was not saved, only the shape is read.
        x, w = ctx.saved_tensors
        x = empty(x_shape, g.dtype) if x is None else x
        w = empty(w_shape, g.dtype) if w is None else w
        # torch's
        made: dict[Pass, Tensor | None] = {"input": None, "weight": None}
        others = _GRADIENTS - ways.passes
        for names, do in ((others, gradients), (ways.exact, exact_gradients)):
            mask = [asked["input"] and "input" in names, asked["weight"] and "weight" in names]
            if any(mask):
                of_input, of_weight = do(g, x, w, how, mask)
                made["input"] = of_input if mask[0] else made["input"]
                made["weight"] = of_weight if mask[1] else made["weight"]
        # ours
        if asked["input"] and "input" in ways.faster:
            made["input"] = KERNELS[ways.faster["input"]].input_gradient(g, w, x_shape, how)
        if asked["weight"]:
            strides, dtype = ctx.layout
            gradient = torch.empty_strided(w_shape, strides, dtype=dtype)
            if "weight" in ways.faster:
                KERNELS[ways.faster["weight"]].weight_gradient(g, x, gradient, how)
            else:
                assert made["weight"] is not None
                gradient.copy_(made["weight"])
            made["weight"] = gradient
        return made["input"], made["weight"], None, None
