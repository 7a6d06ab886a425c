"""What `dvt data` finds in decoded images: sizes, brightness, images of a single color, copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.copy_examples import CopiedImage, CopyExamples, read_examples
from trainables.data.dataset import Dataset
from trainables.data.listing import SPLITS, SplitName
from trainables.data.looks import Looks, read_looks

# Of 255: values so near to each other are one color; 12 bits in 16 reach no more than that from
# black.
NEARLY = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """The least, the median and the most of some numbers."""

    least: float
    median: float
    most: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Sized:
    """An image with its size in pixels, the shorter side first."""

    name: str
    shorter: int
    longer: int


@dataclass(frozen=True, kw_only=True, slots=True)
class OneColor:
    """An image that shows nothing: nearly black, nearly white, or of one color."""

    name: str
    split: SplitName
    row: int  # in the split
    class_name: str
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFindings:
    """What was found.

    Attributes:
        data: The images, with the test split open.
        side: Pixels of the squares that are stored.
        sizes: By "shorter side", "longer side" and "longer to shorter side", before they were cut
            and resized.
        smallest: The image with the least pixels.
        longest: The image that is the least square.
        enlarged: How many are smaller than what is stored.
        brightness: By class, of the mean brightness of its images, 0 to 255; nothing of a class
            without images.
        one_color: Images that show nothing.
        copies: Images that are there more than once.
    """

    data: Dataset
    side: int
    sizes: Mapping[str, Spread]
    smallest: Sized
    longest: Sized
    enlarged: int
    brightness: Mapping[str, Spread]
    one_color: tuple[OneColor, ...]
    copies: CopyExamples

    @property
    def cautions(self) -> tuple[str, ...]:
        """Return those of the data, and what only a look at all images shows."""
        if not self.one_color:
            return self.data.cautions
        first = self.one_color[0]
        such = f"{len(self.one_color):,}, such as {first.name}, which is {first.kind}"
        line = f"blank images: {such}; remove them unless they belong to their class"
        return (*self.data.cautions, line)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        sizes: dict[str, Any] = {}
        for name, spread in self.sizes.items():
            sizes[name.replace(" ", "_")] = _plain(spread)
        one_color = []
        for image in self.one_color:
            plain = {"file": image.name, "class": image.class_name}
            one_color.append({**plain, "split": image.split, "kind": image.kind})
        return {
            "sizes": {**sizes, "stored": self.side, "enlarged": self.enlarged},
            "brightness": {name: _plain(spread) for name, spread in self.brightness.items()},
            "one_color": one_color,
            "copies": _copies(self.copies),
        }


def find_in_data(data: Dataset) -> DataFindings:
    """Look at what the cache has of a data set whose test split is open.

    Raises:
        OSError: The cache no longer has it.
    """
    # All images of all splits, in one order.
    looks = []
    names: list[str] = []
    labels = []
    one_color: list[OneColor] = []
    for split in SPLITS:
        of_split = read_looks(data.path, split)
        looks.append(of_split)
        names += data.names(split)
        labels.append(data.split(split).labels)
        one_color += _one_color(data, split, of_split, labels[-1])

    # From here on, a row per image of the whole set.
    sizes = np.concatenate([look.sizes for look in looks]).astype(np.int64)  # [N, 2], shorter first
    means = np.concatenate([look.brightness[:, 1] for look in looks])  # [N]
    aspects = sizes[:, 1] / sizes[:, 0]
    side = int(data.split("train").images.shape[1])
    return DataFindings(
        data=data,
        side=side,
        sizes={
            "shorter side": _spread(sizes[:, 0]),
            "longer side": _spread(sizes[:, 1]),
            "longer to shorter side": _spread(aspects),
        },
        smallest=_sized(int(sizes.prod(axis=1).argmin()), sizes, names),
        longest=_sized(int(aspects.argmax()), sizes, names),
        enlarged=int((sizes[:, 0] < side).sum()),
        brightness=_by_class(data.classes, np.concatenate(labels), means),
        one_color=tuple(one_color),
        copies=read_examples(data.path),
    )


def _spread(values: NDArray[Any]) -> Spread:
    return Spread(
        least=float(values.min()), median=float(np.median(values)), most=float(values.max())
    )


def _sized(row: int, sizes: NDArray[np.int64], names: list[str]) -> Sized:
    return Sized(name=names[row], shorter=int(sizes[row, 0]), longer=int(sizes[row, 1]))


def _by_class(
    classes: tuple[str, ...], labels: NDArray[np.int64], means: NDArray[np.float32]
) -> dict[str, Spread]:
    """Return the brightness of each class, sorted once: there may be thousands."""
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=len(classes)))
    parts = np.split(means[order], ends[:-1])
    return {name: _spread(part) for name, part in zip(classes, parts, strict=True) if len(part)}


def _one_color(
    data: Dataset, split: SplitName, looks: Looks, labels: NDArray[np.int64]
) -> Iterator[OneColor]:
    """Yield the images of a split whose values are all nearly the same."""
    darkest = looks.brightness[:, 0]
    brightest = looks.brightness[:, 2]
    rows = np.flatnonzero(brightest - darkest <= NEARLY).tolist()
    if not rows:
        return
    names = data.names(split)
    for row in rows:
        kind = "of one color"
        if brightest[row] <= NEARLY:
            kind = "nearly black"
        elif darkest[row] >= 255 - NEARLY:
            kind = "nearly white"
        class_name = data.classes[labels[row]]
        yield OneColor(name=names[row], split=split, row=row, class_name=class_name, kind=kind)


def _plain(spread: Spread) -> dict[str, float]:
    return {
        "least": round(spread.least, 2),
        "median": round(spread.median, 2),
        "most": round(spread.most, 2),
    }


def _copies(copies: CopyExamples) -> dict[str, Any]:
    """Return counts and examples without their pictures."""
    examples = []
    for example in copies.examples:
        images = [_copied(image) for image in example.images]
        examples.append({"number": example.number, "equal": example.equal, "images": images})
    return {"groups": copies.groups, "images": copies.images, "examples": examples}


def _copied(image: CopiedImage) -> dict[str, Any]:
    return {
        "file": image.name,
        "class": image.class_name,
        "given": image.given,
        "used": image.used or None,
    }
