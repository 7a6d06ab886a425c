"""A table of recorded runs: every epoch of each, and each test image at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search_spaces.space import Value
from trainables.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Table:
    """Runs of some recipes of each arm, over some seeds, each with its own draw of images.

    Attributes:
        arms: Their names.
        samples: By arm, what each of its recipes tunes; the first is the arm's default.
        recipes: By arm, the recipes whole; their seed is no run's.
        val: Share of the images of val that were right, [arms, recipes, seeds, epochs]; NaN from
            the epoch on in which a run diverged.
        right: Whether a run's best checkpoint is right on each test image,
            [arms, recipes, seeds, images]; never where it diverged before it had one.
        seconds: Of each run, [arms, recipes, seeds].
        images: Number of images by split.
        about: How it was made: command, machine, commit, data, weights.
    """

    arms: Sequence[str]
    samples: Mapping[str, Sequence[Mapping[str, Value]]]
    recipes: Mapping[str, Sequence[Recipe]]
    val: np.ndarray
    right: np.ndarray
    seconds: np.ndarray
    images: Mapping[str, int]
    about: Mapping[str, Any]

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return int(self.val.shape[2])

    @property
    def epochs(self) -> int:
        """Epochs of each run."""
        return int(self.val.shape[3])

    def save(self, path: Path) -> None:
        """Write it into one file."""
        said = {
            "arms": list(self.arms),
            "samples": self.samples,
            "recipes": {
                arm: [recipe.as_dict() for recipe in recipes]
                for arm, recipes in self.recipes.items()
            },
            "images": self.images,
            "about": self.about,
        }
        diverged = np.isnan(self.val)
        counts = np.rint(np.where(diverged, 0, self.val) * self.images["val"])
        np.savez_compressed(
            path,
            said=json.dumps(said),
            val=np.where(diverged, np.iinfo(np.uint16).max, counts).astype(np.uint16),
            right=np.packbits(self.right, axis=-1),
            seconds=self.seconds.astype(np.float32),
        )


def load(path: Path) -> Table:
    """Read a table."""
    with np.load(path, allow_pickle=False) as file:
        said = json.loads(str(file["said"]))
        counts = file["val"]
        val = np.where(counts == np.iinfo(np.uint16).max, np.nan, counts / said["images"]["val"])
        right = np.unpackbits(file["right"], axis=-1, count=said["images"]["test"]).astype(bool)
        seconds = file["seconds"]
    recipes = {
        arm: [Recipe.from_sample(recipe) for recipe in listed]
        for arm, listed in said["recipes"].items()
    }
    return Table(
        arms=said["arms"],
        samples=said["samples"],
        recipes=recipes,
        val=val,
        right=right,
        seconds=seconds,
        images=said["images"],
        about=said["about"],
    )
