"""What a source of images says of itself, and what its pixels can be asked for: the words all sources share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")

Rows = npt.NDArray[np.int64]  # [N] numbers of images, or their labels
Images = npt.NDArray[np.uint8]  # [N, H, W, 3], greyscale [N, H, W]


class Pixels(Protocol):
    """The images of a source; row numbers count through its parts in the listing's order."""

    @property
    def sides(self) -> Rows:
        """The shorter side of every image in pixels, [M]; 0 where it cannot be read."""

    def squares(self, rows: Rows, side: int) -> tuple[Images, list[str]]:
        """The centre squares of some images, uint8 [N, side, side, 3], and a problem for each that does not decode."""

    def names(self, rows: Rows) -> list[str]:
        """What the user calls some images: "train/cat/1.jpg", "x_test[12]"."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Classes and labels of a source, before any image is decoded.

    Attributes:
        classes: Their names; a label is an index into them.
        labels: int64 [N] of each part that the user gives. `train` is always there, and alone means a flat set.
        places: What the user calls each part ("flowers/val", "x.npz: y_val"), for messages.
        notes: Lines to show.
        problems: Lines that forbid using the source.
    """

    classes: tuple[str, ...]
    labels: Mapping[SplitName, Rows]
    places: Mapping[SplitName, str]
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set that was found but not decoded.

    Attributes:
        name: A name that MLflow takes in a model's name.
        identity: Plain values that change whenever the content does; the cache key is made of them.
        preview: The listing without decoding, downloading or writing anything.
        load: The listing and the pixels; may download.
    """

    name: str
    identity: Sequence[Any]
    preview: Callable[[], Listing]
    load: Callable[[], tuple[Listing, Pixels]]


def plain_name(name: str) -> str:
    """A name without the characters that MLflow refuses in a model's name ("/", ":" and others)."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data"
