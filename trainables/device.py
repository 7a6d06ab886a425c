"""What this machine's torch can compute on, and how long a training step takes there."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from trainables.backbones import build
from trainables.compute import best_precision
from trainables.network import Tail
from trainables.recipe import Recipe
from trainables.stages import stages, start_stage
from trainables.step import evaluate_batch, train_batch

TIMED_STEPS = 3


def count_gpus() -> int:
    """Return how many GPUs torch can use here."""
    if not torch.cuda.is_available():
        return 0
    return torch.cuda.device_count()


def describe(device: str) -> str:
    """Return the device's name, for a person."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU with {torch.get_num_threads()} threads"


def epoch_seconds(
    recipe: Recipe,
    *,
    num_classes: int,
    train_images: int,
    val_images: int,
    device: str,
    threads: int,
) -> float:
    """Estimate an epoch of a recipe from three timed training steps and evaluation batches.

    The images are random.

    Args:
        recipe: Its last stage is timed.
        num_classes: Width of the output.
        train_images: Images of an epoch.
        val_images: Images of an evaluation.
        device: `cpu` or `cuda`.
        threads: CPU threads of a trial.

    Returns:
        Seconds, of one trial that has the device to itself and reads what its frozen layers give.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        # The network as it trains in the last stage.
        place = torch.device(device)
        network = build(recipe, num_classes).to(place).to(memory_format=torch.channels_last)
        network.precision = best_precision(place)
        optimizer = start_stage(recipe, network, stages(recipe)[-1])
        network.train_groups(recipe.trainable_layers, batch_stats=recipe.batchnorm == "batch_stats")
        # A batch as it comes out of the frozen layers.
        largest = {"cpu": 32, "cuda": 256}[device]
        batch = min(recipe.batch_size, train_images, largest)
        images = torch.rand(batch, 3, recipe.image_size, recipe.image_size, device=place)
        inputs = network.activations(images)
        tail = Tail(network)
        targets = torch.full((batch, num_classes), 1 / num_classes, device=place)
        # The first step warms up.
        train_batch(tail, optimizer, inputs, targets)
        step = _median_seconds(lambda: train_batch(tail, optimizer, inputs, targets), place)
        network.eval()
        val = _median_seconds(lambda: evaluate_batch(tail, inputs), place)
    finally:
        torch.set_num_threads(before)
    return (step * train_images + val * val_images) / batch


def _median_seconds(step: Callable[[], object], place: torch.device) -> float:
    seconds = []
    for _ in range(TIMED_STEPS):
        started = time.perf_counter()
        step()
        if place.type == "cuda":
            torch.cuda.synchronize(place)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
