"""Trials on random pixels: against a bare loop, on stored activations, and short of memory."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
import torchvision

from trainables.compute import Compute, best_precision
from trainables.feature_store import FeatureStore
from trainables.finetune import finetune
from trainables.frozen_features import Shared
from trainables.metrics import IMAGES_PER_SECOND, MICRO_BATCH, TRAIN_LOSS, VAL_LOSS
from trainables.network import Tail
from trainables.recipe import Recipe
from trainables.step import SMALLEST_MICRO_BATCH

CLASSES = 10
BACKBONES = ("resnet18", "resnet50")
GIB = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How large the parts are.

    Attributes:
        image_size: Pixels per side.
        images: For training.
        batch_size: Images of a step.
        epochs: Of a trial; the first warms up and is not timed.
        cached_epochs: The same, where activations are stored and an epoch is short.
        packed: Trials to a device, in turn.
        scarce_batch: Images of a step that does not fit.
        scarce_gib: Memory that it may take.
        repeats: Steps that are timed one by one.
    """

    image_size: int
    images: int
    batch_size: int
    epochs: int
    cached_epochs: int
    packed: tuple[int, ...]
    scarce_batch: int
    scarce_gib: float
    repeats: int


SIZES = {
    "cuda": Size(
        image_size=224,
        images=2048,
        batch_size=256,
        epochs=4,
        cached_epochs=40,
        packed=(1, 2, 4),
        scarce_batch=512,
        scarce_gib=4.0,
        repeats=20,
    ),
    # A stand-in: whether everything runs. Its figures say nothing.
    "cpu": Size(
        image_size=32,
        images=32,
        batch_size=8,
        epochs=2,
        cached_epochs=3,
        packed=(1, 2),
        scarce_batch=32,
        scarce_gib=0.0,
        repeats=1,
    ),
}


class Noise:
    """A data set of random pixels, made in memory, with a small val split."""

    classes = tuple(map(str, range(CLASSES)))

    def __init__(self, images: int, side: int) -> None:
        shape = (images, side, side, 3)
        self.images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        self.labels = np.arange(images) % CLASSES
        self.digest = f"noise-{images}-{side}"

    def split(self, name: str) -> Noise:
        if name == "train":
            return self
        return Noise(32, self.images.shape[1])


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def synchronize(device: torch.device) -> None:
    """Wait for what the device was told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def recipe_of(size: Size, backbone: str, **changes: Any) -> Recipe:
    """Return a recipe from random weights in which all layers train, unless changed."""
    fields: dict[str, Any] = {
        "backbone": backbone,
        "weights": "none",
        "trainable_layers": 6,
        "batchnorm": "batch_stats",
        "epochs": size.epochs,
        "batch_size": size.batch_size,
        "image_size": size.image_size,
    }
    return Recipe(**fields | changes)


def trained(
    recipe: Recipe,
    data: Noise,
    device: torch.device,
    *,
    shared: Shared | None = None,
    after_first: Callable[[], object] = lambda: None,
) -> list[dict[str, Any]]:
    """Train a recipe as a trial does, and return what each epoch reported."""
    reports: list[dict[str, Any]] = []

    def report(metrics: dict[str, Any]) -> None:
        reports.append(metrics)
        if len(reports) == 1:
            after_first()

    compute = Compute(precision=best_precision(device))
    finetune(recipe, data, device, report, compute=compute, shared=shared)  # type: ignore[arg-type]
    return reports


def speed(reports: list[dict[str, Any]]) -> float:
    """Return the images per second of a trial, after the epoch that warms up."""
    return statistics.median(report[IMAGES_PER_SECOND] for report in reports[1:])


def bare(size: Size, device: torch.device) -> dict[str, Any]:
    """Measure a trial's share of the speed of the shortest loop that trains the same network."""
    data = Noise(size.images, size.image_size)
    rows: list[dict[str, Any]] = []
    for backbone in BACKBONES:
        batch_size, loop = _largest_that_fits(size, backbone, device)
        row: dict[str, Any] = {"backbone": backbone, "batch_size": batch_size}
        row["loop_images_per_second"] = round(loop, 1)
        say(f"{backbone}: bare loop {loop:.0f} images/s, in batches of {batch_size}")
        for augmentation in ("none", "crop_flip"):
            recipe = recipe_of(size, backbone, augmentation=augmentation, batch_size=batch_size)
            reports = trained(recipe, data, device)
            rate = speed(reports)
            row[augmentation] = {
                "images_per_second": round(rate, 1),
                "share": round(rate / loop, 3),
                "micro_batch": reports[-1].get(MICRO_BATCH),
            }
            pieces = _pieces(reports)
            say(
                f"{backbone}: trial, augmentation {augmentation}, {rate:.0f} images/s, "
                f"{rate / loop:.0%} of the loop{pieces}"
            )
        rows.append(row)
    shares = [f"{row['backbone']} {row['none']['share']:.0%}" for row in rows]
    return {"rows": rows, "summary": f"a trial's share of a bare loop: {', '.join(shares)}"}


def _largest_that_fits(size: Size, backbone: str, device: torch.device) -> tuple[int, float]:
    """Return the batch size, halved until a step fits, and the bare loop's images per second."""
    batch_size = size.batch_size
    while True:
        try:
            return batch_size, _bare_loop(size, backbone, batch_size, device)
        except torch.OutOfMemoryError:
            batch_size //= 2
            if batch_size < SMALLEST_MICRO_BATCH:
                raise
        torch.cuda.empty_cache()


def _bare_loop(size: Size, backbone: str, batch_size: int, device: torch.device) -> float:
    """Train torchvision's own network on one batch that stays where it is."""
    network = torchvision.models.get_model(backbone, num_classes=CLASSES)
    network.to(device).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    bf16 = best_precision(device) == "bf16"
    images = torch.rand(batch_size, 3, size.image_size, size.image_size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch_size, device=device) % CLASSES

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            logits = network(images)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    # The first steps warm up.
    for _ in range(3):
        step()
    synchronize(device)
    steps = max(1, size.images * (size.epochs - 1) // batch_size)
    started = time.perf_counter()
    for _ in range(steps):
        step()
    synchronize(device)
    return steps * batch_size / (time.perf_counter() - started)


def store(size: Size, device: torch.device) -> dict[str, Any]:
    """Time a trial with stored activations of its frozen layers, and without."""
    data = Noise(size.images, size.image_size)
    rows: list[dict[str, Any]] = []
    for backbone in BACKBONES:
        recipe = recipe_of(size, backbone, trainable_layers=2, batchnorm="frozen")
        trained(recipe, data, device)  # warms up
        with tempfile.TemporaryDirectory() as folder:
            place = FeatureStore(Path(folder), sweep="benchmark")
            shared = Shared(store=place, cuts=("layer4",))
            without, plain = _timed(recipe, data, device, None)
            filling, _ = _timed(recipe, data, device, shared)
            reading, stored = _timed(recipe, data, device, shared)
        apart = abs(stored / plain - 1)
        say(
            f"{backbone}, {size.epochs} epochs of layer4 and fc: {without:.2f} s without the "
            f"store, {filling:.2f} s filling it, {reading:.2f} s reading it "
            f"({without / reading:.1f}x); val loss {apart:.1e} apart"
        )
        rows.append({
            "backbone": backbone,
            "epochs": size.epochs,
            "without_s": round(without, 3),
            "filling_s": round(filling, 3),
            "reading_s": round(reading, 3),
            "val_loss_apart": apart,
        })  # fmt: skip
    times = [f"{row['backbone']} {row['without_s'] / row['reading_s']:.1f}x" for row in rows]
    return {"rows": rows, "summary": f"on stored activations faster by {', '.join(times)}"}


def _timed(
    recipe: Recipe, data: Noise, device: torch.device, shared: Shared | None
) -> tuple[float, float]:
    """Return the seconds of a trial, and its last val loss."""
    started = time.perf_counter()
    reports = trained(recipe, data, device, shared=shared)
    synchronize(device)
    return time.perf_counter() - started, reports[-1][VAL_LOSS]


def memory(size: Size, device: torch.device) -> dict[str, Any]:
    """Train with less memory than a batch needs."""
    data = Noise(size.scarce_batch * 2, size.image_size)
    recipe = recipe_of(size, "resnet18", batch_size=size.scarce_batch, epochs=2)
    with _scarce(size, device) as limit:
        say(f"resnet18, batches of {size.scarce_batch}, {limit}")
        reports = trained(recipe, data, device)
    # What it came to.
    micro_batch = reports[-1].get(MICRO_BATCH)
    losses = [report[name] for report in reports for name in (TRAIN_LOSS, VAL_LOSS)]
    finite = all(map(math.isfinite, losses))
    held = 0.0
    if device.type == "cuda":
        held = torch.cuda.max_memory_reserved() / GIB
    figures = {
        "batch_size": size.scarce_batch,
        "limit": limit,
        "micro_batch": micro_batch,
        "finite": finite,
        "most_reserved_gib": round(held, 2),
        "images_per_second": round(speed(reports), 1),
    }
    if micro_batch is None:
        raise RuntimeError(
            f"a batch of {size.scarce_batch} must not fit, but it did ({limit}, "
            f"{held:.1f} GiB held): nothing was recovered from."
        )
    if not finite:
        raise RuntimeError(f"losses must be finite in micro-batches of {micro_batch}: {losses}")
    told = f"went on in micro-batches of {micro_batch}, losses finite"
    say(f"{told}; {figures['images_per_second']:.0f} images/s")
    return figures | {"summary": f"a batch of {size.scarce_batch} {told}"}


@contextmanager
def _scarce(size: Size, device: torch.device) -> Iterator[str]:
    """Leave too little memory for a batch; on a CPU, raise what a GPU would."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, size.scarce_gib * GIB / total))
        try:
            yield f"of a GPU's memory {size.scarce_gib:g} GiB"
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        return
    most = size.scarce_batch // 4
    logits = Tail.logits

    def short(self: Tail, inputs: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled() and len(inputs) > most:
            raise torch.OutOfMemoryError("planted: out of memory")
        return logits(self, inputs)

    with mock.patch.object(Tail, "logits", short):
        yield f"an error planted where more than {most} images go through at once"


def _pieces(reports: list[dict[str, Any]]) -> str:
    micro_batch = reports[-1].get(MICRO_BATCH)
    return f", in micro-batches of {micro_batch}" if micro_batch else ""
