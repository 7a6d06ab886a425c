"""A finalist's evaluation on the test split: once, of its best checkpoint, image by image."""

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

from trainables import image_passes
from trainables.checkpoint import load_best
from trainables.class_scores import class_scores
from trainables.compute import Compute
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
    TEST_PASSES,
)
from trainables.network import Network
from trainables.step import Pixels, evaluate_batch, in_batches


def evaluate_finalist(
    best: Path,
    data: Dataset,
    device: torch.device,
    compute: Compute,
    predictions: Path,
    alive: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Evaluate a checkpoint on val and test, and write down its answer for each image.

    Args:
        best: What `checkpoint.save_best` wrote.
        data: Opened with its test split.
        device: Where.
        compute: As in training, so that val gives the score to the last bit.
        predictions: An .npz to write, whole or not at all: `val` and `test`, float32 `[N, classes]`
            natural logarithms of probabilities, and `val_labels`, `test_labels`, int64 `[N]`, in
            the order of the split.
        alive: Called after each batch: a large test split takes a CPU long.

    Returns:
        Test accuracy, balanced accuracy, macro F1 and log loss, the network's number of parameters,
        milliseconds per image, from pixels to classes, in the median batch, and image passes.

    Raises:
        OSError: The predictions cannot be written.
    """
    # The network, which computes as it did in training.
    network, recipe, _ = load_best(best)
    network.to(device).to(memory_format=torch.channels_last)
    network.train_groups(recipe.trainable_layers, batch_stats=recipe.batchnorm == "batch_stats")
    compute.install(network)
    network.eval()
    # Its answers.
    val = data.split("val")
    test = data.split("test")
    size = recipe.image_size
    on_val, _ = _log_probabilities(network, val, size, device, alive)
    on_test, milliseconds = _log_probabilities(network, test, size, device, alive)
    _save(
        predictions,
        val=on_val.numpy(),
        val_labels=val.labels,
        test=on_test.numpy(),
        test_labels=test.labels,
    )
    # Their scores.
    labels = torch.tensor(test.labels)
    scores = class_scores(labels, on_test.argmax(1), network.num_classes)
    return {
        TEST_ACCURACY: scores.accuracy,
        TEST_BALANCED_ACCURACY: scores.balanced_accuracy,
        TEST_MACRO_F1: scores.macro_f1,
        TEST_LOSS: F.nll_loss(on_test.double(), labels).item(),
        PARAMETERS: float(sum(parameter.numel() for parameter in network.parameters())),
        INFERENCE_MS: milliseconds,
        TEST_PASSES: float(image_passes.of_test(len(val.labels), len(test.labels))),
    }


@torch.inference_mode()
def _log_probabilities(
    network: Network, split: Split, image_size: int, device: torch.device, alive: Callable[[], None]
) -> tuple[Tensor, float]:
    """Return float32 `[N, classes]` on the CPU, and milliseconds per image."""
    pixels = Pixels(split, device)

    def timed(samples: Tensor) -> tuple[Tensor, float]:
        started = time.perf_counter()
        logits = evaluate_batch(network, plain_view(pixels.take(samples), image_size))
        part = logits.log_softmax(1).cpu()
        return part, (time.perf_counter() - started) / len(samples)

    parts: list[Tensor] = []
    seconds: list[float] = []
    for _, (part, took) in in_batches(timed, len(pixels), device):
        parts.append(part)
        seconds.append(took)
        alive()
    return torch.cat(parts), 1e3 * median(seconds)


def _save(path: Path, **arrays: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
