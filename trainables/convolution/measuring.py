"""Which way each pass of a convolution goes on this machine: what is right, then what is fast.

They are compared on whole numbers from -2 to 2: however their products are added up, the sum is
exact in fp32, so that what differs from it by more than a last rounding is wrong. torch's
convolutions in bf16 are known to be, at some shapes on some CPUs (pytorch issues 163347, 169688).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from timeit import timeit
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from trainables.convolution.layer import DTYPES, KERNELS, eligible, offered, shape_key
from trainables.convolution.passes import (
    PASSES,
    How,
    Pass,
    Way,
    exact_forward,
    exact_gradients,
    forward,
    gradients,
)
from trainables.network import CHUNK, Precision

WORTHWHILE = 0.9
"""Of torch's time: a smaller gain cannot be told from noise, and would only change the rounding."""

HOPELESS = (3.0, 1.25)
"""Of the fastest's time: what takes longer in the first round, or after more, is timed no more. One
disturbed timing alone decides nothing."""

MULTIPLICATIONS = 2**29
POSITIONS = 2**11
"""Of a pass that is tried, at least both: more images then change neither its speed nor its way. At
small maps a way is fast only where there are many of them."""

ONLY_CHECKED = 4
"""Images of a pass for which there is no other way: it is not timed."""

TOLERANCE: Mapping[Precision, float] = {"fp32": 2**-18, "bf16": 2**-7}
"""Of a value, or of 1 where it is smaller: some units of the precision's last place."""

OF_TILES = 2**-10
"""Of a value's usual size, at most: what transforms of tiles round."""

Do = Callable[[], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """What is known about the passes of one shape.

    Attributes:
        checked: Those that were compared with plain torch.
        faster: Of them, those that are faster another way than oneDNN's, or right only so.
        wrong: Of them, those that oneDNN gets wrong.
    """

    checked: tuple[Pass, ...]
    faster: Mapping[Pass, Way] = field(default_factory=dict)
    wrong: tuple[Pass, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the inverse of `dataclasses.asdict`, or of what JSON makes of it."""
        checked, wrong = (tuple(values[name]) for name in ("checked", "wrong"))
        return cls(checked=checked, faster=dict(values["faster"]), wrong=wrong)


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
    """Check and time each pass of a network's convolutions that will be needed.

    Args:
        network: On the CPU. It runs once, in eval mode, and is left as it was; so is torch's random
            state. Of a frozen convolution only the output is needed.
        images: What it takes; one suffices.
        precision: In which it will be trained.
        batch: Images that go at once through what trains. Fewer do where these are enough to tell.
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
                enough = _enough(conv, shape) if offered(conv, precision) else ONLY_CHECKED
                size = (min(batch if trained else CHUNK, enough), *shape[1:])
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
    """Return how many images a try of a pass takes."""
    stride, padding, dilation, _ = How.of(conv)
    reach = dilation * (conv.kernel_size[0] - 1) + 1
    positions = math.prod((side + 2 * padding - reach) // stride + 1 for side in shape[2:])
    of_image = positions * conv.weight.numel()
    return max(1, math.ceil(POSITIONS / positions), math.ceil(MULTIPLICATIONS / of_image))


def _try(
    conv: nn.Conv2d, shape: Sequence[int], precision: Precision, needed: Sequence[Pass], rounds: int
) -> Ways:
    """Return the ways of these passes for a batch of this shape."""
    faster: dict[Pass, Way] = {}
    wrong: list[Pass] = []
    can = offered(conv, precision)
    for name, candidates in _candidates(conv, shape, precision).items():
        if name not in needed:
            continue
        exact = candidates.exact()
        is_right = _agrees(candidates.onednn(), exact, TOLERANCE[precision], 1.0)
        # At a width of 1, oneDNN leaves the gradient of taps that meet padding alone as it was in
        # memory where the stride is over 1. That may happen to be right.
        meets_padding_alone = conv.padding != (0, 0) and conv.stride[0] > 1 and shape[-1] == 1
        if name == "weight" and meets_padding_alone:
            is_right = False
        if not is_right:
            wrong.append(name)
        # What else is right.
        usual = float(exact.square().mean().sqrt())
        ways: dict[Way, Do] = {}
        for way in can.get(name, ()):
            allowed = (TOLERANCE[precision], 1.0) if way == "product" else (OF_TILES, usual)
            run = partial(candidates.other, way)
            if _agrees(run(), exact, *allowed):
                ways[way] = run
        # What is fastest.
        best = _fastest(candidates.onednn, ways, rounds, is_right=is_right)
        if best:
            faster[name] = best
    return Ways(checked=tuple(needed), faster=faster, wrong=tuple(wrong))


class _Candidates(NamedTuple):
    """A pass as oneDNN does it, as plain torch does it in fp32, and in another way."""

    onednn: Do
    exact: Do
    other: Callable[[Way], Tensor]


def _candidates(
    conv: nn.Conv2d, shape: Sequence[int], precision: Precision
) -> dict[Pass, _Candidates]:
    """Return each pass in each way, on whole numbers."""
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
        "forward": _Candidates(
            lambda: forward(x, w, how),
            lambda: exact_forward(x, w, how),
            lambda way: KERNELS[way].output(x, w, how),
        ),
        "input": _Candidates(
            lambda: _only(gradients(g, x, w, how, (True, False))),
            lambda: _only(exact_gradients(g, x, w, how, (True, False))),
            lambda way: KERNELS[way].input_gradient(g, w, shape, how),
        ),
        "weight": _Candidates(
            # A parameter's gradient is in fp32.
            lambda: dw.copy_(_only(gradients(g, x, w, how, (False, True)))),
            lambda: _only(exact_gradients(g, x, w, how, (False, True))),
            lambda way: KERNELS[way].weight_gradient(g, x, dw, how),
        ),
    }


def _only(made: Sequence[Tensor | None]) -> Tensor:
    (value,) = (tensor for tensor in made if tensor is not None)
    return value


def _agrees(made: Tensor, exact: Tensor, tolerance: float, least: float) -> bool:
    """Return whether each value is the exact one but for rounding; NaN is not.

    Args:
        made: What is asked about.
        exact: What it should be, in fp32.
        tolerance: Of a value's size, what it may be off.
        least: A size that each value is taken to have at least.
    """
    error = (made.float() - exact).abs_()
    allowed = exact.abs().clamp_(min=least).mul_(tolerance)
    return bool((error <= allowed).all())


def _fastest(onednn: Do, ways: Mapping[Way, Do], rounds: int, *, is_right: bool) -> Way | None:
    """Return the way that is clearly faster than oneDNN, or else any where that is wrong.

    All have run before. The fastest of a way's times counts.
    """
    best = dict.fromkeys(ways, math.inf)
    theirs = math.inf
    # In turn, so that what disturbs one disturbs the others, and until it is clear.
    for number in range(rounds):
        for way in best:
            best[way] = min(best[way], timeit(ways[way], number=1))
        if is_right and best:
            theirs = min(theirs, timeit(onednn, number=1))
        most = HOPELESS[number > 0] * min([theirs, *best.values()])
        best = {way: seconds for way, seconds in best.items() if seconds <= most}
        if len(best) <= 1 and (not best or theirs > most):
            break
    if not best:
        return None
    way = min(best, key=lambda way: best[way])
    return way if best[way] <= WORTHWHILE * theirs else None
