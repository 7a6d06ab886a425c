"""Which images go where: stratified, seeded by class name and nested, so that a higher cap only adds images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np

from trainables.data.listing import SPLITS, Listing, Rows, SplitName
from trainables.data.problems import DataError, shortened
from trainables.randomness import named_seed

MINIMUM = 3  # images of a class in each split

EVERY = 10**6
"""A cap from here on asks for every image there is: no class is called short of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caps:
    """Images a class at most, for each split. A class with fewer gives all it has.

    Raises:
        ValueError: A cap that is no whole number of at least 1.
    """

    train: int
    val: int
    test: int

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if wrong := {name: value for name, value in values.items() if type(value) is not int or value < 1}:
            raise ValueError(
                "\n".join(f"caps: {k} must be a whole number of at least 1, but got {v!r}." for k, v in wrong.items())
            )

    def of(self, split: SplitName) -> int:
        """The cap of one split."""
        return int(getattr(self, split))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The images of each split: row numbers [N], their labels [N], counts by class, and lines to show."""

    rows: Mapping[SplitName, Rows]
    labels: Mapping[SplitName, Rows]
    counts: dict[str, dict[str, int]]
    notes: tuple[str, ...]


def choose(listing: Listing, *, caps: Caps, seed: int) -> Choice:
    """Split a listing, then cap every class.

    A flat set (only `train` given) is split 60/20/20; of `train` with one other part, the other is kept back as test and
    val is split from train, 75/25; three parts stay as they are. Where val was split off and its cap leaves images over, they
    come last in train. No image is in two splits. A higher cap only adds images to its split; val's takes none from train
    while the class has enough for both.

    Raises:
        DataError: The listing's own problems, a class with too few images, fewer than two classes.
    """
    if problems := [*listing.problems, *_problems(listing)]:
        raise DataError(problems)
    picked: dict[SplitName, list[Rows]] = {split: [] for split in SPLITS}
    by_class = {part: _rows_by_class(listing, part) for part in listing.labels}
    for label, name in enumerate(listing.classes):
        pools = {}
        for part, rows in by_class.items():
            pools[part] = np.random.default_rng(named_seed(seed, "split", name)).permutation(rows[label])
        for split, pool in _split(pools, caps.val).items():
            picked[split].append(pool[: caps.of(split)])
    counts: dict[str, dict[str, int]] = {
        split: dict(zip(listing.classes, map(len, picked[split]), strict=True)) for split in SPLITS
    }
    order = np.random.default_rng(named_seed(seed, "stored order")).permutation(sum(map(len, picked["train"])))
    rows_of: dict[SplitName, Rows] = {split: np.concatenate(picked[split]) for split in SPLITS}
    rows_of["train"] = rows_of["train"][order]  # classes interleaved, so that any slice is a fair batch
    labels = np.concatenate(list(listing.labels.values()))
    return Choice(
        rows=rows_of,
        labels={split: labels[rows] for split, rows in rows_of.items()},
        counts=counts,
        notes=(*listing.notes, *_short_classes(counts, caps)),
    )


def _needed(parts: Mapping[SplitName, Rows]) -> dict[SplitName, int]:
    """Images that a class needs in each part: `MINIMUM` for each split that is made of it."""
    return {part: MINIMUM * (4 - len(parts) if part == "train" else 1) for part in parts}


def _problems(listing: Listing) -> Iterator[str]:
    if len(listing.classes) < 2:
        names = ", ".join(map(repr, listing.classes)) or "none"
        yield f"There must be at least 2 classes, but {listing.places['train']} has {names}: add images of another class."
    odd = [name for name in listing.classes if not _is_text(name)]
    yield from shortened(
        [f"A class must have a name in UTF-8, but {listing.places['train']} has {name!r}: rename it." for name in odd],
        "classes have such names",
    )
    too_few: list[str] = []
    for part, need in _needed(listing.labels).items():
        made = {3: "", 6: " to be split into train and val", 9: " to be split into train, val and test"}[need]
        rule = f"A class needs at least {need} images in {listing.places[part]}{made}"
        found = np.bincount(listing.labels[part], minlength=len(listing.classes))
        too_few += (
            f"{rule}, but {listing.classes[label]!r} has {found[label]}: add images or remove the class."
            for label in np.flatnonzero(found < need)
        )
    yield from shortened(too_few, "classes have too few images")


def _is_text(name: str) -> bool:
    """Whether a name is more than bytes: MLflow and every terminal can write it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rows_by_class(listing: Listing, part: SplitName) -> list[Rows]:
    """Row numbers of each class of one part, in the listing's order."""
    parts = list(listing.labels)
    start = sum(len(listing.labels[before]) for before in parts[: parts.index(part)])
    labels = listing.labels[part]
    ends = np.cumsum(np.bincount(labels, minlength=len(listing.classes)))
    return np.split(np.argsort(labels, kind="stable") + start, ends[:-1])


def _split(pools: Mapping[SplitName, Rows], most_val: int) -> dict[SplitName, Rows]:
    """Train, val and test of one class, from the shuffled rows of its one, two or three parts."""
    train = pools["train"]
    if len(pools) == 3:
        return dict(pools)
    if len(pools) == 1:
        held = max(MINIMUM, len(train) // 5)
        test, rest = train[:held], train[held:]
    else:
        (test,) = (pool for part, pool in pools.items() if part != "train")
        held, rest = max(MINIMUM, len(train) // 4), train
    unused = rest[most_val:held][::-1]  # val takes from the other end, so that train keeps its images when val grows
    return {"test": test, "val": rest[:held], "train": np.concatenate([rest[held:], unused])}


def _short_classes(counts: Mapping[str, Mapping[str, int]], caps: Caps) -> Iterator[str]:
    for split in SPLITS:
        cap = caps.of(split)
        short = {name: found for name, found in counts[split].items() if found < cap < EVERY}
        if len(short) == 1:
            ((name, found),) = short.items()
            yield f"class {name!r} has {found} {split} images, fewer than the {cap} asked for"
        elif short:
            low, high = min(short.values()), max(short.values())
            span = f"{low}" if low == high else f"{low} to {high}"
            yield f"{len(short)} of {len(counts[split])} classes have fewer {split} images than the {cap} asked for: {span}"
