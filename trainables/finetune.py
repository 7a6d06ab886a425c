"""The training of one recipe, in one or two stages. It knows nothing of tuning: it gets a `report` callable."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables import checkpoint
from trainables import recipe as names
from trainables import weights as pretrained
from trainables.backbones import Network, build
from trainables.data.augment import normalise, plain_view, view
from trainables.data.dataset import Dataset, Split
from trainables.randomness import named_seed
from trainables.recipe import STAGE1_LAYERS, Recipe
from trainables.tricks.label_smoothing import smooth_targets
from trainables.tricks.mixup import mixup
from trainables.tricks.schedules import lr_factor

EVAL_BATCH_SIZE = 256
MOMENTUM = 0.9


class Report(Protocol):
    """Called after each epoch with `epoch`, `score` and the metrics named in `trainables.recipe`."""

    def __call__(self, metrics: dict[str, float]) -> None:
        """Take in an epoch."""


class DivergedError(ArithmeticError):
    """The loss became NaN or infinite in `epoch`."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the loss is not finite in epoch {epoch}")
        self.epoch = epoch


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A part of training with its own optimiser. The optimiser starts with empty moments and the schedule at step 0."""

    number: int  # 1 or 2
    first_epoch: int  # counted from 1
    epochs: int
    trainable_layers: int
    lr: float
    scheduler: str
    warmup_epochs: int

    @property
    def last_epoch(self) -> int:
        """The stage's last epoch."""
        return self.first_epoch + self.epochs - 1


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: epochs done, and the score as searcher and scheduler read it."""

    epoch: int = 0
    score: float = 0.0
    best_epoch: int = 0

    def after(self, stage: Stage, val_accuracy: float, *, last_stage: bool) -> Progress:
        """One epoch on: the current accuracy in stage 1, the running best since it began in the last stage."""
        epoch = self.epoch + 1
        keeps = last_stage and epoch != stage.first_epoch and val_accuracy <= self.score
        return replace(self, epoch=epoch) if keeps else Progress(epoch, val_accuracy, epoch)


def finetune(
    recipe: Recipe,
    data: Dataset,
    device: torch.device,
    report: Report,
    *,
    weights: Path | None = None,
    checkpoints: Path | None = None,
) -> None:
    """Train a recipe and report each epoch; continue from `last.pt` where `checkpoints` holds one.

    Args:
        recipe: What to train.
        data: Its `train` and `val` splits are read, `test` never.
        device: Where.
        report: Called once an epoch, after that epoch's checkpoint is on disk; a run that is continued begins by reporting
            the last epoch it had done once more.
        weights: State dict of the pretrained backbone; None starts from random values.
        checkpoints: Folder for `best.pt` and `last.pt`; None keeps none.

    Raises:
        DivergedError: The loss is no longer finite; the trial cannot recover.
        WeightsError: The weights cannot be read or do not fit the backbone.
    """
    network = build(recipe, len(data.classes))
    if weights is not None:
        pretrained.load(network, weights, recipe.backbone)
    network.to(device).to(memory_format=torch.channels_last)  # what oneDNN and tensor cores want
    plan = stages(recipe)
    progress, saved = Progress(), checkpoint.load_last(checkpoints) if checkpoints else None
    if saved:
        progress = Progress(*saved["progress"])
        network.load_torchvision_state_dict(saved["state_dict"], with_head=True)
        report(saved["report"])  # again: the process may have died between the checkpoint and its report
    optimizer: torch.optim.Optimizer | None = None
    train, val = data.split("train"), data.split("val")
    while progress.epoch < recipe.epochs:
        epoch = progress.epoch + 1
        stage = next(stage for stage in plan if epoch <= stage.last_epoch)
        if optimizer is None or epoch == stage.first_epoch:
            optimizer = start_stage(recipe, network, stage)
        if saved and epoch != stage.first_epoch:
            optimizer.load_state_dict(saved["optimizer"])
        saved = None
        started = time.perf_counter()
        metrics = train_epoch(recipe, network, optimizer, stage, train, epoch=epoch, device=device)
        train_seconds = time.perf_counter() - started
        _stop_if_diverged(metrics[names.TRAIN_LOSS], epoch)
        metrics |= evaluate(network, val, recipe.image_size, device)
        _stop_if_diverged(metrics[names.VAL_LOSS], epoch)
        progress = progress.after(stage, metrics[names.VAL_ACCURACY], last_stage=stage is plan[-1])
        metrics[names.EPOCH_SECONDS] = time.perf_counter() - started
        metrics[names.IMAGES_PER_SECOND] = len(train.labels) / train_seconds
        reported = {names.EPOCH: epoch, names.SCORE: progress.score, **metrics}
        if checkpoints:
            if progress.best_epoch == epoch:
                checkpoint.save_best(checkpoints, network, recipe, data.classes, epoch=epoch, score=progress.score)
            checkpoint.save_last(checkpoints, _state(progress, network, optimizer, reported))
        report(reported)


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages of a recipe in order. Stage 1: at most layer4 + fc, constant rate; the last stage: the recipe's schedule."""
    last = Stage(
        number=2,
        first_epoch=recipe.stage1_epochs + 1,
        epochs=recipe.epochs - recipe.stage1_epochs,
        trainable_layers=recipe.trainable_layers,
        lr=recipe.stage2_lr,
        scheduler=recipe.scheduler,
        warmup_epochs=recipe.warmup_epochs,
    )
    if recipe.stage1_epochs == 0:
        return (last,)
    first = Stage(
        number=1,
        first_epoch=1,
        epochs=recipe.stage1_epochs,
        trainable_layers=min(STAGE1_LAYERS, recipe.trainable_layers),
        lr=recipe.stage1_lr,
        scheduler="constant",
        warmup_epochs=0,
    )
    return (first, last)


def start_stage(recipe: Recipe, network: Network, stage: Stage) -> torch.optim.Optimizer:
    """Freeze what the stage does not train and make its optimiser, which sees trainable parameters only."""
    network.freeze_all_but(stage.trainable_layers)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=stage.lr, momentum=MOMENTUM, nesterov=recipe.nesterov, weight_decay=recipe.weight_decay
        )
    return torch.optim.AdamW(parameters, lr=stage.lr, weight_decay=recipe.weight_decay)


def train_epoch(
    recipe: Recipe,
    network: Network,
    optimizer: torch.optim.Optimizer,
    stage: Stage,
    split: Split,
    *,
    epoch: int,
    device: torch.device,
) -> dict[str, float]:
    """One pass over the training images; loss and accuracy are those seen while training."""
    network.train_groups(stage.trainable_layers, batch_stats=recipe.batchnorm == "batch_stats")
    order = batches(len(split.labels), recipe.batch_size, seed=recipe.seed, epoch=epoch)
    step, warmup_steps = (epoch - stage.first_epoch) * len(order), stage.warmup_epochs * len(order)
    first_lr = stage.lr * lr_factor(stage.scheduler, step, stage.epochs * len(order), warmup_steps)
    loss_sum, correct = torch.zeros((), device=device), torch.zeros((), device=device)
    for number, samples in enumerate(order):
        factor = lr_factor(stage.scheduler, step + number, stage.epochs * len(order), warmup_steps)
        for group in optimizer.param_groups:
            group["lr"] = stage.lr * factor
        images, labels = _to_device(split, samples, device)
        images = view(
            images,
            samples.to(device),
            augmentation=recipe.augmentation,
            image_size=recipe.image_size,
            seed=recipe.seed,
            epoch=epoch,
        )
        targets = smooth_targets(labels, network.num_classes, recipe.label_smoothing)
        images, targets = mixup(images, targets, alpha=recipe.mixup, seed=recipe.seed, epoch=epoch, batch=number)
        logits, loss = train_batch(network, optimizer, images, targets)
        if device.type == "cpu":  # on a GPU this would wait for the step: there the epoch's sum tells
            _stop_if_diverged(loss.item(), epoch)
        loss_sum += loss * len(labels)
        correct += (logits.argmax(1) == labels).sum()
    return {
        names.TRAIN_LOSS: loss_sum.item() / len(split.labels),
        names.TRAIN_ACCURACY: correct.item() / len(split.labels),
        names.LR: first_lr,
        names.STAGE: stage.number,
    }


def train_batch(network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """One optimiser step.

    Args:
        network: In the mode of its stage.
        optimizer: Of the stage.
        images: Views in [0, 1], `[B, 3, H, W]`.
        targets: Class probabilities, `[B, classes]`.

    Returns:
        Logits `[B, classes]` and the mean loss, detached.
    """
    logits = network(_channels_last(normalise(images)))
    loss = F.cross_entropy(logits, targets)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return logits.detach(), loss.detach()


@torch.inference_mode()
def evaluate(network: nn.Module, split: Split, image_size: int, device: torch.device) -> dict[str, float]:
    """Accuracy and log loss (natural logarithm, mean over images) on the validation images."""
    network.eval()
    loss_sum, correct = torch.zeros((), device=device), torch.zeros((), device=device)
    for samples in torch.arange(len(split.labels)).split(EVAL_BATCH_SIZE):
        images, labels = _to_device(split, samples, device)
        logits = evaluate_batch(network, plain_view(images, image_size))
        loss_sum += F.cross_entropy(logits, labels, reduction="sum")
        correct += (logits.argmax(1) == labels).sum()
    return {
        names.VAL_LOSS: loss_sum.item() / len(split.labels),
        names.VAL_ACCURACY: correct.item() / len(split.labels),
    }


@torch.inference_mode()
def evaluate_batch(network: nn.Module, images: Tensor) -> Tensor:
    """Logits `[B, classes]` of views in [0, 1], `[B, 3, H, W]`."""
    logits: Tensor = network(_channels_last(normalise(images)))
    return logits


def batches(num_samples: int, batch_size: int, *, seed: int, epoch: int) -> tuple[Tensor, ...]:
    """The epoch's batches of sample numbers in their seeded order; a remainder of one joins the batch before it.

    BatchNorm in train mode raises on a batch of one at 1x1 positions (layer4 at 32 px).
    """
    generator = torch.Generator().manual_seed(named_seed(seed, "order", epoch))
    chunks = list(torch.randperm(num_samples, generator=generator).split(batch_size))
    if len(chunks) > 1 and len(chunks[-1]) == 1:
        chunks[-2:] = [torch.cat(chunks[-2:])]
    return tuple(chunks)


def _stop_if_diverged(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise DivergedError(epoch)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _to_device(split: Split, samples: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    index = samples.numpy()
    return torch.from_numpy(split.images[index]).to(device), torch.from_numpy(split.labels[index]).to(device)


def _state(
    progress: Progress, network: Network, optimizer: torch.optim.Optimizer, reported: dict[str, float]
) -> dict[str, Any]:
    return {
        "progress": [progress.epoch, progress.score, progress.best_epoch],
        "state_dict": network.torchvision_state_dict(),
        "optimizer": optimizer.state_dict(),
        "report": reported,
    }
