"""The stages of a recipe, and how far a run has come in them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from trainables.network import Network
from trainables.recipe import STAGE1_LAYERS, Recipe

MOMENTUM = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A part of training with its own optimizer.

    The optimizer starts with empty moments and the schedule at step 0.
    """

    number: int  # 1 or 2
    first_epoch: int  # counted from 1
    epochs: int
    trainable_layers: int
    lr: float
    scheduler: str
    warmup_epochs: int

    @property
    def last_epoch(self) -> int:
        """Return the stage's last epoch."""
        return self.first_epoch + self.epochs - 1


@dataclass(frozen=True, slots=True)
class Progress:
    """A run's progress: epochs done, and the score as searcher and scheduler read it."""

    epoch: int = 0
    score: float = 0.0
    best_epoch: int = 0

    def after(self, stage: Stage, value: float, *, last_stage: bool) -> Progress:
        """Go on by one epoch.

        The score is the current value in stage 1, and the best since it began in the last stage.
        """
        epoch = self.epoch + 1
        if last_stage and epoch != stage.first_epoch and value <= self.score:
            return replace(self, epoch=epoch)
        return Progress(epoch, value, epoch)


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stages of a recipe in order.

    Stage 1 trains at most layer4 + fc, at a constant rate; the last has the recipe's schedule.
    """
    last = Stage(
        number=2,
        first_epoch=recipe.stage1_epochs + 1,
        epochs=recipe.epochs - recipe.stage1_epochs,
        trainable_layers=recipe.trainable_layers,
        lr=recipe.stage2_lr,
        scheduler=recipe.scheduler,
        warmup_epochs=recipe.warmup_epochs,
    )
    # Most recipes have that one alone.
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
    """Freeze what the stage does not train, and make its optimizer of the other parameters.

    AdamW is fused everywhere: on a CPU 13 ms for layer4 against 40, and 150 once its moments are
    denormal numbers. SGD is fused on a GPU only: on a CPU torch's plain loop takes 5 ms against 11.
    """
    network.freeze_all_but(stage.trainable_layers)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(
            parameters, lr=stage.lr, weight_decay=recipe.weight_decay, fused=True
        )
    return torch.optim.SGD(
        parameters,
        lr=stage.lr,
        momentum=MOMENTUM,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=parameters[0].is_cuda,
    )
