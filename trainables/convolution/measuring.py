"""Which way each pass of a convolution goes on this machine: what is right, then what is fast.

Both are found on whole numbers from -2 to 2: however their products are added up, the sum is exact
in fp32, so that what differs from it by more than a last rounding is wrong. torch's convolutions in
bf16 are known to be, at some shapes on some CPUs (pytorch issues 163347 and 169688).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from timeit import timeit
from types import MappingProxyType
from typing import Any, Self

import torch
from torch import Tensor, nn

from trainables.convolution.layer import DTYPES, by_products, eligible, shape_key
from trainables.convolution.passes import (
    PASSES,
    How,
    Pass,
    empty,
    exact_forward,
    exact_gradients,
    forward,
    gradients,
)
from trainables.convolution.products import correlate, input_gradient, weight_gradient
from trainables.network import Precision

WORTHWHILE = 0.9
"""Of torch's time: a smaller gain cannot be told from noise, and would only change the rounding."""

HOPELESS = 2.0
"""Of torch's time: what takes as long the first time is not timed again."""

MULTIPLICATIONS = 2**30
"""Of a pass that is tried: from there on, more images change neither its speed nor its way."""

TOLERANCE: Mapping[Precision, float] = {"fp32": 2**-18, "bf16": 2**-7}
"""Of a value, or of 1 where it is smaller: some units of the precision's last place."""

Do = Callable[[], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """What is known about the passes of one shape.

    Attributes:
        checked: Those that were compared with plain torch.
        products: Of them, those that are faster as matrix products, or right only so.
        wrong: Of them, those that torch gets wrong.
    """

    checked: tuple[Pass, ...]
    products: tuple[Pass, ...] = ()
    wrong: tuple[Pass, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the inverse of `dataclasses.asdict`, or of what JSON makes of it."""
        return cls(**{name: tuple(passes) for name, passes in values.items()})


_NONE: Mapping[str, Ways] = MappingProxyType({})


def measure(
    network: nn.Module,
    images: Tensor,
    precision: Precision,
    *,
    batch: int,
    known: Mapping[str, Ways] = _NONE,
    rounds: int = 3,
) -> dict[str, Ways]:
    """Check each pass of a network's convolutions that will be needed, and time those that train.

    Args:
        network: On the CPU. It runs once, in eval mode, and is left as it was; so is torch's random
            state. A frozen convolution has its output checked alone, and is torch's.
        images: What it takes; one suffices.
        precision: In which it will be trained.
        batch: Images that go through at once. Fewer do where these are enough to tell.
        known: What earlier calls returned: it is not tried again.
        rounds: Timings of each pass, of which the fastest counts: what disturbs one only makes it
            slower.

    Returns:
        What is known now of each shape, by `shape_key`.
    """
    found: dict[str, Ways] = {}
    with torch.no_grad():
        for key, trained, conv, shape in _met(network, images):
            needed = PASSES if trained else PASSES[:1]
            ways = found.get(key) or known.get(key)
            if ways is None or not set(needed) <= set(ways.checked):
                size = (min(batch, _enough(conv, shape)), *shape[1:])
                ways = _try(conv, size, precision, needed, rounds)
            found[key] = ways
    return found


def _met(
    network: nn.Module, images: Tensor
) -> Iterator[tuple[str, bool, nn.Conv2d, Sequence[int]]]:
    """Yield each shape once, those that train first: its name, whether it trains, and both."""
    met: dict[tuple[str, bool], tuple[nn.Conv2d, Sequence[int]]] = {}

    def note(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        if eligible(module):
            key = shape_key(module, *args[0].shape[2:])
            met.setdefault((key, module.weight.requires_grad), (module, args[0].shape))

    modes = {module: module.training for module in network.modules()}
    hooks = [module.register_forward_pre_hook(note) for module in modes if eligible(module)]
    try:
        with torch.random.fork_rng(devices=[]):
            network.eval()(images)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    for (key, trained), (conv, shape) in sorted(met.items(), key=lambda item: not item[0][1]):
        yield key, trained, conv, shape


def _enough(conv: nn.Conv2d, shape: Sequence[int]) -> int:
    """Return how many images one try of a pass takes."""
    stride, padding, dilation, _ = How.of(conv)
    reach = dilation * (conv.kernel_size[0] - 1) + 1
    positions = math.prod((side + 2 * padding - reach) // stride + 1 for side in shape[2:])
    return max(1, MULTIPLICATIONS // (positions * conv.weight.numel()))


def _try(
    conv: nn.Conv2d, shape: Sequence[int], precision: Precision, needed: Sequence[Pass], rounds: int
) -> Ways:
    """Return the ways of these passes for a batch of this shape."""
    products: list[Pass] = []
    wrong: list[Pass] = []
    for name, (torchs, ours, exact) in _candidates(conv, shape, precision).items():
        if name not in needed:
            continue
        right = exact()
        is_right = _agrees(torchs(), right, precision)
        # At a width of 1, oneDNN leaves the gradient of taps that meet padding alone as it was in
        # memory where the stride is over 1. That may happen to be right.
        if name == "weight" and conv.stride[0] > 1 and shape[-1] == 1:
            is_right = False
        if not is_right:
            wrong.append(name)
        # Of a frozen convolution, one pass is needed: it is never a product.
        offered = len(needed) > 1 and name in by_products(conv)
        if not offered or not _agrees(ours(), right, precision):
            continue
        if not is_right or _faster(torchs, ours, rounds):
            products.append(name)
    return Ways(checked=tuple(needed), products=tuple(products), wrong=tuple(wrong))


def _candidates(
    conv: nn.Conv2d, shape: Sequence[int], precision: Precision
) -> dict[Pass, tuple[Do, Do, Do]]:
    """Return each pass as torch does it, as products and exactly, on whole numbers."""
    how = How.of(conv)
    generator = torch.Generator().manual_seed(0)

    def whole(size: Sequence[int]) -> Tensor:
        values = torch.randint(-2, 3, tuple(size), generator=generator, dtype=torch.int8)
        return values.to(DTYPES[precision]).contiguous(memory_format=torch.channels_last)

    x = whole(shape)
    w = whole(conv.weight.shape)
    g = whole(forward(x, w, how).shape)
    dw = torch.empty_like(w, dtype=torch.float32)
    return {
        "forward": (
            lambda: forward(x, w, how),
            lambda: correlate(x, w.permute(2, 3, 1, 0), how),
            lambda: exact_forward(x, w, how),
        ),
        "input": (
            lambda: _only(gradients(g, x, w, how, (True, False))),
            lambda: input_gradient(g, w, shape, how),
            lambda: _only(exact_gradients(g, x, w, how, (True, False))),
        ),
        "weight": (
            # A parameter's gradient is in fp32.
            lambda: dw.copy_(_only(gradients(g, x, w, how, (False, True)))),
            lambda: weight_gradient(g, x, empty(w.shape, torch.float32), how),
            lambda: _only(exact_gradients(g, x, w, how, (False, True))),
        ),
    }


def _only(made: Sequence[Tensor | None]) -> Tensor:
    (value,) = (tensor for tensor in made if tensor is not None)
    return value


def _agrees(made: Tensor, exact: Tensor, precision: Precision) -> bool:
    """Return whether each value is the exact one but for its last rounding; NaN is not."""
    error = (made.float() - exact).abs_()
    allowed = exact.abs().clamp_(min=1).mul_(TOLERANCE[precision])
    return bool((error <= allowed).all())


def _faster(torchs: Do, ours: Do, rounds: int) -> bool:
    """Return whether products are clearly faster; both have run before."""
    times: list[list[float]] = []
    # In turn, so that what disturbs one disturbs the other.
    for _ in range(rounds):
        times.append([timeit(run, number=1) for run in (torchs, ours)])
        if times[0][1] > HOPELESS * times[0][0]:
            return False
    theirs, own = map(min, zip(*times, strict=True))
    return float(own) <= WORTHWHILE * float(theirs)
