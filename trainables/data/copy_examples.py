"""Copies of images to look at: some groups, those that matter most first, with small pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from trainables.data.leaks import Found
from trainables.data.listing import SPLITS, Listing, Rows, SplitName
from trainables.data.pool import Pool
from trainables.data.splits import Choice
from trainables.data.thumbnails import data_uri

COPIES = "copies.json"
GROUPS = 8  # that are shown
IMAGES = 4  # of a group that are shown


@dataclass(frozen=True, kw_only=True, slots=True)
class CopiedImage:
    """One image that has a copy.

    Attributes:
        name: Its owner's name for it.
        class_name: Its class.
        given: The part that it was given in.
        used: The split that it is in now; empty where it is left out.
        picture: A data URI.
    """

    name: str
    class_name: str
    given: SplitName
    used: str
    picture: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CopiedPicture:
    """One picture that is there more than once.

    Attributes:
        number: How many images are copies of each other.
        equal: Whether all have the same pixels.
        images: The first `IMAGES` of them, of each part and class one before a second.
    """

    number: int
    equal: bool
    images: tuple[CopiedImage, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyExamples:
    """All copies counted, and some of them.

    Attributes:
        groups: Pictures that are there more than once.
        images: Images that are one of these.
        examples: First those in several parts, then those under several classes, then the largest.
    """

    groups: int
    images: int
    examples: tuple[CopiedPicture, ...]

    def as_json(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `as_json` was made of, from its parsed text."""
        examples = []
        for example in values["examples"]:
            images = tuple(CopiedImage(**image) for image in example["images"])
            examples.append(CopiedPicture(**{**example, "images": images}))
        return cls(groups=values["groups"], images=values["images"], examples=tuple(examples))


def read_examples(entry: Path) -> CopyExamples:
    """Read what an entry of the cache has of copies.

    Raises:
        OSError: The entry is gone.
    """
    return CopyExamples.from_json(json.loads((entry / COPIES).read_bytes()))


def copy_examples(found: Found, listing: Listing, choice: Choice, pool: Pool) -> CopyExamples:
    """Choose the copies to show, while the images that are left out are still there."""
    # The images that have a copy: their groups, classes and parts.
    sizes = np.bincount(found.near)
    several = sizes[found.near] > 1
    rows = found.rows[several]
    group = found.near[several]
    exact = found.exact[several]
    of_parts = list(listing.labels.values())
    labels = np.concatenate(of_parts)[rows]
    parts = np.searchsorted(np.cumsum(list(map(len, of_parts))), rows, side="right")

    # The groups that matter most: in several parts, under several classes, large.
    torn = _differ(group, parts, len(sizes))
    mixed = _differ(group, labels, len(sizes))
    numbers = np.unique(group)
    order = np.lexsort((-sizes[numbers], ~mixed[numbers], ~torn[numbers]))

    # The split that each image is in now.
    used: dict[int, SplitName] = {}
    for split in SPLITS:
        inside = np.isin(rows, choice.rows[split])
        used.update(dict.fromkeys(rows[inside].tolist(), split))

    given = [split for split in SPLITS if split in listing.labels]
    examples = []
    for number in numbers[order[:GROUPS]].tolist():
        members = np.flatnonzero(group == number)
        shown = members[_one_of_each(parts[members], labels[members])][:IMAGES]
        names = pool.pixels.names(rows[shown])
        images = []
        for name, at in zip(names, shown.tolist(), strict=True):
            image = CopiedImage(
                name=name,
                class_name=listing.classes[labels[at]],
                given=given[parts[at]],
                used=used.get(int(rows[at]), ""),
                picture=data_uri(pool.images(rows[[at]])[0]),
            )
            images.append(image)
        equal = len(np.unique(exact[members])) == 1
        examples.append(CopiedPicture(number=len(members), equal=equal, images=tuple(images)))
    return CopyExamples(groups=len(numbers), images=len(rows), examples=tuple(examples))


def _differ(group: Rows, values: Rows, number: int) -> npt.NDArray[np.bool_]:
    """Return whether the images of each group have different values, bool [number]."""
    pairs = np.unique(np.stack([group, values], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=number) > 1


def _one_of_each(parts: Rows, labels: Rows) -> Rows:
    """Return the places of a group's images, one of each part and class before a second one."""
    kinds = np.unique(np.stack([parts, labels], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    turns = np.zeros(len(kinds), np.int64)
    for kind in np.unique(kinds):
        turns[kinds == kind] = np.arange((kinds == kind).sum())
    return np.lexsort((kinds, turns))
