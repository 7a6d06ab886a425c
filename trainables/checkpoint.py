"""Two files a trial: `best.pt`, what a user ships, and `last.pt`, what a restarted trial continues from. Written atomically."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from trainables.backbones import build
from trainables.data.augment import MEAN, STD
from trainables.network import Network
from trainables.recipe import Recipe

BEST = "best.pt"
LAST = "last.pt"


class Stateful(Protocol):
    """A network, or its state at an earlier epoch."""

    def torchvision_state_dict(self) -> dict[str, Tensor]:
        """All parameters and buffers under torchvision's names."""


def save_best(folder: Path, network: Stateful, recipe: Recipe, classes: Sequence[str], *, epoch: int, score: float) -> None:
    """Write `best.pt`: the state dict under torchvision's names, recipe, classes and preprocessing, all plain values."""
    preprocessing = {
        "input": "uint8 RGB [N, H, W, 3]",
        "steps": "centre square, antialiased bilinear resize, divide by 255, subtract mean, divide by std",
        "image_size": recipe.image_size,
        "mean": list(MEAN),
        "std": list(STD),
    }
    _write(
        folder / BEST,
        {
            "state_dict": network.torchvision_state_dict(),
            "recipe": recipe.as_dict(),
            "classes": list(classes),
            "preprocessing": preprocessing,
            "epoch": epoch,
            "score": score,
        },
    )


def load_best(path: Path) -> tuple[Network, Recipe, tuple[str, ...]]:
    """The network of a `best.pt`, on the CPU and in eval mode, with its recipe and its classes."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    recipe = Recipe.from_sample(saved["recipe"])
    network = build(recipe, len(saved["classes"]))
    network.load_torchvision_state_dict(saved["state_dict"], with_head=True)
    return network.eval(), recipe, tuple(saved["classes"])


def save_last(folder: Path, state: dict[str, Any]) -> None:
    """Write `last.pt`: tensors and plain values only."""
    _write(folder / LAST, state)


def load_last(folder: Path) -> dict[str, Any] | None:
    """What `save_last` wrote, or None where the trial has none yet."""
    path = folder / LAST
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(content, temporary)
    temporary.replace(path)
