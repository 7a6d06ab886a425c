"""The images that a sweep was scored on, as the cache still has them, with their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sweeps.report.runs import Run
from trainables.data import dataset


@dataclass(frozen=True, slots=True)
class Decoded:
    """A split's images.

    Attributes:
        names: One per image, such as `train/cat/1.jpg`; `test image 12`, counted from 0, where they
            are not known.
        images: uint8 [N, S, S, 3]; None where the cache no longer has them.
    """

    names: Sequence[str]
    images: NDArray[np.uint8] | None


def decoded(run: Run, split: Literal["val", "test"], labels: NDArray[np.int64]) -> Decoded:
    """Return a split as it is in the cache, if that holds the images of these labels."""
    unnamed = [f"{split} image {at}" for at in range(len(labels))]
    try:
        data = dataset.read(Path(run.text("data", "path")), test=True)
        kept = data.split(split)
        names = data.names(split)
    except (dataset.DataError, OSError, ValueError, KeyError, TypeError):
        return Decoded(unnamed, None)
    # Another set may lie there by now: the labels tell it from the sweep's.
    shape: tuple[Any, ...] = kept.images.shape
    fits = len(shape) == 4 and shape[0] == len(labels) and shape[3] == 3
    if not fits or not np.array_equal(kept.labels, labels):
        return Decoded(unnamed, None)
    return Decoded(names if len(names) == len(labels) else unnamed, kept.images)


def named_classes(run: Run, at_least: int) -> list[str]:
    """Return the classes' names; their numbers where the sweep does not say."""
    listed = run.part("data").get("classes")
    names: list[str] = []
    if isinstance(listed, list):
        names += map(str, listed)
    return [*names, *(f"class {at}" for at in range(len(names), at_least))]
