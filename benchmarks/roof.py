"""How near does training come to what this machine can multiply?

    python benchmarks/roof.py [--json] [--recipes peers|flagship] [--threads 1] [--rounds 5]
    python benchmarks/roof.py --convolutions [--backbones resnet18 resnet50] [--sizes 96 224]

GFLOP/s of each recipe's training step against GEMM, the fastest of several large matrix products of
torch in the same precision and with as many threads. Recipes: the 12 of `peers_study.py`, or the
default recipe of each arm of `search_spaces/depth_vs_tricks.py` (ResNet-18, 34 and 50 at 224 px).

The step is a trial's: `trainables.step.train_batch` with the sweep's own precision and kernels,
channels-last, on random weights and activations. Where stored activations serve a stage, only the
part that is trained is in it (`store`); else the frozen layers' forward pass too (`pixels`). Making
views and reading activations are not. `fill` is the pass through all frozen layers that writes the
store, in pieces as there.

FLOPs are those of convolutions and linear layers, 2 for a multiplication with its addition, as
torch's FlopCounterMode counts them on the same network without our kernels. BatchNorm, activations
and the optimizer count as none, but take their time. Taps of a convolution that meet padding count,
as everywhere: at a map of 3x3 they are 40% of a 3x3 convolution's. Who leaves them out can pass
100% of the roof; `net` is the share without them. The machine's speed drifts: GEMM is timed right
before and after each step, and a share is the median over rounds of their ratio.

`--convolutions`: the three passes of each convolution: torch's own, and what the sweep chooses (*
is a pass of ours); shares are of GEMM.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from timeit import timeit
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.flops import counted
from benchmarks.gemm import Gemm
from benchmarks.machine import machine
from benchmarks.roof_convolutions import convolutions, verdict
from benchmarks.roof_convolutions import show as show_convolutions
from trainables.backbones import build
from trainables.compute import Compute, choose
from trainables.network import CHUNK, Network, Tail
from trainables.recipe import LAYER_GROUPS, Recipe
from trainables.stages import Stage, stages, start_stage
from trainables.step import train_batch

CLASSES = 10
STEP_SECONDS = 0.2  # at least, that a timing takes


@dataclass(frozen=True, slots=True)
class Work:
    """What is timed: a stage's step, or the pass that fills the store. Many recipes share one."""

    backbone: str
    image_size: int
    images: int
    layers: int  # that train; 0: the pass that fills the store
    source: str  # store, pixels or fill

    @classmethod
    def of(cls, recipe: Recipe, stage: Stage) -> Work:
        """Return the step of a stage."""
        layers = stage.trainable_layers
        shared = recipe.batchnorm == "frozen" and recipe.mixup == 0 and layers < len(LAYER_GROUPS)
        source = "store" if shared else "pixels"
        return cls(recipe.backbone, recipe.image_size, recipe.batch_size, layers, source)

    @classmethod
    def filling(cls, recipe: Recipe) -> Work:
        """Return the pass that writes all activations that its sweep may want."""
        return cls(recipe.backbone, recipe.image_size, CHUNK, 0, "fill")


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a piece of work is done; medians."""

    gflop_per_image: float
    ms: float
    gflops: float
    share: float
    net_share: float


def recipes_of(name: str) -> dict[str, Recipe]:
    """Return recipes by arm."""
    if name == "peers":
        from benchmarks.peers_study import SPACE
    else:
        from search_spaces.depth_vs_tricks import SPACE
    return {arm.name: arm.default_recipe() for arm in SPACE.matching("*")}


def chosen_compute(recipes: Sequence[Recipe], threads: int) -> Compute:
    """Return the sweep's choice, timed anew."""
    most = max(recipe.trainable_layers for recipe in recipes)
    largest = {
        (recipe.backbone, recipe.image_size): replace(recipe, trainable_layers=most)
        for recipe in recipes
    }
    with tempfile.TemporaryDirectory() as cache:
        return choose(
            list(largest.values()),
            CLASSES,
            "cpu",
            threads=threads,
            cache=Path(cache),
            say=lambda line: print(line, file=sys.stderr),
        )


def prepared(recipe: Recipe, work: Work, compute: Compute) -> Callable[[], object]:
    """Return what does the work once, on a network as a trial has it."""
    network = _network(recipe, work, compute)
    compute.install(network)
    if work.source == "fill":
        images = _like_activations(torch.empty(work.images, 3, work.image_size, work.image_size))
        return lambda: network.through(images, [LAYER_GROUPS[-1]])
    stage = replace(stages(recipe)[-1], trainable_layers=work.layers)
    optimizer = start_stage(recipe, network, stage)
    model, inputs = _inputs(network, work, work.images)
    targets = F.one_hot(torch.arange(work.images) % CLASSES, CLASSES).float()
    return lambda: train_batch(model, optimizer, inputs, targets)


def flop_per_image(recipe: Recipe, work: Work, compute: Compute) -> tuple[float, float]:
    """Return the FLOPs of one image, all and those that meet no padding.

    They are counted with torch's own convolutions.
    """
    plain = Compute(precision=compute.precision)
    total, net = counted(prepared(recipe, replace(work, images=CHUNK), plain))
    return total / CHUNK, net / CHUNK


def measured(
    works: dict[Work, Recipe], compute: Compute, gemm: Gemm, rounds: int
) -> dict[Work, Speed]:
    """Time all work in turn, GEMM before and after each."""
    runs = {work: prepared(recipe, work, compute) for work, recipe in works.items()}
    flop = {work: flop_per_image(recipe, work, compute) for work, recipe in works.items()}
    # Warm, and how often.
    repeats: dict[Work, int] = {}
    for work, run in runs.items():
        run()
        repeats[work] = math.ceil(STEP_SECONDS / timeit(run, number=1))
    # Rounds.
    seconds: dict[Work, list[float]] = {work: [] for work in works}
    shares: dict[Work, list[float]] = {work: [] for work in works}
    for _ in range(rounds):
        for work, run in runs.items():
            before = gemm.rate(STEP_SECONDS / 2)
            seconds[work].append(timeit(run, number=repeats[work]) / repeats[work])
            roof = (before + gemm.rate(STEP_SECONDS / 2)) / 2
            shares[work].append(flop[work][0] * work.images / seconds[work][-1] / 1e9 / roof)
    speeds: dict[Work, Speed] = {}
    for work in works:
        typical = statistics.median(seconds[work])
        rate = flop[work][0] * work.images / typical / 1e9
        share = statistics.median(shares[work])
        all_of_it, net = flop[work]
        speeds[work] = Speed(all_of_it / 1e9, 1000 * typical, rate, share, share * net / all_of_it)
    return speeds


def _network(recipe: Recipe, work: Work, compute: Compute) -> Network:
    network = build(recipe, CLASSES).to(memory_format=torch.channels_last)
    network.precision = compute.precision
    moving = recipe.batchnorm == "batch_stats" and work.source != "fill"
    network.train_groups(max(1, work.layers), batch_stats=moving)
    return network


def _inputs(network: Network, work: Work, images: int) -> tuple[Network | Tail, Tensor]:
    """Return the model of a step and what it gets: views in [0, 1], or stored activations."""
    if work.source == "pixels":
        return network, torch.rand(images, 3, work.image_size, work.image_size)
    one = torch.zeros(1, 3, work.image_size, work.image_size)
    row = network.through(one, [network.cut])[network.cut]
    return Tail(network), _like_activations(row.expand(images, -1, -1, -1))


def _like_activations(shape: Tensor) -> Tensor:
    """Return random values, of which half are 0 as after a ReLU."""
    empty = torch.empty(shape.shape, dtype=shape.dtype, memory_format=torch.channels_last)
    return empty.normal_().relu_()


def rows_of(
    recipes: dict[str, Recipe], speeds: dict[Work, Speed], precision: str
) -> list[dict[str, Any]]:
    """Return a row for each stage of each recipe, and one for each pass that fills the store."""

    def row(name: str, stage: str, epochs: int, work: Work) -> dict[str, Any]:
        speed = speeds[work]
        return {
            "recipe": name,
            "stage": stage,
            "epochs": epochs,
            "layers": work.layers,
            "from": work.source,
            "precision": precision,
            "images": work.images,
            "gflop_per_image": round(speed.gflop_per_image, 5),
            "ms": round(speed.ms, 3),
            "gflops": round(speed.gflops, 1),
            "share_of_roof": round(speed.share, 3),
            "net_share_of_roof": round(speed.net_share, 3),
        }

    rows: list[dict[str, Any]] = []
    for name, recipe in recipes.items():
        plan = stages(recipe)
        for number, stage in enumerate(plan, 1):
            work = Work.of(recipe, stage)
            rows.append(row(name, f"{number}/{len(plan)}", stage.epochs, work))
    for work in speeds:
        if work.source == "fill":
            rows.append(row(f"{work.backbone} {work.image_size}px", "fill", 0, work))
    return rows


def together(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return rate and shares of all recipes' steps, as often as their epochs have them."""
    gflop, seconds = 0.0, 0.0
    at_roof = {"share_of_roof": 0.0, "net_share_of_roof": 0.0}  # seconds that GEMM would take
    for row in rows:
        # Of as many images as epochs: each has as many.
        taken = row["epochs"] * row["ms"] / 1000 / row["images"]
        seconds += taken
        gflop += row["epochs"] * row["gflop_per_image"]
        for name in at_roof:
            at_roof[name] += row[name] * taken
    shares = {name: round(value / seconds, 3) for name, value in at_roof.items()}
    return {"gflops": round(gflop / seconds, 1), **shares}


def show(result: dict[str, Any]) -> None:
    print(f"{'recipe':15} stage layers {'from':6} prec GFLOP/img  ms/step GFLOP/s roof  net")
    for row in result["rows"]:
        print(
            f"{row['recipe']:15} {row['stage']:5} {row['layers'] or '':>6} {row['from']:6} "
            f"{row['precision']} {row['gflop_per_image']:9.5f} {row['ms']:8.2f} "
            f"{row['gflops']:7.1f} {row['share_of_roof']:4.0%} {row['net_share_of_roof']:4.0%}"
        )
    whole = result["all_steps"]
    print(
        f"All steps of all epochs: {whole['gflops']} GFLOP/s, {whole['share_of_roof']:.1%} of "
        f"GEMM, {whole['net_share_of_roof']:.1%} net."
    )


def about(gemm: Gemm, precision: str, threads: int) -> dict[str, Any]:
    """Return what the figures were measured on."""
    return machine() | {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": threads,
        "precision": precision,
        "gemm_gflops": round(gemm.typical(), 1),
        "gemm_shape": gemm.shape,
    }


def steps(recipes: dict[str, Recipe], threads: int, rounds: int) -> dict[str, Any]:
    compute = chosen_compute(list(recipes.values()), threads)
    works: dict[Work, Recipe] = {}
    for recipe in recipes.values():
        for stage in stages(recipe):
            works.setdefault(Work.of(recipe, stage), recipe)
    for recipe in recipes.values():
        works.setdefault(Work.filling(recipe), recipe)
    gemm = Gemm(compute.precision)
    rows = rows_of(recipes, measured(works, compute, gemm, rounds), compute.precision)
    return {
        "rows": rows,
        "all_steps": together(rows),
        "machine": about(gemm, compute.precision, threads),
    }


def passes(backbones: list[str], sizes: list[int], threads: int, rounds: int) -> dict[str, Any]:
    layers = len(LAYER_GROUPS)
    recipes = [
        Recipe(backbone=backbone, image_size=size, trainable_layers=layers)
        for backbone in backbones
        for size in sizes
    ]
    compute = chosen_compute(recipes, threads)
    gemm = Gemm(compute.precision)
    rows = convolutions(recipes, compute, gemm, rounds, CLASSES)
    return {
        "rows": rows,
        "verdict": verdict(rows),
        "machine": about(gemm, compute.precision, threads),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--recipes", choices=("peers", "flagship"), default="peers")
    parser.add_argument("--batch-size", type=int, help="images per step, default: the recipe's")
    parser.add_argument("--threads", type=int, default=1, help="of torch, as a trial has them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--convolutions", action="store_true", help="passes instead of steps")
    parser.add_argument("--backbones", nargs="+", default=["resnet18", "resnet50"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[96, 224], help="of images, px")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    if options.convolutions:
        result = passes(options.backbones, options.sizes, options.threads, options.rounds)
    else:
        recipes = recipes_of(options.recipes)
        if options.batch_size:
            recipes = {
                name: replace(recipe, batch_size=options.batch_size)
                for name, recipe in recipes.items()
            }
        result = steps(recipes, options.threads, options.rounds)
    if options.json:
        print(json.dumps(result))
        return
    where = result["machine"]
    if options.convolutions:
        show_convolutions(result["rows"])
    else:
        show(result)
    print(
        f"GEMM: {where['gemm_gflops']} GFLOP/s in {where['precision']} ({where['gemm_shape']}).\n"
        f"{where['cpu']}, {where['capability']}, {where['threads']} of {where['cores']} cores, "
        f"torch {where['torch']}."
    )


if __name__ == "__main__":
    main()
