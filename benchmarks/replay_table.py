"""What would other plans of a sweep have cost and found? Record the runs once that all would train.

    python benchmarks/replay_table.py --data cifar10.npz --weights resnet18.pt --per-class 20
                                      --to benchmarks/replay_tables/cifar10_20.npz
                                      [--recipes 60] [--seeds 10] [--processes 2] [--work FOLDER]

Four arms (`replay_parts/space.py`), each with its default recipe and others at random; each recipe
is trained over all seeds, each with its own draw of train and val images, by `trainables.finetune`
as a trial would: 20 epochs, 4 steps an epoch, 32 px. Of each run the val accuracy of every epoch is
kept, and which test images its best checkpoint gets right. `replay.py` asks the table.

It can be killed at any time and goes on where it was: parts lie in --work until all are there.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch

from benchmarks.machine import machine
from benchmarks.replay_parts.space import EPOCHS, SPACE, random_sample
from benchmarks.replay_parts.table import Table
from cluster.resources import Slots
from search_spaces.space import Arm, Value
from sweeps.runner.finalists.candidates import finalist_seeds
from sweeps.runner.speed import CACHE_SHARE, choose_compute, cuts
from trainables import checkpoint
from trainables.compute import Compute
from trainables.data.dataset import Caps, DataError, Dataset, prepare, read
from trainables.feature_store import FeatureStore
from trainables.files import whole_file
from trainables.final import evaluate_finalist
from trainables.finetune import DivergedError, finetune
from trainables.frozen_features import Shared
from trainables.metrics import HISTORY, VAL_ACCURACY
from trainables.node import find_weights
from trainables.recipe import Recipe
from trainables.weights import Weights, WeightsError

BACKBONE = "resnet18"
IMAGE_SIZE = 32
STEPS = 4  # an epoch, as 1,000 images have in batches of 256
TEST_PER_CLASS = 100
SEED = 0
NEVER_S = 1e9  # between reports: one comes at the end


@dataclass(frozen=True, kw_only=True)
class Setting:
    """All that decides a table's numbers, but for the machine; plain values and paths."""

    data: str
    weights: str
    per_class: int
    recipes: int
    seeds: int
    work: Path

    @property
    def cache(self) -> Path:
        """Decoded images and activations."""
        return self.work / "cache"

    def part(self, arm: int, seed: int) -> Path:
        """The file of an arm's runs of one seed."""
        return self.work / f"{arm}-{seed}.npz"


@dataclass(frozen=True, kw_only=True)
class Part:
    """The runs of an arm with one seed, as a process is to train them."""

    arm: int
    seed: int
    setting: Setting
    compute: dict[str, Any]
    weights: Weights


def arms_of(setting: Setting, classes: int) -> tuple[Arm, ...]:
    """Return the arms, with the sizes of a setting; their weights are a name without a folder."""
    return SPACE.with_fixed(
        image_size=IMAGE_SIZE,
        batch_size=math.ceil(setting.per_class * classes / STEPS),
        weights=Path(setting.weights).name,
        seed=SEED,
    ).grid()


def samples_of(arm: Arm, number: int) -> list[dict[str, Value]]:
    """Return what recipes tune: the default, then others at random, the same each time."""
    rng = np.random.default_rng([SEED, *arm.name.encode()])
    samples = [dict(arm.default_sample())]
    while len(samples) < number:
        samples.append(random_sample(arm, rng))
    return samples


def prepared(setting: Setting, draw: int | None) -> Dataset:
    """Return the images of a seed."""
    caps = Caps(train=setting.per_class, val=setting.per_class, test=TEST_PER_CLASS)
    return prepare(
        setting.data,
        image_size=IMAGE_SIZE,
        caps=caps,
        seed=SEED,
        cache=setting.cache,
        draw=draw,
    )


def record(part: Part) -> None:
    """Train an arm's recipes with one seed, and write down what came of them."""
    torch.set_num_threads(1)
    setting = part.setting
    data = read(prepared(setting, part.seed).path, test=True)
    arms = arms_of(setting, len(data.classes))
    arm = arms[part.arm]
    seed = finalist_seeds(SEED, setting.seeds)[part.seed]
    store = FeatureStore(setting.cache / "prefix", sweep=f"seed-{part.seed}", share=CACHE_SHARE)
    shared = Shared(store=store, cuts=cuts(arms, BACKBONE))
    samples = samples_of(arm, setting.recipes)
    val = np.full((len(samples), EPOCHS), np.nan)
    right = np.zeros((len(samples), len(data.split("test").labels)), bool)
    seconds = np.zeros(len(samples))
    for number, sample in enumerate(samples):
        started = time.perf_counter()
        recipe = replace(arm.recipe(sample), seed=seed)
        run = _run(recipe, data, part, shared)
        val[number, : len(run.val)] = run.val
        right[number] = run.right
        seconds[number] = time.perf_counter() - started
    with whole_file(setting.part(part.arm, part.seed)) as file:
        np.savez_compressed(file, val=val, right=right, seconds=seconds)


@dataclass(frozen=True)
class _Run:
    val: list[float]
    right: np.ndarray


def _run(recipe: Recipe, data: Dataset, part: Part, shared: Shared) -> _Run:
    """Train a recipe as a finalist; one that diverged is right on nothing."""
    compute = Compute.from_dict(part.compute)
    device = torch.device("cpu")
    reports: list[dict[str, Any]] = []
    labels = data.split("test").labels
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Path(folder)
        try:
            finetune(
                recipe,
                data,
                device,
                reports.append,
                weights=part.weights,
                checkpoints=checkpoints,
                compute=compute,
                shared=shared,
                report_every=NEVER_S,
            )
        except DivergedError:
            return _Run(_epochs(reports), np.zeros(len(labels), bool))
        best = checkpoint.best(checkpoints)
        assert best is not None
        predictions = checkpoints / "predictions.npz"
        evaluate_finalist(best, data, device, compute, predictions)
        with np.load(predictions) as file:
            return _Run(_epochs(reports), file["test"].argmax(1) == file["test_labels"])


def _epochs(reports: Sequence[dict[str, Any]]) -> list[float]:
    """Return the val accuracy of each epoch."""
    scores = []
    for report in reports:
        scores += [epoch[VAL_ACCURACY] for epoch in report.get(HISTORY) or [report]]
    return scores


def assembled(setting: Setting, about: dict[str, Any]) -> Table:
    """Return the table of all parts."""
    data = prepared(setting, None)
    arms = arms_of(setting, len(data.classes))
    samples = {arm.name: samples_of(arm, setting.recipes) for arm in arms}
    columns: dict[str, list[Any]] = {"val": [], "right": [], "seconds": []}
    for arm in range(len(arms)):
        of_arm: dict[str, list[Any]] = {name: [] for name in columns}
        for seed in range(setting.seeds):
            with np.load(setting.part(arm, seed)) as file:
                for name in columns:
                    of_arm[name].append(file[name])
        for name, parts in of_arm.items():
            columns[name].append(np.stack(parts, axis=1))
    return Table(
        arms=[arm.name for arm in arms],
        samples=samples,
        recipes={arm.name: [arm.recipe(sample) for sample in samples[arm.name]] for arm in arms},
        val=np.stack(columns["val"]),
        right=np.stack(columns["right"]),
        seconds=np.stack(columns["seconds"]),
        images={split: sum(counts.values()) for split, counts in data.counts.items()},
        about=about,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="an .npz, a folder, or digits")
    parser.add_argument("--weights", required=True, help="a file, or digits-source")
    parser.add_argument("--per-class", type=int, required=True, help="train and val images each")
    parser.add_argument("--to", type=Path, required=True, help="the table, an .npz")
    parser.add_argument("--recipes", type=int, default=60, help="of each arm")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=Path, help="for parts; default: mlruns/replay/NAME")
    options = parser.parse_args()
    work = options.work or Path("mlruns") / "replay" / options.to.stem
    setting = Setting(
        data=str(Path(options.data).absolute()) if Path(options.data).exists() else options.data,
        weights=(
            str(Path(options.weights).absolute())
            if Path(options.weights).exists()
            else options.weights
        ),
        per_class=options.per_class,
        recipes=options.recipes,
        seeds=options.seeds,
        work=work.absolute(),
    )
    work.mkdir(parents=True, exist_ok=True)
    about = _same(setting)

    # What all parts share is made first, by one process.
    try:
        data = prepared(setting, None)
        weights = Weights.of(find_weights(setting.weights, BACKBONE, setting.cache))
    except (DataError, WeightsError) as error:
        sys.exit(f"error: {error}")
    arms = arms_of(setting, len(data.classes))
    slots = Slots(count=options.processes, cpus=1, gpus=0, device="cpu")
    compute = choose_compute(arms, len(data.classes), slots, setting.cache, print)

    # Seed after seed, so that its arms share activations.
    parts = []
    for seed in range(setting.seeds):
        for arm in range(len(arms)):
            part = Part(
                arm=arm, seed=seed, setting=setting, compute=compute.as_dict(), weights=weights
            )
            if not setting.part(arm, seed).exists():
                parts.append(part)
    started = time.perf_counter()
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        for done, _ in enumerate(pool.map(record, parts), 1):
            minutes = (time.perf_counter() - started) / 60
            left = minutes / done * (len(parts) - done)
            print(f"{done} of {len(parts)} parts, {minutes:.1f} min; {left:.0f} min left")
    table = assembled(setting, about)
    table.save(options.to)
    hours = float(table.seconds.sum()) / 3600
    size = options.to.stat().st_size / 1e6
    print(f"{options.to}: {table.seconds.size} runs, {hours:.1f} core-hours, {size:.1f} MB")


def _same(setting: Setting) -> dict[str, Any]:
    """Return how the table is made; refuse to go on with parts of another setting.

    It goes into the table, which names no folder of this machine.
    """
    about: dict[str, Any] = {
        "data": Path(setting.data).name,
        "weights": Path(setting.weights).name,
        "per_class": setting.per_class,
        "recipes": setting.recipes,
        "seeds": setting.seeds,
        "epochs": EPOCHS,
        "image_size": IMAGE_SIZE,
    }
    file = setting.work / "about.json"
    if not file.exists():
        file.write_text(json.dumps({**about, "machine": machine()}))
        return {**about, "machine": machine()}
    before: dict[str, Any] = json.loads(file.read_text())
    if {name: before[name] for name in about} != about:
        sys.exit(f"{setting.work} must hold parts of this table, but has others: pass --work.")
    return before


if __name__ == "__main__":
    main()
