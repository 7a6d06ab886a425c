"""Do answers about arms hold, where a search found what stands for them? Synthetic sweeps.

    python benchmarks/searched.py [--json] [--sweeps 400]

Two arms, A less B. A search draws 24 recipes an arm, whose skills fall off below the arm's best by
an exponential of some scale, and ranks them by noisy val scores. The best five take turns over the
seeds. Each seed is a draw of images, which moves both arms alike and each a little by itself. A run
is right on an image where  skill of the recipe + draw + seed + image + noise > 0.  The truth is the
expectation over searches, draws, seeds and images, by 2,000 further sweeps.

Worlds by what moves a difference most (`recipes`, `runs`, `images`, or `all` of them), by the true
difference in points, and by the number of test images. Columns, in percent unless said:

- held: how often the 95% interval holds the truth where the sweep stopped; `fixed`: at all seeds;
- found: how often something was found; `old`: by the best recipe alone over as many seeds, at 5%;
- wrong: findings of the wrong sign; `old` as before; false where the truth is 0;
- opposite: of two sweeps that both found something, those that found opposite things;
- runs: of the fixed plan's, how many were trained;
- seeds and images: of undecided sweeps, how often the advice is right, which number of seeds or of
  test images would decide if the difference stays: within a factor 1.5, or none where none would.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from scipy import special

from sweeps.records.design import Design
from sweeps.report.narrowing import decides, narrow, with_images, with_seeds
from sweeps.report.variance import Errors, Part, crossed
from sweeps.report.verdicts import Compared, Kind, judge, level_of

TRIALS = 24
RECIPES = 5
SEEDS = 10
WORTH = 0.01
FURTHER = 2_000  # sweeps that tell the truth
FACTOR = 1.5
DIFFERENCES = (0.0, 0.01, 0.03, 0.05)
IMAGES = (1_000, 10_000)
DESIGN = Design(recipes=RECIPES, seeds=SEEDS, worth=WORTH, searched=TRIALS)


@dataclass(frozen=True)
class World:
    """Spreads in units of the noise of an image."""

    name: str
    recipe: float
    draw: float
    own_draw: float
    seed: float
    image: float
    own_image: float


WORLDS = (
    World("recipes", 0.06, 0.03, 0.01, 0.02, 0.7, 0.3),
    World("runs", 0.02, 0.10, 0.05, 0.07, 0.7, 0.3),
    World("images", 0.01, 0.02, 0.01, 0.01, 0.7, 1.0),
    World("all", 0.04, 0.06, 0.03, 0.04, 0.7, 0.6),
)
ACCURACY = 0.8
VAL_NOISE = 0.03  # of a val score, in units of skill


@dataclass(frozen=True)
class Runs:
    """Skills of the runs of one arm's sweep, [seeds]: of five recipes in turn, and of the best."""

    several: np.ndarray
    one: np.ndarray


def searched(world: World, draws: np.ndarray, rng: np.random.Generator) -> Runs:
    """Search an arm, and return the skills of its finalists."""
    skills = world.recipe * rng.standard_normal(TRIALS)
    ranked = np.argsort(-(skills + VAL_NOISE * rng.standard_normal(TRIALS)))
    turn = skills[rng.permutation(ranked[:RECIPES])[np.arange(SEEDS) % RECIPES]]
    own = math.hypot(world.own_draw, world.seed)
    several = turn + world.draw * draws + own * rng.standard_normal(SEEDS)
    # The old design stays on one draw, that of the search.
    fixed = world.draw * rng.standard_normal() + world.own_draw * rng.standard_normal()
    one = skills[ranked[0]] + fixed + world.seed * rng.standard_normal(SEEDS)
    return Runs(several, one)


def spread_of_images(world: World) -> float:
    return math.sqrt(1 + world.image**2 + world.own_image**2)


def accuracy(world: World, skill: np.ndarray) -> np.ndarray:
    """Return what a skill comes to over all images."""
    return special.ndtr(skill / spread_of_images(world))


def seen(
    skills: np.ndarray, common: np.ndarray, own: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return whether each run is right on each image, [seeds, images]."""
    noise = rng.standard_normal((len(skills), len(common)), dtype=np.float32)
    return skills[:, None] + common + own + noise > 0


class Setting:
    """A world with a difference: its truth, and sweeps of it."""

    def __init__(self, world: World, difference: float) -> None:
        self.world = world
        self.base = float(special.ndtri(ACCURACY)) * spread_of_images(world)
        slope = math.exp(-(special.ndtri(ACCURACY) ** 2) / 2) / math.sqrt(2 * math.pi)
        self.ahead = difference * spread_of_images(world) / slope
        rng = np.random.default_rng(99)
        rows = []
        ones = []
        for _ in range(FURTHER):
            a, b = self.arms(rng)
            rows.append(accuracy(world, a.several) - accuracy(world, b.several))
            ones.append(float((accuracy(world, a.one) - accuracy(world, b.one)).mean()))
        self.rows = np.stack(rows)  # [sweeps, seeds]
        self.truth = float(self.rows.mean()) if difference else 0.0
        self.truth_of_one = float(np.mean(ones)) if difference else 0.0

    def arms(self, rng: np.random.Generator) -> tuple[Runs, Runs]:
        draws = rng.standard_normal(SEEDS)
        found = []
        for skill in (self.base + self.ahead, self.base):
            runs = searched(self.world, draws, rng)
            found.append(Runs(runs.several + skill, runs.one + skill))
        return found[0], found[1]

    def sweep(self, images: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return A less B of the new and of the old design, [seeds, images]."""
        rng = np.random.default_rng([number, images])
        world = self.world
        a, b = self.arms(rng)
        common = world.image * rng.standard_normal(images, dtype=np.float32)
        own_a = world.own_image * rng.standard_normal(images, dtype=np.float32)
        own_b = world.own_image * rng.standard_normal(images, dtype=np.float32)
        several = seen(a.several, common, own_a, rng).astype(float)
        several -= seen(b.several, common, own_b, rng)
        one = seen(a.one, common, own_a, rng).astype(float)
        one -= seen(b.one, common, own_b, rng)
        return several, one

    def errors(self, images: int) -> Errors:
        """Return the true parts of the variance of a sweep's difference."""
        # Between sweeps a mean varies by its search; within, a row by its seed and draw.
        first = self.rows.reshape(len(self.rows), -1, RECIPES)  # [sweeps, rounds, recipes]
        within = float(first.var(axis=1, ddof=1).mean())
        whole = float(self.rows.mean(axis=1).var(ddof=1))
        search = max(whole - within / SEEDS, 0.0)
        several, _ = self.sweep(200_000, 0)
        columns = several.mean(axis=0)
        residual = float(several.var(axis=0, ddof=1).mean())
        of_images = max(float(columns.var(ddof=1)) - residual / SEEDS, 0.0) / images
        left = residual / SEEDS / images
        return Errors(
            seeds=Part(within / SEEDS + left, SEEDS - RECIPES),
            recipes=Part(search, RECIPES - 1),
            images=Part(of_images, images - 1),
            residual=left,
        )


def answered(setting: Setting, images: int, sweeps: int) -> dict[str, Any]:
    """Return how well the design answers in a world."""
    truth = setting.truth
    held = 0
    fixed = 0
    kinds = []
    old = []
    used = []
    advice = []
    for number in range(sweeps):
        several, one = setting.sweep(images, number)
        compared = Compared(np.arange(SEEDS), several)
        verdict = judge({"it": compared}, DESIGN, SEEDS)["it"]
        known = compared.until(verdict.seeds)
        held += holds(known, truth)
        fixed += holds(compared, truth)
        kinds.append({Kind.BETTER: 1, Kind.WORSE: -1}.get(verdict.kind, 0))
        used.append(verdict.seeds)
        if verdict.kind is Kind.OPEN:
            advice.append((narrow(compared, DESIGN, 1), float(several.mean())))
        plain = crossed(one)
        old.append(int(plain.low > 0) - int(plain.high < 0))
    found = findings(kinds, truth)
    before = findings(old, setting.truth_of_one)
    return {
        "world": setting.world.name,
        "truth": truth,
        "images": images,
        "held": held / sweeps,
        "fixed": fixed / sweeps,
        **found,
        **{f"old_{name}": value for name, value in before.items()},
        "runs": float(np.mean(used)) / SEEDS,
        "undecided": len(advice) / sweeps,
        **advised(setting, images, advice),
    }


def holds(compared: Compared, truth: float) -> bool:
    interval = crossed(compared.values, recipes=compared.recipes(DESIGN), luck=DESIGN.luck)
    return bool(interval.low <= truth <= interval.high)


def findings(kinds: list[int], truth: float) -> dict[str, float]:
    """Return shares of sweeps that found something, wrongly, and of opposite pairs of them."""
    up = kinds.count(1)
    down = kinds.count(-1)
    wrong = up + down
    if truth > 0:
        wrong = down
    elif truth < 0:
        wrong = up
    pairs = (up + down) * (up + down - 1) / 2
    return {
        "found": (up + down) / len(kinds),
        "wrong": wrong / len(kinds),
        "opposite": up * down / pairs if pairs else math.nan,
    }


def advised(setting: Setting, images: int, advice: list[Any]) -> dict[str, float]:
    """Return how often advice is right, of seeds and of images; nothing of few undecided sweeps.

    It is for the difference as the sweep has it, so that is what the true parts of the variance are
    asked about: right is a number within a factor 1.5 of theirs, or none where there is none.
    """
    if len(advice) < 20:
        return {}
    error = setting.errors(images)
    seeds = 0
    more = 0
    for told, mean in advice:
        number = math.inf
        for total in range(SEEDS + RECIPES, 32 * SEEDS + 1, RECIPES):
            if decides(with_seeds(error, SEEDS, total), mean, WORTH, level_of(total, DESIGN)):
                number = total
                break
        seeds += agrees(SEEDS + told.more_seeds, number)
        number = math.inf
        total = images
        while total < 32 * images:
            total = math.ceil(1.1 * total)
            if decides(with_images(error, images, total), mean, WORTH, level_of(SEEDS, DESIGN)):
                number = total
                break
        more += agrees(images + told.more_images, number)
    return {"seeds": seeds / len(advice), "more_images": more / len(advice)}


def agrees(told: float, true: float) -> bool:
    """Return whether a number that was told, NaN for none, is about the true one."""
    if math.isnan(told) or math.isinf(true):
        return math.isnan(told) and math.isinf(true)
    return max(told / true, true / told) <= FACTOR


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sweeps", type=int, default=400)
    options = parser.parse_args()
    started = time.perf_counter()
    rows = list(measured(options.sweeps))
    if options.json:
        print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}))
        return
    heads = ("held", "fixed", "found", "old", "wrong", "old", "opp.", "old", "runs")
    print(
        f"{'moved by':10}{'true':>6}{'images':>8}" + "".join(f"{head:>7}" for head in heads), end=""
    )
    print(f"{'seeds':>7}{'images':>8}")
    for row in rows:
        shares = [row["held"], row["fixed"], row["found"], row["old_found"], row["wrong"]]
        shares += [row["old_wrong"], row["opposite"], row["old_opposite"], row["runs"]]
        about = f"{row['world']:10}{100 * row['truth']:>6.1f}{row['images']:>8}"
        print(about + "".join(f"{100 * share:>7.1f}" for share in shares), end="")
        told = [row.get("seeds", math.nan), row.get("more_images", math.nan)]
        print(f"{100 * told[0]:>7.1f}{100 * told[1]:>8.1f}")


def measured(sweeps: int) -> Iterator[dict[str, Any]]:
    for world, difference in itertools.product(WORLDS, DIFFERENCES):
        setting = Setting(world, difference)
        for images in IMAGES:
            yield answered(setting, images, sweeps)


if __name__ == "__main__":
    main()
