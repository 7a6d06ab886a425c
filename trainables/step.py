"""One batch: an optimizer step, in micro-batches where memory is short, or an evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables import metrics as names
from trainables.class_scores import class_scores
from trainables.data.augment import plain_view
from trainables.data.dataset import Split
from trainables.frozen_features import Activations
from trainables.network import Model, Network, Tail
from trainables.rows import Rows

EVAL_BATCH_SIZE = {"cpu": 256, "cuda": 2048}
# From 2, an odd batch leaves a piece of 1, on which BatchNorm raises at 1x1 positions.
SMALLEST_MICRO_BATCH = 4

Evaluated = TypeVar("Evaluated")


class Pixels:
    """A split's images and labels where the device can index them."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self.device = device
        self.labels = torch.tensor(split.labels, device=device)
        self._images = Rows(split.images, device)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, samples: Tensor) -> Tensor:
        """Return the images of these samples (int64 `[B]`, on the CPU).

        They are uint8, `[B, S, S, 3]`, on the device.
        """
        return self._images.take(samples)


def train_batch(
    network: Model, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Take one optimizer step.

    Where a GPU's memory does not hold the batch, it goes through in micro-batches of half the size,
    and so on for the rest of the trial: the gradient is the same mean over the batch; BatchNorm's
    statistics are then those of a micro-batch.

    Args:
        network: In the mode of its stage. Its `micro_batch` is read, and set where memory was
            short.
        optimizer: Of the stage.
        images: Views in [0, 1], `[B, 3, H, W]`; for a `Tail`, activations at its cut.
        targets: Class probabilities, `[B, classes]`; times its weight where an image has one.

    Returns:
        Logits `[B, classes]` and the mean loss, detached.

    Raises:
        torch.OutOfMemoryError: Not even the smallest micro-batch fits.
    """
    while True:
        try:
            logits, loss = _gradients(network, optimizer, images, targets)
            break
        except torch.OutOfMemoryError:
            size = (network.micro_batch or len(images)) // 2
            if size < SMALLEST_MICRO_BATCH:
                raise
        network.micro_batch = size
        torch.cuda.empty_cache()
    optimizer.step()
    return logits, loss


def _gradients(
    network: Model, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    optimizer.zero_grad(set_to_none=True)
    # Whole.
    if not network.micro_batch or network.micro_batch >= len(images):
        logits = network.logits(images)
        loss = F.cross_entropy(logits, targets)
        loss.backward()
        return logits.detach(), loss.detach()
    # In micro-batches of about the same size, whose gradients add up to the batch's.
    parts: list[Tensor] = []
    total = torch.zeros((), device=images.device)
    count = math.ceil(len(images) / network.micro_batch)
    pairs = zip(images.tensor_split(count), targets.tensor_split(count), strict=True)
    for inputs, wanted in pairs:
        logits = network.logits(inputs)
        loss = F.cross_entropy(logits, wanted, reduction="sum") / len(images)
        loss.backward()
        parts.append(logits.detach())
        total += loss.detach()
    return torch.cat(parts), total


@torch.inference_mode()
def evaluate(
    network: Network,
    split: Split,
    image_size: int,
    device: torch.device,
    stored: Activations | None = None,
) -> dict[str, float]:
    """Evaluate a network on the validation images.

    Args:
        network: Put into eval mode here.
        split: The images.
        image_size: Pixels per side of a view.
        device: Where.
        stored: The images' activations at the network's cut, where they are stored.

    Returns:
        Accuracy, balanced accuracy, macro F1 and log loss (natural logarithm, mean over images).
    """
    network.eval()
    # From pixels, or from activations.
    if stored is None:
        pixels = Pixels(split, device)

        def logits_of(samples: Tensor) -> Tensor:
            return evaluate_batch(network, plain_view(pixels.take(samples), image_size))

    else:

        def logits_of(samples: Tensor) -> Tensor:
            return evaluate_batch(Tail(network), stored.take(samples))

    # Sums stay on the device until the end: to read one waits for the batch.
    labels = torch.tensor(split.labels, device=device)
    loss_sum = torch.zeros((), device=device)
    predicted = torch.empty_like(labels)
    for batch, logits in in_batches(logits_of, len(labels), device):
        loss_sum += F.cross_entropy(logits, labels[batch], reduction="sum")
        predicted[batch] = logits.argmax(1)
    scores = class_scores(labels, predicted, network.num_classes)
    return {
        names.VAL_LOSS: loss_sum.item() / len(labels),
        names.VAL_ACCURACY: scores.accuracy,
        names.VAL_BALANCED_ACCURACY: scores.balanced_accuracy,
        names.VAL_MACRO_F1: scores.macro_f1,
    }


def in_batches(
    evaluate: Callable[[Tensor], Evaluated], images: int, device: torch.device
) -> Iterator[tuple[slice, Evaluated]]:
    """Call a function on all images of a split, in order, a batch at a time.

    Where a GPU's memory does not hold a batch, it goes through in batches of half the size, as do
    those after it.

    Args:
        evaluate: Takes the numbers of a batch's images, int64 `[B]`, on the CPU.
        images: Of the split.
        device: Where; it decides the size of the first batch.

    Yields:
        The batch's images, as a slice of the split, and what the function returned for them.

    Raises:
        torch.OutOfMemoryError: Not even one image fits.
    """
    size = EVAL_BATCH_SIZE[device.type]
    done = 0
    while done < images:
        batch = slice(done, min(done + size, images))
        try:
            evaluated = evaluate(torch.arange(batch.start, batch.stop))
        except torch.OutOfMemoryError:
            if size == 1:
                raise
        else:
            yield batch, evaluated
            done = batch.stop
            continue
        # Here, where the error no longer holds the batch that failed.
        size //= 2
        torch.cuda.empty_cache()


@torch.inference_mode()
def evaluate_batch(network: Model, images: Tensor) -> Tensor:
    """Return logits `[B, classes]` of views in [0, 1], `[B, 3, H, W]`.

    For a `Tail` the images are activations at its cut.
    """
    return network.logits(images)
