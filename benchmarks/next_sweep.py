"""Does the next sweep confirm the answer? Whole sweeps on real features, true means known.

    python benchmarks/next_sweep.py [--json] [--sweeps 200]

`features.npz` holds 60,000 CIFAR-10 images as 32 principal components of a frozen ResNet-18's
features, in 8 bits. 20,000 of them are the pool of training images, 40,000 the population of test
images. A sweep draws 100 train and 100 val images a class and 24 random recipes an arm, ranks them
on val, and trains finalists: linear heads by SGD. Arms:

- plain: a rate, constant;
- tricks: a rate, cosine, weight decay and label smoothing; nearly as good as plain;
- small: plain on 16 of the components, as a smaller network would have: some points worse;
- plain again, searched on its own: nothing is to be found between it and plain.

Two designs at the same number of runs an arm, `--seeds`:

- one: the best recipe of each arm over all seeds, on the search's own train images, and one look;
- several: the best five in turn, each seed on its own draw, with a look after each round.

Columns, for each difference of two arms and number of test images: the true difference over
searches, draws, seeds and images, and its standard error, in points; how often the 95% interval
holds it; how often something was found at all, and with the wrong sign; of two sweeps that both
found something, how often they found opposite things; and seeds used.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch

from sweeps.report.variance import crossed
from sweeps.report.verdicts import Compared, Design, Kind, judge

CLASSES = 10
POOL = 20_000
EACH = 100  # train and val images of a class
TRIALS = 24
RECIPES = 5
WORTH = 0.01
EPOCHS = 20
BATCH = 250
IMAGES = (1_000, 10_000)
DIFFERENCES = (("plain", "again"), ("plain", "tricks"), ("plain", "small"))


@dataclass(frozen=True)
class Arm:
    """What an arm fixes, and what it tunes beside the rate."""

    components: int = 32
    tricks: bool = False


ARMS = {
    "plain": Arm(),
    "again": Arm(),
    "tricks": Arm(tricks=True),
    "small": Arm(components=16),
}


@dataclass(frozen=True)
class Recipes:
    """Recipes of one arm: a number each, [R]."""

    rate: torch.Tensor
    decay: torch.Tensor
    smoothing: torch.Tensor
    cosine: bool

    def some(self, which: list[int]) -> Recipes:
        return Recipes(self.rate[which], self.decay[which], self.smoothing[which], self.cosine)


def random_recipes(arm: Arm, rng: np.random.Generator) -> Recipes:
    rate = torch.from_numpy(10 ** rng.uniform(-3, 0, TRIALS)).float()
    decay = torch.zeros(TRIALS)
    smoothing = torch.zeros(TRIALS)
    if arm.tricks:
        decay = torch.from_numpy(10 ** rng.uniform(-4, -1, TRIALS)).float()
        smoothing = torch.from_numpy(rng.uniform(0, 0.2, TRIALS)).float()
    return Recipes(rate, decay, smoothing, arm.tricks)


class World:
    """Features, their labels, and the two populations."""

    def __init__(self) -> None:
        with np.load(Path(__file__).with_name("features.npz")) as file:
            features = torch.from_numpy(file["features"].astype(np.float32) / 24)
            labels = torch.from_numpy(file["labels"].astype(np.int64))
        ones = torch.ones(len(features), 1)
        self.features = torch.cat([features, ones], dim=1)
        self.labels = labels
        self.of_class = []
        for label in range(CLASSES):
            self.of_class.append(np.flatnonzero(labels[:POOL].numpy() == label))

    def draw(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return rows of train and of val."""
        train = []
        val = []
        for rows in self.of_class:
            some = rng.permutation(rows)[: 2 * EACH]
            train.append(some[:EACH])
            val.append(some[EACH:])
        return torch.from_numpy(np.concatenate(train)), torch.from_numpy(np.concatenate(val))


def trained(
    world: World, arm: Arm, recipes: Recipes, train: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Return heads [R, components + 1, classes] of R runs.

    Args:
        train: [R, N], rows of train of each run.
    """
    runs, number = train.shape
    seed = torch.Generator().manual_seed(int(rng.integers(2**31)))
    width = world.features.shape[1]
    heads = 0.1 * torch.randn(runs, width, CLASSES, generator=seed)
    # A smaller network sees fewer of the components: the last ones vary most.
    mask = torch.zeros(width, 1)
    mask[width - 1 - arm.components :] = 1
    heads *= mask
    momentum = torch.zeros_like(heads)
    steps = EPOCHS * (number // BATCH)
    step = 0
    for _ in range(EPOCHS):
        order = torch.rand(runs, number, generator=seed).argsort(1)
        for rows in order.split(BATCH, dim=1):
            chosen = train.gather(1, rows)
            inputs = world.features[chosen]  # [R, B, width]
            targets = torch.nn.functional.one_hot(world.labels[chosen], CLASSES).float()
            smooth = recipes.smoothing[:, None, None]
            targets = (1 - smooth) * targets + smooth / CLASSES
            error = (inputs @ heads).softmax(2) - targets
            gradient = inputs.transpose(1, 2) @ error / BATCH * mask
            gradient += recipes.decay[:, None, None] * heads
            momentum = 0.9 * momentum + gradient
            rate = recipes.rate[:, None, None]
            if recipes.cosine:
                rate = rate * (1 + math.cos(math.pi * step / steps)) / 2
            heads = heads - rate * momentum
            step += 1
    return heads


def right(world: World, heads: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
    """Return whether each run recognizes each image, bool [R, N]."""
    said = (world.features[rows] @ heads).argmax(2)  # [R, N]
    return (said == world.labels[rows]).numpy()


@dataclass(frozen=True)
class Sweep:
    """What a sweep of one arm leaves: bool [seeds, population], for each design."""

    one: np.ndarray
    several: np.ndarray


def swept(world: World, seeds: int, number: int) -> dict[str, Sweep]:
    """Run a sweep over all arms; they share its draws."""
    rng = np.random.default_rng([number, 0])
    base, val = world.draw(rng)
    draws = [world.draw(rng)[0] for _ in range(seeds)]
    test = torch.arange(POOL, len(world.labels))
    found = {}
    for at, arm in enumerate(ARMS.values()):
        own = np.random.default_rng([number, at + 1])
        recipes = random_recipes(arm, own)
        heads = trained(world, arm, recipes, base.expand(TRIALS, -1), own)
        ranked = np.argsort(-right(world, heads, val).mean(axis=1), kind="stable")
        # The best recipe over all seeds, or the best five in turn.
        same = trained(
            world, arm, recipes.some([int(ranked[0])] * seeds), base.expand(seeds, -1), own
        )
        turns = own.permutation(ranked[:RECIPES])
        turn = [int(turns[seed % RECIPES]) for seed in range(seeds)]
        fresh = trained(world, arm, recipes.some(turn), torch.stack(draws), own)
        found[list(ARMS)[at]] = Sweep(right(world, same, test), right(world, fresh, test))
    return found


def answered(
    sweeps: list[dict[str, Sweep]], a: str, b: str, images: int, *, several: bool
) -> dict[str, Any]:
    """Return how well a design answers `a - b`."""
    which = "several" if several else "one"
    differences = []
    for sweep in sweeps:
        ours = getattr(sweep[a], which).astype(np.float32)
        differences.append(ours - getattr(sweep[b], which))
    # The truth of a design is the mean over its sweeps, over all images.
    means = np.array([difference.mean() for difference in differences])
    truth = float(means.mean())
    held = 0
    used = []
    kinds = []
    for number, difference in enumerate(differences):
        rng = np.random.default_rng([number, 99])
        some = rng.permutation(difference.shape[1])[:images]
        kind, seeds, interval = look(difference[:, some], several=several)
        held += interval.low <= truth <= interval.high
        kinds.append(kind)
        used.append(seeds)
    return {
        "a": a,
        "b": b,
        "images": images,
        "design": which,
        "truth": truth,
        "truth_se": float(means.std(ddof=1)) / math.sqrt(len(means)),
        "held": held / len(sweeps),
        "seeds": float(np.mean(used)),
    } | signs(kinds, truth)


def look(difference: np.ndarray, *, several: bool) -> tuple[int, int, Any]:
    """Return the sign that was found, 0 for none, the seeds used, and the interval."""
    if not several:
        interval = crossed(difference)
        return sign(interval), len(difference), interval
    design = Design(recipes=RECIPES, seeds=len(difference), worth=WORTH, searched=TRIALS)
    compared = Compared(np.arange(len(difference)), difference)
    verdict = judge({"difference": compared}, design, len(difference))["difference"]
    known = compared.until(verdict.seeds)
    interval = crossed(known.values, recipes=known.recipes(design), luck=design.luck)
    found = {Kind.BETTER: 1, Kind.WORSE: -1}.get(verdict.kind, 0)
    return found, verdict.seeds, interval


def sign(interval: Any) -> int:
    """Return 1 or -1 where an interval excludes 0."""
    return int(interval.low > 0) - int(interval.high < 0)


def signs(kinds: list[int], truth: float) -> Mapping[str, float]:
    """Return shares of sweeps that found something, of the wrong sign, and of opposite pairs."""
    up = kinds.count(1)
    down = kinds.count(-1)
    wrong = down if truth > 0 else up
    pairs = (up + down) * (up + down - 1) / 2
    return {
        "found": (up + down) / len(kinds),
        "wrong": wrong / len(kinds),
        "opposite": up * down / pairs if pairs else math.nan,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sweeps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    started = time.perf_counter()
    world = World()
    sweeps = [swept(world, options.seeds, number) for number in range(options.sweeps)]
    rows = []
    for a, b in DIFFERENCES:
        for images in IMAGES:
            rows.append(answered(sweeps, a, b, images, several=False))
            rows.append(answered(sweeps, a, b, images, several=True))
    result = {"sweeps": options.sweeps, "seconds": time.perf_counter() - started, "rows": rows}
    if options.json:
        print(json.dumps(result))
        return
    print(f"{'difference':16}{'images':>7} {'design':9}{'true':>7}{'se':>6}", end="")
    print(f"{'held':>7}{'found':>7}{'wrong':>7}{'opp.':>7}{'seeds':>7}")
    for row in rows:
        about = f"{row['a'] + ' - ' + row['b']:16}{row['images']:>7} {row['design']:9}"
        true = f"{100 * row['truth']:>7.2f}{100 * row['truth_se']:>6.2f}"
        shares = [row["held"], row["found"], row["wrong"], row["opposite"]]
        print(about + true + "".join(f"{100 * share:>7.1f}" for share in shares), end="")
        print(f"{row['seeds']:>7.1f}")


if __name__ == "__main__":
    main()
