"""The images that a sweep was scored on, as the cache still has them, with their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sweeps.records.results import seed_number
from sweeps.report.runs import Run
from trainables.data import dataset


@dataclass(frozen=True, slots=True)
class Decoded:
    """A split's images.

    Attributes:
        names: One per image, such as `train/cat/1.jpg`; where they are not known `test image 12`,
            counted from 0, or `val image 12 of draw 3`.
        images: uint8 [N, S, S, 3]; None where the cache no longer has them.
        named: Whether the names are the user's own.
    """

    names: Sequence[str]
    images: NDArray[np.uint8] | None
    named: bool = False


def draw_of(run: Run, trial_id: str) -> int | None:
    """Return the draw whose train and val images a finalist had, by the number of its seed.

    None is the images of the search, which all have in a sweep without draws.
    """
    if not run.history.draws and run.text("options", "draws") != "new":
        return None
    return seed_number(trial_id)


def decoded(
    run: Run,
    split: Literal["val", "test"],
    labels: NDArray[np.int64],
    draw: int | None = None,
) -> Decoded:
    """Return a split as it is in the cache, if that holds the images of these labels.

    Args:
        run: The sweep.
        split: Which one; test is the same in all draws.
        labels: [N], the classes that its images are given.
        draw: Whose split it is, as `draw_of` has it.
    """
    unnamed = [f"{split} image {at}" for at in range(len(labels))]
    if draw is not None:
        unnamed = [f"{name} of draw {draw}" for name in unnamed]
    try:
        data = _entry(run, draw)
        kept = data.split(split)
        names = data.names(split)
    except (dataset.DataError, OSError, ValueError, KeyError, TypeError):
        return Decoded(unnamed, None)
    # Another set may lie there by now: the labels tell it from the sweep's.
    shape: tuple[Any, ...] = kept.images.shape
    fits = len(shape) == 4 and shape[0] == len(labels) and shape[3] == 3
    if not fits or not np.array_equal(kept.labels, labels):
        return Decoded(unnamed, None)
    if len(names) != len(labels):
        return Decoded(unnamed, kept.images)
    return Decoded(names, kept.images, named=True)


def named_classes(run: Run, at_least: int) -> list[str]:
    """Return the classes' names; their numbers where the sweep does not say."""
    listed = run.part("data").get("classes")
    names: list[str] = []
    if isinstance(listed, list):
        names += map(str, listed)
    return [*names, *(f"class {at}" for at in range(len(names), at_least))]


def _entry(run: Run, draw: int | None) -> dataset.Dataset:
    """Return the data of the search, or those of a draw.

    Raises:
        DataError: The cache no longer has them.
        KeyError: The journal does not say where the draw is.
    """
    if draw is None:
        return dataset.read(Path(run.text("data", "path")), test=True)
    told = run.history.draws[str(draw)]
    data = dataset.read(Path(told["path"]), test=True)
    # Other images may well have the same labels in the same order.
    if data.digest != told["digest"]:
        raise dataset.DataError([f"{data.path} must hold draw {draw}, but holds other images."])
    return data
