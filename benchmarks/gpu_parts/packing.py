"""Trials that share a device: how fast each is, and all together."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_parts.commands import GpuUse
from benchmarks.gpu_parts.trials import SIZES, Noise, recipe_of, say, speed, trained
from trainables.cpus import available_cpus
from trainables.feature_store import FeatureStore
from trainables.frozen_features import Shared
from trainables.recipe import Recipe

WAIT_S = 90.0
KINDS = {
    "whole": "the whole network trains",
    "stored": "layer4 and fc train on stored activations",
}

_barrier: Barrier | None = None


def packed(device: torch.device) -> dict[str, Any]:
    """Measure 1, 2 and 4 trials to a device, each in a process of its own, as a sweep has them."""
    rows: list[dict[str, Any]] = []
    for count in SIZES[device.type].packed:
        with tempfile.TemporaryDirectory() as folder, GpuUse(device) as use:
            workers = _side_by_side(count, device, folder)
        for kind in KINDS:
            row = {"trials": count, "kind": kind, **_row(kind, workers, device)}
            each = ", ".join(f"{rate:.0f}" for rate in row["each"])
            say(
                f"{count} at once, {KINDS[kind]}: {row['total']:.0f} images/s in total; {each} each"
            )
            rows.append(row)
        say(f"{count} at once: {use.described()}")
    return {"rows": rows, "summary": "; ".join(_gains(rows))}


def _side_by_side(count: int, device: torch.device, folder: str) -> list[dict[str, Any]]:
    """Start the processes, and return what each measured."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    with ProcessPoolExecutor(count, context, _receive, (barrier,)) as pool:
        started = [pool.submit(_worker, count, device.type, folder) for _ in range(count)]
        return [worker.result() for worker in started]


def _receive(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def _worker(count: int, device_type: str, folder: str) -> dict[str, Any]:
    """Train one trial of each kind; all processes are warm before the clock of any runs."""
    assert _barrier is not None
    device = torch.device(device_type)
    # As in a sweep: a CPU's slot has one core, a GPU's its share of them.
    torch.set_num_threads(1)
    if device_type == "cuda":
        torch.set_num_threads(max(1, available_cpus() // count))
        torch.cuda.set_per_process_memory_fraction(1 / count)
    size = SIZES[device_type]
    data = Noise(size.images, size.image_size)
    measured: dict[str, Any] = {}
    try:
        for kind, recipe, shared in _kinds(device_type, folder):
            began = [0.0]

            def start(began: list[float] = began) -> None:
                _barrier.wait(WAIT_S)
                began[0] = time.monotonic()

            reports = trained(recipe, data, device, shared=shared, after_first=start)
            measured[kind] = {"began": began[0], "ended": time.monotonic(), "rate": speed(reports)}
    except BaseException:
        _barrier.abort()  # nobody waits for this one
        raise
    return measured


def _kinds(device_type: str, folder: str) -> Iterator[tuple[str, Recipe, Shared | None]]:
    size = SIZES[device_type]
    yield "whole", recipe_of(size, "resnet18"), None
    cached = replace(size, epochs=size.cached_epochs)
    shared = Shared(store=FeatureStore(Path(folder), sweep="benchmark"), cuts=("layer4",))
    recipe = recipe_of(cached, "resnet18", trainable_layers=2, batchnorm="frozen")
    yield "stored", recipe, shared


def _row(kind: str, workers: list[dict[str, Any]], device: torch.device) -> dict[str, Any]:
    """Return images per second: of all, from the common start to the last end, and of each."""
    size = SIZES[device.type]
    epochs = {"whole": size.epochs, "stored": size.cached_epochs}[kind] - 1
    began = min(worker[kind]["began"] for worker in workers)
    ended = max(worker[kind]["ended"] for worker in workers)
    total = len(workers) * epochs * size.images / (ended - began)
    each = [round(worker[kind]["rate"], 1) for worker in workers]
    return {"total": round(total, 1), "each": each}


def _gains(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Say what packing gains over one trial at a time."""
    for kind, words in KINDS.items():
        totals = {row["trials"]: row["total"] for row in rows if row["kind"] == kind}
        gains = [f"{count} give {total / totals[1]:.2f}x" for count, total in totals.items()]
        yield f"{words}: {', '.join(gains[1:])}"
