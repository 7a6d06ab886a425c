"""What a finalist says of the test split: asked once, of its best checkpoint, with its answer for every image."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.checkpoint import load_best
from trainables.class_scores import class_scores
from trainables.compute import Compute
from trainables.convolution import install
from trainables.data.augment import plain_view
from trainables.data.dataset import Dataset, Split
from trainables.files import whole_file
from trainables.metrics import (
    INFERENCE_MS,
    PARAMETERS,
    TEST_ACCURACY,
    TEST_BALANCED_ACCURACY,
    TEST_LOSS,
    TEST_MACRO_F1,
)
from trainables.network import Network
from trainables.recipe import LAYER_GROUPS
from trainables.step import Pixels, evaluate_batch, in_batches


def answer(
    best: Path,
    data: Dataset,
    device: torch.device,
    compute: Compute,
    predictions: Path,
    alive: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Evaluate a checkpoint on val and test, and write down what it says of each image.

    Args:
        best: What `checkpoint.save_best` wrote.
        data: Opened with its test split.
        device: Where.
        compute: As in training, so that val gives the score to the last bit.
        predictions: An .npz to write, whole or not at all: `val` and `test`, float32 `[N, classes]` natural logarithms of
            probabilities, and `val_labels`, `test_labels`, int64 `[N]`, in the order of the split.
        alive: Called after each batch: a large test split takes a CPU long.

    Returns:
        Test accuracy, balanced accuracy, macro F1 and log loss, the network's number of parameters, and milliseconds per
        image, from pixels to classes, in the median batch.

    Raises:
        OSError: The predictions cannot be written.
    """
    network, recipe, _ = load_best(best)
    network.to(device).to(memory_format=torch.channels_last)
    network.precision = compute.precision
    network.train_groups(recipe.trainable_layers, batch_stats=recipe.batchnorm == "batch_stats")
    for name in LAYER_GROUPS[-recipe.trainable_layers :]:
        install(network.get_submodule(name), compute.convolutions)
    network.eval()
    val, test = data.split("val"), data.split("test")
    told, _ = _log_probabilities(network, val, recipe.image_size, device, alive)
    asked, milliseconds = _log_probabilities(network, test, recipe.image_size, device, alive)
    labels = torch.tensor(test.labels)
    _save(
        predictions,
        val=told.numpy(),
        val_labels=val.labels,
        test=asked.numpy(),
        test_labels=test.labels,
    )
    found = class_scores(labels, asked.argmax(1), network.num_classes)
    return {
        TEST_ACCURACY: found.accuracy,
        TEST_BALANCED_ACCURACY: found.balanced_accuracy,
        TEST_MACRO_F1: found.macro_f1,
        TEST_LOSS: F.nll_loss(asked.double(), labels).item(),
        PARAMETERS: float(sum(parameter.numel() for parameter in network.parameters())),
        INFERENCE_MS: milliseconds,
    }


@torch.inference_mode()
def _log_probabilities(
    network: Network, split: Split, image_size: int, device: torch.device, alive: Callable[[], None]
) -> tuple[Tensor, float]:
    """float32 `[N, classes]` on the CPU, and milliseconds an image."""
    pixels, parts, seconds = Pixels(split, device), [], []

    def timed(samples: Tensor) -> tuple[Tensor, float]:
        started = time.perf_counter()
        part = (
            evaluate_batch(network, plain_view(pixels.take(samples), image_size))
            .log_softmax(1)
            .cpu()
        )
        return part, (time.perf_counter() - started) / len(samples)

    for _, (part, took) in in_batches(timed, len(pixels), device):
        parts.append(part)
        seconds.append(took)
        alive()
    return torch.cat(parts), 1e3 * median(seconds)


def _save(path: Path, **arrays: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
