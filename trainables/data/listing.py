"""A source of images: its classes, labels and pixels, in the words that all sources share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")

DECODE_SCALE = 1.25
"""A stored square's side over image_size, at most: room for random crops."""

Rows = npt.NDArray[np.int64]  # [N] numbers of images, or their labels
Images = npt.NDArray[np.uint8]  # [N, H, W, 3], greyscale [N, H, W]

Progress = Callable[[int, int], None]
"""Called with the number of images that are decoded, and of all that are to be."""


def silent(done: int, total: int) -> None:
    """Show no progress."""


class Pixels(Protocol):
    """The images of a source; row numbers count through its parts in the listing's order."""

    @property
    def sizes(self) -> Rows:
        """The shorter and the longer side of every image in pixels, [M, 2]; 0 if unreadable."""

    def squares(self, rows: Rows, side: int) -> tuple[Images, list[str]]:
        """Return the center squares of some images, and a problem for each that does not decode.

        The squares are uint8 [N, side, side, 3].
        """

    def names(self, rows: Rows) -> list[str]:
        """Return the user's names of some images: "train/cat/1.jpg", "x_test[12]"."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Classes and labels of a source, before any image is decoded.

    Attributes:
        classes: Their names; a label is an index into them.
        labels: int64 [N] of each part that the user gives. `train` is always there, and alone means
            a flat set.
        places: The user's name of each part ("flowers/val", "x.npz: y_val"), for messages.
        layout: What was recognized, in words.
        passed_over: What is not used: how many files and an example, by reason.
        groups: int64 [N] over all parts in their order: images of one number are not to be parted;
            None where each is alone.
        notes: Lines to show.
        cautions: Lines that a person must know before trusting a number.
        problems: Lines that forbid using the source.
    """

    classes: tuple[str, ...]
    labels: Mapping[SplitName, Rows]
    places: Mapping[SplitName, str]
    layout: str = ""
    passed_over: Mapping[str, str] = field(default_factory=dict)
    groups: Rows | None = None
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set that was found but not decoded.

    Attributes:
        name: A name that MLflow takes in a model's name.
        identity: Plain values that change whenever the content does; the cache key is made of them.
        preview: Returns the listing without decoding, downloading or writing anything.
        load: Returns the listing and the pixels; may download.
    """

    name: str
    identity: Sequence[Any]
    preview: Callable[[], Listing]
    load: Callable[[], tuple[Listing, Pixels]]


def plain_name(name: str) -> str:
    """Return a name without the characters that MLflow refuses in a model's ("/", ":", others)."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data"


def below(path: Path, root: Path) -> str:
    """Return a path as its owner knows it: below the given folder, or whole where it is elsewhere.

    By text, because `Path.relative_to` takes ten times as long, and there may be a million files.
    """
    return path.as_posix().removeprefix(f"{root.as_posix().rstrip('/')}/")
