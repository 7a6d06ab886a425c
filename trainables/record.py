"""What a run leaves on the way: reports and checkpoints.

They come once per epoch or, where epochs are short, once in a while.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from trainables import checkpoint
from trainables.metrics import HISTORY
from trainables.network import Network
from trainables.recipe import LAYER_GROUPS, Recipe
from trainables.stages import Progress


class Report(Protocol):
    """Called with `epoch`, `score` and the metrics named in `trainables.recipe`.

    Where several epochs have passed since the last call, `history` holds what each of them would
    have reported, in order.
    """

    def __call__(self, metrics: dict[str, Any]) -> None:
        """Take in an epoch, or several."""


class Record:
    """A writer of epochs when it is time: first their checkpoints, then a report.

    Args:
        report: Gets the metrics.
        folder: For checkpoints; None keeps none.
        recipe: Of the run.
        weights_digest: Of the weights that it began with.
        classes: Names of the classes.
        every: Seconds from one report to the next; 0 reports each epoch. The recipe's last epoch is
            always reported.
    """

    def __init__(
        self,
        report: Report,
        folder: Path | None,
        recipe: Recipe,
        weights_digest: str,
        classes: Sequence[str],
        every: float,
    ) -> None:
        self._report = report
        self._folder = folder
        self._recipe = recipe
        self._weights_digest = weights_digest
        self._classes = classes
        self._every = every
        self._pending: list[dict[str, Any]] = []
        self._best: _Snapshot | Network | None = None
        self._last = time.monotonic()

    def add(
        self,
        metrics: dict[str, Any],
        progress: Progress,
        network: Network,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """Take in an epoch that is done."""
        # The last epoch is always due.
        self._pending.append(metrics)
        due = time.monotonic() - self._last >= self._every or progress.epoch == self._recipe.epochs
        # The best network so far is kept until it is written: training goes on with it.
        if self._folder and progress.best_epoch == progress.epoch:
            self._best = network if due else _Snapshot(network, self._recipe)
        if due:
            self.flush(progress, network, optimizer)

    def flush(
        self, progress: Progress, network: Network | None, optimizer: torch.optim.Optimizer | None
    ) -> None:
        """Write down what is pending.

        Without a network, whose values may be ruined, there is no new `last`.
        """
        if not self._pending:
            return
        report = dict(self._pending[-1])
        if len(self._pending) > 1:
            report[HISTORY] = self._pending
        # The checkpoints first: what is reported can be continued from.
        if self._folder and self._best:
            checkpoint.save_best(
                self._folder,
                self._best,
                self._recipe,
                self._classes,
                epoch=progress.best_epoch,
                score=progress.score,
            )
        if self._folder and network and optimizer:
            state = {
                "recipe": self._recipe.as_dict(),
                "weights": self._weights_digest,
                "progress": [progress.epoch, progress.score, progress.best_epoch],
                "state_dict": network.torchvision_state_dict(),
                "optimizer": optimizer.state_dict(),
                "report": report,
            }
            checkpoint.save_last(self._folder, progress.epoch, state)
        self._pending = []
        self._best = None
        self._report(report)
        self._last = time.monotonic()


class _Snapshot:
    """A network's state at an epoch.

    What a stage of the recipe may move is copied, the rest is shared.
    """

    def __init__(self, network: Network, recipe: Recipe) -> None:
        moving = LAYER_GROUPS[-recipe.trainable_layers :]
        if recipe.batchnorm == "batch_stats":
            moving = LAYER_GROUPS
        # By identity: torchvision's names are others than the network's own.
        moved: set[int] = set()
        for name in moving:
            moved |= set(map(id, network.get_submodule(name).state_dict(keep_vars=True).values()))
        self._state = network.torchvision_state_dict(keep_vars=True)
        for name, tensor in self._state.items():
            if id(tensor) in moved:
                self._state[name] = tensor.detach().clone()

    def torchvision_state_dict(self) -> dict[str, Tensor]:
        """Return it as the network's own does."""
        return self._state
