"""The training of one recipe, in one or two stages.

It knows nothing of tuning: it gets a `report` callable.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables import checkpoint, image_passes
from trainables import metrics as names
from trainables import weights as pretrained
from trainables.backbones import build
from trainables.compute import Compute
from trainables.data.augment import view
from trainables.data.dataset import Dataset
from trainables.frozen_features import FrozenFeatures, Shared
from trainables.metrics import VAL_SCORES, Score
from trainables.network import Network, Tail
from trainables.randomness import named_seed
from trainables.recipe import Recipe
from trainables.record import Record, Report
from trainables.stages import Progress, Stage, stages, start_stage
from trainables.step import Pixels, evaluate, train_batch
from trainables.tricks.class_weights import class_weights, weigh
from trainables.tricks.label_smoothing import smooth_targets
from trainables.tricks.mixup import mixup
from trainables.tricks.schedules import lr_factor
from trainables.weights import RANDOM, Weights

PLAIN = Compute()


class DivergedError(ArithmeticError):
    """The loss became NaN or infinite in `epoch`."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the loss is not finite in epoch {epoch}")
        self.epoch = epoch


def finetune(
    recipe: Recipe,
    data: Dataset,
    device: torch.device,
    report: Report,
    *,
    weights: Weights = RANDOM,
    checkpoints: Path | None = None,
    compute: Compute = PLAIN,
    shared: Shared | None = None,
    report_every: float = 0.0,
    score: Score = "accuracy",
) -> None:
    """Train a recipe and report each epoch.

    Where `checkpoints` holds a checkpoint, training continues from the newest one.

    Args:
        recipe: What to train.
        data: Its `train` and `val` splits are read, `test` never.
        device: Where.
        report: Called after the checkpoint is on disk; a run that is continued begins by repeating
            its last report.
        weights: What the backbone starts from.
        checkpoints: The run's own folder for its checkpoints; None keeps none.
        compute: Precision and kernels.
        shared: Where activations of frozen layers are shared with other trials. The numbers are the
            same without it.
        report_every: Seconds between reports where epochs are shorter; 0 reports each epoch.
        score: What decides which epoch is best.

    Raises:
        DivergedError: The loss is no longer finite; the trial cannot recover. The epochs before it
            are reported.
        WeightsError: The weights cannot be read or do not fit the backbone.
        CheckpointError: `checkpoints` holds a run of another recipe, or from other weights.
        OSError: A checkpoint cannot be written; those before it are whole.
    """
    network = build(recipe, len(data.classes))
    if weights.path:
        pretrained.load(network, weights.path, recipe.backbone)
    network.to(device).to(memory_format=torch.channels_last)  # what oneDNN and tensor cores want
    compute.install(network)
    features: FrozenFeatures | None = None
    if shared and recipe.batchnorm == "frozen":
        features = FrozenFeatures(shared, network, recipe, data, weights, device)
    record = Record(report, checkpoints, recipe, weights.digest, data.classes, report_every)
    train = Pixels(data.split("train"), device)
    val = data.split("val")

    # Resume.
    progress = Progress()
    saved = _saved(checkpoints, recipe, weights) if checkpoints else None
    if saved:
        progress = Progress(*saved["progress"])
        network.load_torchvision_state_dict(saved["state_dict"], with_head=True)
        # Again: the process may have died between the checkpoint and its report.
        report(saved["report"])

    stage_plan = stages(recipe)
    optimizer: torch.optim.Optimizer | None = None
    while progress.epoch < recipe.epochs:
        epoch = progress.epoch + 1
        stage = next(stage for stage in stage_plan if epoch <= stage.last_epoch)

        # A stage begins, or is taken up again.
        if optimizer is None or epoch == stage.first_epoch:
            optimizer = start_stage(recipe, network, stage)
        if saved and epoch != stage.first_epoch:
            optimizer.load_state_dict(saved["optimizer"])
        saved = None

        # An epoch.
        started = time.perf_counter()
        try:
            metrics = train_epoch(recipe, network, optimizer, stage, train, features, epoch=epoch)
            train_seconds = time.perf_counter() - started
            stored = features.val() if features else None
            metrics |= evaluate(network, val, recipe.image_size, device, stored)
            _stop_if_diverged(metrics[names.VAL_LOSS], epoch)
        except Exception:  # whatever it is, the epochs before it are done
            record.flush(progress, None, None)
            raise
        last_stage = stage is stage_plan[-1]
        progress = progress.after(stage, metrics[VAL_SCORES[score]], last_stage=last_stage)
        metrics[names.EPOCH_PASSES] = image_passes.of_epoch(len(train), len(val.labels))
        metrics[names.EPOCH_SECONDS] = time.perf_counter() - started
        metrics[names.IMAGES_PER_SECOND] = len(train) / train_seconds
        if network.micro_batch:
            metrics[names.MICRO_BATCH] = network.micro_batch
        metrics = {names.EPOCH: epoch, names.SCORE: progress.score, **metrics}
        record.add(metrics, progress, network, optimizer)


def train_epoch(
    recipe: Recipe,
    network: Network,
    optimizer: torch.optim.Optimizer,
    stage: Stage,
    train: Pixels,
    features: FrozenFeatures | None,
    *,
    epoch: int,
) -> dict[str, float]:
    """Pass once over the training images.

    Returns:
        Loss and accuracy, as seen while training, the stage and its learning rate.

    Raises:
        DivergedError: A loss is not finite.
    """
    network.train_groups(stage.trainable_layers, batch_stats=recipe.batchnorm == "batch_stats")
    stored = features.train(epoch, stage.last_epoch) if features else None
    model = Tail(network) if stored else network
    order = batches(len(train), recipe.batch_size, seed=recipe.seed, epoch=epoch)
    rates = _rates(stage, epoch, len(order))
    weights: Tensor | None = None
    if recipe.class_weights == "balanced":
        weights = class_weights(train.labels, network.num_classes)
    loss_sum = torch.zeros((), device=train.device)
    correct = torch.zeros((), device=train.device)
    for number, (samples, rate) in enumerate(zip(order, rates, strict=True)):
        for group in optimizer.param_groups:
            group["lr"] = rate
        # The batch: activations, or views of its images, [B, C, H, W], and targets, [B, classes].
        labels = train.labels[samples.to(train.device, non_blocking=True)]
        targets = smooth_targets(labels, network.num_classes, recipe.label_smoothing)
        if stored:
            inputs = stored.take(samples)
        else:
            inputs = _views(recipe, train, samples, epoch)
            inputs, targets = mixup(
                inputs, targets, alpha=recipe.mixup, seed=recipe.seed, epoch=epoch, batch=number
            )
        if weights is not None:
            targets = weigh(targets, weights, smoothing=recipe.label_smoothing)
        # The step.
        logits, loss = train_batch(model, optimizer, inputs, targets)
        # On a GPU this would wait for the step: there the epoch's sum tells.
        if train.device.type == "cpu":
            _stop_if_diverged(loss.item(), epoch)
        loss_sum += loss * len(labels)
        correct += (logits.argmax(1) == labels).sum()
    _stop_if_diverged(loss_sum.item(), epoch)
    return {
        names.TRAIN_LOSS: loss_sum.item() / len(train),
        names.TRAIN_ACCURACY: correct.item() / len(train),
        names.LR: rates[0],
        names.STAGE: stage.number,
    }


def batches(num_samples: int, batch_size: int, *, seed: int, epoch: int) -> tuple[Tensor, ...]:
    """Return the epoch's batches of sample numbers in their seeded order.

    A remainder of one joins the batch before it: BatchNorm in train mode raises on a batch of one
    at 1x1 positions (layer4 at 32 px).
    """
    generator = torch.Generator().manual_seed(named_seed(seed, "order", epoch))
    chunks = list(torch.randperm(num_samples, generator=generator).split(batch_size))
    if len(chunks) > 1 and len(chunks[-1]) == 1:
        chunks[-2:] = [torch.cat(chunks[-2:])]
    return tuple(chunks)


def _saved(checkpoints: Path, recipe: Recipe, weights: Weights) -> dict[str, Any] | None:
    """Return what to continue from.

    There is nothing where the best checkpoint is damaged: the score would be one that no file
    reaches.
    """
    saved = checkpoint.load_last(checkpoints, recipe=recipe, weights_digest=weights.digest)
    if saved is None:
        return None
    best_epoch = Progress(*saved["progress"]).best_epoch
    if checkpoint.best(checkpoints, since=best_epoch) is None:
        checkpoint.drop_last(checkpoints)
        return None
    return saved


def _rates(stage: Stage, epoch: int, steps: int) -> list[float]:
    """Return the learning rate of each step of an epoch."""
    first = (epoch - stage.first_epoch) * steps
    total = stage.epochs * steps
    warmup = stage.warmup_epochs * steps
    numbers = range(first, first + steps)
    return [stage.lr * lr_factor(stage.scheduler, step, total, warmup) for step in numbers]


def _views(recipe: Recipe, train: Pixels, samples: Tensor, epoch: int) -> Tensor:
    return view(
        train.take(samples),
        samples.to(train.device, non_blocking=True),
        augmentation=recipe.augmentation,
        image_size=recipe.image_size,
        seed=recipe.seed,
        epoch=epoch,
    )


def _stop_if_diverged(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise DivergedError(epoch)
