"""How to cut CPU cores into slots: one trial with all cores, or one trial a core?

    python benchmarks/slots.py [--json] [--image-size 96] [--rounds 3]

Trains the same recipe once per core, on random images: one after the other with all cores as
threads, and side by side with one thread each. Interleaved rounds; the median seconds of each way,
and their ratio.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch

from trainables.finetune import finetune
from trainables.recipe import Recipe

IMAGES, CLASSES = 256, 10


@dataclass(frozen=True)
class Noise:
    """A data set of random pixels."""

    side: int
    classes: tuple[str, ...] = tuple(map(str, range(CLASSES)))

    def split(self, name: str) -> Noise:
        return self

    @property
    def images(self) -> np.ndarray:
        return np.random.default_rng(0).integers(
            0, 256, (IMAGES, self.side, self.side, 3), dtype=np.uint8
        )

    @property
    def labels(self) -> np.ndarray:
        return np.arange(IMAGES) % CLASSES


def train(side: int, threads: int, start: object = None, done: object = None) -> None:
    torch.set_num_threads(threads)
    recipe = Recipe(weights="none", image_size=side, epochs=2, batch_size=64)
    if start is not None:
        start.wait()
    finetune(recipe, Noise(side), torch.device("cpu"), lambda metrics: None)
    if done is not None:
        done.wait()


def one_after_the_other(side: int, cores: int) -> float:
    started = time.perf_counter()
    for _ in range(cores):
        train(side, cores)
    return time.perf_counter() - started


def side_by_side(side: int, cores: int) -> float:
    """Processes are started and warm before the clock runs, as a sweep's reused workers are."""
    context = multiprocessing.get_context("spawn")
    start, done = context.Barrier(cores + 1), context.Barrier(cores + 1)
    workers = [context.Process(target=train, args=(side, 1, start, done)) for _ in range(cores)]
    for worker in workers:
        worker.start()
    start.wait()
    started = time.perf_counter()
    done.wait()
    seconds = time.perf_counter() - started
    for worker in workers:
        worker.join()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    rounds = [
        (one_after_the_other(options.image_size, cores), side_by_side(options.image_size, cores))
        for _ in range(options.rounds)
    ]
    wide, narrow = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    result = {
        "cores": cores,
        "image_size": options.image_size,
        "trials": cores,
        "one_slot_of_all_cores_s": round(wide, 2),
        "one_slot_a_core_s": round(narrow, 2),
        "ratio": round(wide / narrow, 2),
        "rounds": [[round(value, 2) for value in pair] for pair in rounds],
    }
    print(
        json.dumps(result)
        if options.json
        else "\n".join(f"{name}: {value}" for name, value in result.items())
    )


if __name__ == "__main__":
    main()
