"""The training of one recipe, in one or two stages. It knows nothing of tuning: it gets a `report` callable."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables import checkpoint
from trainables import metrics as names
from trainables import weights as pretrained
from trainables.backbones import build
from trainables.compute import Compute
from trainables.convolution import install
from trainables.data.augment import view
from trainables.data.dataset import Dataset
from trainables.metrics import VAL_SCORES, Score
from trainables.network import Network, Tail
from trainables.prefix import Prefix, Shared
from trainables.randomness import named_seed
from trainables.recipe import LAYER_GROUPS, Recipe
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
    """Train a recipe and report each epoch; continue from the newest checkpoint where `checkpoints` holds one.

    Args:
        recipe: What to train.
        data: Its `train` and `val` splits are read, `test` never.
        device: Where.
        report: Called after the checkpoint is on disk; a run that is continued begins by repeating its last report.
        weights: What the backbone starts from.
        checkpoints: The run's own folder for its checkpoints; None keeps none.
        compute: Precision and kernels.
        shared: Where activations of frozen layers are shared with other trials. The numbers are the same without it.
        report_every: Seconds between reports where epochs are shorter; 0 reports each epoch.
        score: What decides which epoch is best.

    Raises:
        DivergedError: The loss is no longer finite; the trial cannot recover. The epochs before it are reported.
        WeightsError: The weights cannot be read or do not fit the backbone.
        CheckpointError: `checkpoints` holds a run of another recipe, or from other weights.
        OSError: A checkpoint cannot be written; those before it are whole.
    """
    network = build(recipe, len(data.classes))
    if weights.path:
        pretrained.load(network, weights.path, recipe.backbone)
    network.to(device).to(memory_format=torch.channels_last)  # what oneDNN and tensor cores want
    network.precision = compute.precision
    prefix = (
        Prefix(shared, network, recipe, data, weights, device)
        if shared and recipe.batchnorm == "frozen"
        else None
    )
    record = Record(report, checkpoints, recipe, weights.digest, data.classes, report_every)
    plan = stages(recipe)
    progress, saved = Progress(), _saved(checkpoints, recipe, weights) if checkpoints else None
    if saved:
        progress = Progress(*saved["progress"])
        network.load_torchvision_state_dict(saved["state_dict"], with_head=True)
        report(
            saved["report"]
        )  # again: the process may have died between the checkpoint and its report
    optimizer: torch.optim.Optimizer | None = None
    train, val = Pixels(data.split("train"), device), data.split("val")
    while progress.epoch < recipe.epochs:
        epoch = progress.epoch + 1
        stage = next(stage for stage in plan if epoch <= stage.last_epoch)
        if optimizer is None or epoch == stage.first_epoch:
            for name in LAYER_GROUPS[-stage.trainable_layers :]:
                install(network.get_submodule(name), compute.convolutions)
            optimizer = start_stage(recipe, network, stage)
        if saved and epoch != stage.first_epoch:
            optimizer.load_state_dict(saved["optimizer"])
        saved = None
        started = time.perf_counter()
        try:
            metrics = train_epoch(recipe, network, optimizer, stage, train, prefix, epoch=epoch)
            train_seconds = time.perf_counter() - started
            metrics |= evaluate(
                network, val, recipe.image_size, device, prefix.val() if prefix else None
            )
            _stop_if_diverged(metrics[names.VAL_LOSS], epoch)
        except Exception:  # whatever it is, the epochs before it are done
            record.flush(progress, None, None)
            raise
        progress = progress.after(stage, metrics[VAL_SCORES[score]], last_stage=stage is plan[-1])
        metrics[names.EPOCH_SECONDS] = time.perf_counter() - started
        metrics[names.IMAGES_PER_SECOND] = len(train) / train_seconds
        if network.micro_batch:
            metrics[names.MICRO_BATCH] = network.micro_batch
        record.add(
            {names.EPOCH: epoch, names.SCORE: progress.score, **metrics},
            progress,
            network,
            optimizer,
        )


def train_epoch(
    recipe: Recipe,
    network: Network,
    optimizer: torch.optim.Optimizer,
    stage: Stage,
    train: Pixels,
    prefix: Prefix | None,
    *,
    epoch: int,
) -> dict[str, float]:
    """One pass over the training images; loss and accuracy are those seen while training.

    Raises:
        DivergedError: A loss is not finite.
    """
    network.train_groups(stage.trainable_layers, batch_stats=recipe.batchnorm == "batch_stats")
    stored = prefix.train(epoch, stage.last_epoch) if prefix else None
    model = Tail(network) if stored else network
    order = batches(len(train), recipe.batch_size, seed=recipe.seed, epoch=epoch)
    rates = _rates(stage, epoch, len(order))
    balanced = recipe.class_weights == "balanced"
    weights = class_weights(train.labels, network.num_classes) if balanced else None
    loss_sum, correct = torch.zeros((), device=train.device), torch.zeros((), device=train.device)
    for number, (samples, rate) in enumerate(zip(order, rates, strict=True)):
        for group in optimizer.param_groups:
            group["lr"] = rate
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
        logits, loss = train_batch(model, optimizer, inputs, targets)
        if (
            train.device.type == "cpu"
        ):  # on a GPU this would wait for the step: there the epoch's sum tells
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
    """The epoch's batches of sample numbers in their seeded order; a remainder of one joins the batch before it.

    BatchNorm in train mode raises on a batch of one at 1x1 positions (layer4 at 32 px).
    """
    generator = torch.Generator().manual_seed(named_seed(seed, "order", epoch))
    chunks = list(torch.randperm(num_samples, generator=generator).split(batch_size))
    if len(chunks) > 1 and len(chunks[-1]) == 1:
        chunks[-2:] = [torch.cat(chunks[-2:])]
    return tuple(chunks)


def _saved(checkpoints: Path, recipe: Recipe, weights: Weights) -> dict[str, Any] | None:
    """What to continue from; nothing where the best checkpoint is damaged: the score would be one that no file reaches."""
    saved = checkpoint.load_last(checkpoints, recipe=recipe, weights=weights.digest)
    if (
        saved
        and checkpoint.best(checkpoints, since=Progress(*saved["progress"]).best_epoch) is None
    ):
        checkpoint.drop_last(checkpoints)
        return None
    return saved


def _rates(stage: Stage, epoch: int, steps: int) -> list[float]:
    """The learning rate of each step of an epoch."""
    first, total, warmup = (
        (epoch - stage.first_epoch) * steps,
        stage.epochs * steps,
        stage.warmup_epochs * steps,
    )
    return [
        stage.lr * lr_factor(stage.scheduler, step, total, warmup)
        for step in range(first, first + steps)
    ]


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
