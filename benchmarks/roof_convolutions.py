"""The passes of convolutions against GEMM, for `roof.py --convolutions`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from timeit import timeit
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.flops import useful
from benchmarks.gemm import Gemm
from trainables.backbones import build
from trainables.compute import Compute
from trainables.convolution import shape_key
from trainables.network import Network, channels_last
from trainables.recipe import Recipe

PASSES = ("forward", "input", "weight")
HEADINGS = ("output", "input gradient", "weight gradient")

# What a weight's gradient shall reach, of GEMM; where torch's own is faster than that, torch's
# speed. The same code differs by a tenth from one timing to the next.
BATCH = 64
BAR = 0.7
NOISE = 0.9

PASS_SECONDS = 0.03  # at least, that a timing takes


def convolutions(
    recipes: Sequence[Recipe], compute: Compute, gemm: Gemm, rounds: int, classes: int
) -> list[dict[str, Any]]:
    """Return the GFLOP/s of each pass of each shape: torch's own, and what was chosen."""
    rows: dict[str, dict[str, Any]] = {}
    for recipe in recipes:
        plain = _network(recipe, classes, compute)
        chosen = _network(recipe, classes, compute)
        compute.install(chosen)
        for name, shape in _shapes(plain, recipe.image_size).items():
            conv = plain.get_submodule(name)
            assert isinstance(conv, nn.Conv2d)
            key = shape_key(conv, *shape[2:])
            if key in rows:
                continue
            pair = (conv, chosen.get_submodule(name))
            ours = compute.convolutions.get(key, ())
            timed = {
                which: _timed(pair, shape, which, plain, gemm, rounds)
                for which in PASSES
                if which != "input" or shape[1] != 3  # images need no gradient
            }
            for which, values in timed.items():
                values["ours"] = which in ours
            share = useful(conv, *shape[2:])  # of the taps that count
            rows[key] = {"shape": key, "images": shape[0], "useful": round(share, 3), **timed}
    return list(rows.values())


def verdict(rows: list[dict[str, Any]]) -> str:
    """Return how many weight gradients are fast enough."""
    passing = sum(reaches(row["weight"]) for row in rows)
    return (
        f"weight gradient: {passing} of {len(rows)} shapes reach {BAR:.0%} of the GEMM or "
        "torch's own,\nwhichever is faster"
    )


def reaches(timed: dict[str, Any]) -> bool:
    """Return whether a pass reaches both its share of GEMM and torch's own speed."""
    return bool(
        timed["share_of_roof"] >= BAR and timed["chosen_gflops"] >= NOISE * timed["torch_gflops"]
    )


def show(rows: list[dict[str, Any]]) -> None:
    print(" " * 27 + "".join(f"  {heading:>16}" for heading in HEADINGS))
    print(" " * 27 + "   torch chosen  %" * len(PASSES))
    for row in rows:
        print(f"{row['shape']:27}" + "".join(_cell(row.get(which)) for which in PASSES))
    print(verdict(rows))


def _cell(timed: dict[str, Any] | None) -> str:
    if timed is None:
        return " " * 18
    mark = "*" if timed["ours"] else " "
    share = f"{100 * timed['share_of_roof']:.0f}"
    return f"   {timed['torch_gflops']:5.0f} {timed['chosen_gflops']:5.0f}{mark}{share:>3}"


def _network(recipe: Recipe, classes: int, compute: Compute) -> Network:
    network = build(recipe, classes).to(memory_format=torch.channels_last)
    network.precision = compute.precision
    return network.eval()


def _shapes(network: Network, image_size: int) -> dict[str, torch.Size]:
    """Return the shape of each convolution's input, by its name, of a batch."""
    shapes: dict[str, torch.Size] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            shapes[name] = torch.Size((BATCH, *args[0].shape[1:]))

        return hook

    hooks = [
        module.register_forward_pre_hook(note(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        network.logits(torch.zeros(1, 3, image_size, image_size))
    for hook in hooks:
        hook.remove()
    return shapes


def _timed(
    pair: tuple[nn.Module, nn.Module],
    shape: torch.Size,
    which: str,
    network: Network,
    gemm: Gemm,
    rounds: int,
) -> dict[str, Any]:
    """Time a pass of both convolutions in turn, after GEMM."""
    runs = [_pass(conv, shape, which, network) for conv in pair]
    for _, run in runs:
        run()
    gflop = runs[0][0]
    repeats = [math.ceil(PASS_SECONDS / timeit(run, number=1)) for _, run in runs]
    rates: list[list[float]] = [[], []]
    shares: list[float] = []
    for _ in range(rounds):
        roof = gemm.rate(PASS_SECONDS)
        for number, (_, run) in enumerate(runs):
            seconds = timeit(run, number=repeats[number]) / repeats[number]
            rates[number].append(gflop / seconds)
        shares.append(rates[1][-1] / roof)
    return {
        "torch_gflops": round(statistics.median(rates[0]), 1),
        "chosen_gflops": round(statistics.median(rates[1]), 1),
        "share_of_roof": round(statistics.median(shares), 3),
    }


def _pass(
    conv: nn.Module, shape: torch.Size, which: str, network: Network
) -> tuple[float, Callable[[], object]]:
    """Return a pass's GFLOP and what does it, casts of the weight and its gradient included."""
    conv.requires_grad_(which == "weight")
    dtype = torch.bfloat16 if network.precision == "bf16" else torch.float32
    inputs = channels_last(torch.randn(shape).to(dtype)).requires_grad_(which == "input")
    weight = conv.weight
    assert isinstance(weight, Tensor)

    def forward() -> Tensor:
        with network.autocast(inputs):
            output: Tensor = conv(inputs)
        return output

    def forward_alone() -> Tensor:
        with torch.no_grad():
            return forward()

    output = forward()
    gflop = 2 * output[:, 0].numel() * weight.numel() / 1e9
    if which == "forward":
        return gflop, forward_alone
    gradient = channels_last(torch.randn_like(output))
    to = inputs if which == "input" else weight
    return gflop, lambda: torch.autograd.grad(output, to, gradient, retain_graph=True)
