"""Do the report's intervals hold what they say, and its tests their level?

Synthetic results with planted components.

    python benchmarks/coverage.py [--json] [--repetitions 1000]

A run is right on an image where  skill + seed + image + noise > 0,  all normal; `gaussian` takes
that sum itself, as a stand-in for a log loss. Settings by what moves an accuracy of some 85%:
`seeds` (a seed moves it by 3 points), `images` (by 0.3), `both` (1.4, as much as 600 images do) and
`nothing` but chance. Columns, in percent:

- over: how often `over_seeds` holds the expectation over seeds on the very images (95 is right);
- crossed: how often `crossed` holds the expectation over seeds and images;
- satterth.: the same for the interval that was not taken, with Satterthwaite's degrees of freedom
  (Hillis 2007);
- family: how often at least one of the contrasts of `sweeps/depth_vs_tricks.py` is found, after a
  look at each round of seeds, where the six arms differ by image and by seed, and not in
  expectation (5 or less is right);
- points: median half of the `crossed` interval, in points of accuracy.

Last, accuracies at which few images are wrong, where no interval of this kind can hold.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from scipy import special

from sweeps.depth_vs_tricks import STUDY
from sweeps.records.design import Design
from sweeps.report.effects import planned
from sweeps.report.variance import crossed, over_seeds
from sweeps.report.verdicts import Kind

CONTRASTS = [asdict(contrast) for contrast in STUDY.contrasts]
ARMS = [arm.name for arm in STUDY.space.grid()]
SEEDS, IMAGES, KINDS = (3, 5, 10), (300, 1000), ("gaussian", "bernoulli")
# Seed, image; noise is 1.
SPREADS = {
    "seeds": (0.2, 0.5),
    "both": (0.09, 1.0),
    "images": (0.02, 1.0),
    "nothing": (0.0, 0.0),
}


@dataclass(frozen=True)
class World:
    """From where results come: the spreads of seeds and images are in units of the noise."""

    seeds: int
    images: int
    kind: str
    seed: float
    image: float
    accuracy: float = 0.85

    @property
    def skill(self) -> float:
        return float(special.ndtri(self.accuracy)) * math.sqrt(1 + self.seed**2 + self.image**2)

    @property
    def truth(self) -> float:
        """Expectation over seeds and images."""
        return self.accuracy if self.kind == "bernoulli" else self.skill

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """Values, [seeds, images], and the expectation over seeds on these images."""
        images = self.image * rng.standard_normal(self.images)
        values = self._seen(rng, images)
        on_these = (
            special.ndtr((self.skill + images) / math.sqrt(1 + self.seed**2))
            if self.kind == "bernoulli"
            else images
        )
        return values, float(on_these.mean()) + (self.skill if self.kind == "gaussian" else 0.0)

    def arms(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Six arms of the same skill.

        Half of the variance of images, and of seeds, is common to them, half each one's.
        """
        images, seeds = rng.standard_normal((1, self.images)), rng.standard_normal((self.seeds, 1))
        found = {}
        for arm in ARMS:
            own = self.image * (images + rng.standard_normal(images.shape)) / math.sqrt(2)
            found[arm] = self._seen(rng, own, seeds)
        return found

    def _seen(
        self, rng: np.random.Generator, images: np.ndarray, common: np.ndarray | float | None = None
    ) -> np.ndarray:
        seeds = rng.standard_normal((self.seeds, 1))
        if common is not None:
            seeds = (seeds + common) / math.sqrt(2)
        total = (
            self.skill + images + self.seed * seeds + rng.standard_normal((self.seeds, self.images))
        )
        return (total > 0).astype(float) if self.kind == "bernoulli" else total


def covered(world: World, repetitions: int, seed: int = 0) -> dict[str, float]:
    """Return how often each interval holds its target, and the median half width of `crossed`."""
    rng, hits, halves = (
        np.random.default_rng(seed),
        {"over_seeds": 0, "crossed": 0, "satterthwaite": 0},
        [],
    )
    for _ in range(repetitions):
        values, on_these = world.draw(rng)
        by_seed, both = over_seeds(values.mean(axis=1).tolist()), crossed(values)
        half = satterthwaite(values)
        hits["over_seeds"] += by_seed.low <= on_these <= by_seed.high
        hits["crossed"] += both.low <= world.truth <= both.high
        hits["satterthwaite"] += abs(both.mean - world.truth) <= half
        halves.append((both.high - both.low) / 2)
    return {name: count / repetitions for name, count in hits.items()} | {
        "half": float(np.median(halves))
    }


def family_error(world: World, repetitions: int, seed: int = 0) -> float:
    """Share of null worlds in which a planned contrast is found, after all looks."""
    rng = np.random.default_rng(seed)
    design = Design(recipes=1, seeds=world.seeds, worth=1e-9)
    found = 0
    for _ in range(repetitions):
        values = {arm: dict(enumerate(rows)) for arm, rows in world.arms(rng).items()}
        verdicts = planned(CONTRASTS, values, design, world.seeds)["verdict"]
        found += bool(verdicts.isin([Kind.BETTER.value, Kind.WORSE.value]).any())
    return found / repetitions


def satterthwaite(values: np.ndarray) -> float:
    """Half of the interval with the same standard error and Hillis' degrees of freedom."""
    seeds, _ = values.shape
    by_seed = float(values.mean(axis=1).var(ddof=1)) / seeds
    se = crossed(values).se
    df = se**4 * (seeds - 1) / by_seed**2 if by_seed else math.inf
    return float(special.stdtrit(min(df, 1e9), 0.975)) * se


def worlds() -> Iterator[tuple[str, World]]:
    for kind, (name, spread), images, seeds in itertools.product(
        KINDS, SPREADS.items(), IMAGES, SEEDS
    ):
        yield name, World(seeds, images, kind, *spread)


def hard() -> Iterator[tuple[str, World]]:
    for accuracy, images, seeds in itertools.product((0.95, 0.98, 0.995), (150, 1000), (3, 10)):
        yield f"{accuracy:.1%} right", World(seeds, images, "bernoulli", *SPREADS["both"], accuracy)


def measured(name: str, world: World, repetitions: int) -> dict[str, Any]:
    return (
        {"moved_by": name}
        | asdict(world)
        | covered(world, repetitions)
        | {"family": family_error(world, repetitions)}
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repetitions", type=int, default=1000)
    options = parser.parse_args()
    started = time.perf_counter()
    rows = [measured(name, world, options.repetitions) for name, world in (*worlds(), *hard())]
    normal = [row for row in rows if row["accuracy"] == World.accuracy]
    result = {
        "repetitions": options.repetitions,
        "crossed_lowest": min(row["crossed"] for row in normal),
        "crossed_highest": max(row["crossed"] for row in normal),
        "family_highest": max(row["family"] for row in normal),
        "seconds": time.perf_counter() - started,
        "rows": rows,
    }
    if options.json:
        print(json.dumps(result))
        return
    heads = f"{'over':>8}{'crossed':>9}{'satterth.':>11}{'family':>8}{'points':>8}"
    print(f"{'values':11}{'moved by':14}{'images':>7}{'seeds':>6}{heads}")
    for row in rows:
        held = (
            f"{100 * row['over_seeds']:>8.1f}{100 * row['crossed']:>9.1f}"
            f"{100 * row['satterthwaite']:>11.1f}{100 * row['family']:>8.1f}"
        )
        half = f"{100 * row['half']:>8.1f}" if row["kind"] == "bernoulli" else ""
        about = f"{row['kind']:11}{row['moved_by']:14}{row['images']:>7}{row['seeds']:>6}"
        print(f"{about}{held}{half}")


if __name__ == "__main__":
    main()
