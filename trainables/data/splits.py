"""Which images go where: stratified, seeded by class name and nested, so that a higher cap only adds images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np

from trainables.data.groups import CARVED, FLAT, MINIMUM, Grouped, held
from trainables.data.listing import SPLITS, Listing, Rows, SplitName
from trainables.data.problems import DataError
from trainables.problems import shortened
from trainables.randomness import named_seed

NAMED = 3  # classes that are named in a line
EVERY = 10**6
"""The cap that asks for every image of a class, however many there are: no class is short of it."""


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
        if wrong := {
            name: value for name, value in values.items() if type(value) is not int or value < 1
        }:
            raise ValueError(
                "\n".join(
                    f"caps: {k} must be a whole number of at least 1, but got {v!r}."
                    for k, v in wrong.items()
                )
            )

    def of(self, split: SplitName) -> int:
        """The cap of one split."""
        return int(getattr(self, split))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The images of each split: row numbers [N], their labels [N], counts by class, and lines to show."""

    rows: Mapping[SplitName, Rows]
    labels: Mapping[SplitName, Rows]
    counts: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]


def choose(listing: Listing, *, caps: Caps, seed: int, groups: Rows | None = None) -> Choice:
    """Split a listing, then cap every class.

    A flat set (only `train` given) is split 60/20/20; of `train` with one other part, the other is kept back as test and
    val is split from train, 75/25; three parts stay as they are. Where val was split off and its cap leaves images over, they
    come last in train. No image is in two splits. A higher cap only adds images to its split; val's takes none from train
    while the class has enough for both.

    Args:
        listing: What was found.
        caps: Images per class, at most.
        seed: Of the choice.
        groups: int64 [N], a number per image of all parts: images of one number come into one split. Of parts that the user
            gave, test keeps its images, val loses those that belong to test's, and train those that belong to either's.

    Raises:
        DataError: The listing's own problems, a class with too few images, fewer than two classes.
    """
    if problems := [*listing.problems, *_problems(listing)]:
        raise DataError(problems)
    by_class = {part: _rows_by_class(listing, part) for part in listing.labels}
    pools: list[dict[SplitName, Rows]] = []
    for label, name in enumerate(listing.classes):
        shuffle = {
            part: np.random.default_rng(named_seed(seed, "split", name)) for part in by_class
        }
        pools.append(
            {part: shuffle[part].permutation(rows[label]) for part, rows in by_class.items()}
        )
    kept = Grouped.of(groups, pools, seed) if groups is not None else Grouped()
    picked: dict[SplitName, list[Rows]] = {split: [] for split in SPLITS}
    for pool in pools:
        for split, rows in _split(kept.without_owned(pool), caps.val, kept).items():
            picked[split].append(rows[: caps.of(split)])
    counts: dict[str, dict[str, int]] = {
        split: dict(zip(listing.classes, map(len, picked[split]), strict=True)) for split in SPLITS
    }
    if (
        problems := _parted_too_small(counts, caps, listing.groups is not None)
        if groups is not None
        else []
    ):
        raise DataError(problems)
    order = np.random.default_rng(named_seed(seed, "stored order")).permutation(
        sum(map(len, picked["train"]))
    )
    rows_of: dict[SplitName, Rows] = {split: np.concatenate(picked[split]) for split in SPLITS}
    rows_of["train"] = rows_of["train"][
        order
    ]  # classes interleaved, so that any slice is a fair batch
    labels = np.concatenate(list(listing.labels.values()))
    return Choice(
        rows=rows_of,
        labels={split: labels[rows] for split, rows in rows_of.items()},
        counts=counts,
        notes=(*listing.notes, *_short_classes(counts, caps)),
    )


def _parted_too_small(
    counts: Mapping[str, Mapping[str, int]], caps: Caps, asked: bool
) -> list[str]:
    """A line for each class that groups, kept together, leave without images in a split."""
    short = {
        (name, split): counts[split][name]
        for split in SPLITS
        for name in counts[split]
        if counts[split][name] < min(MINIMUM, caps.of(split))
    }
    if not short:
        return []
    named = ", ".join(
        f"{name!r} has {found} in {split}" for (name, split), found in list(short.items())[:NAMED]
    )
    more = f" and {len(short) - NAMED} more like it" if len(short) > NAMED else ""
    mend = (
        "use --group with smaller groups, or leave it out"
        if asked
        else "pass --keep-copies where they are no copies"
    )
    kept = "groups" if asked else "copies"
    rule = f"A class needs {MINIMUM} images in each split, but once {kept} are kept on one side"
    return [f"{rule} {named}{more}: add other images, or {mend}."]


def _needed(parts: Mapping[SplitName, Rows]) -> dict[SplitName, int]:
    """Images that a class needs in each part: `MINIMUM` for each split that is made of it."""
    return {part: MINIMUM * (4 - len(parts) if part == "train" else 1) for part in parts}


def _problems(listing: Listing) -> Iterator[str]:
    if len(listing.classes) < 2:
        names = ", ".join(map(repr, listing.classes)) or "none"
        place = listing.places["train"]
        yield f"There must be at least 2 classes, but {place} has {names} alone: part its images into more classes."
    odd = [name for name in listing.classes if not _is_text(name)]
    yield from shortened(
        [
            f"A class must have a name in UTF-8, but {listing.places['train']} has {name!r}: rename it."
            for name in odd
        ],
        "classes have such names",
    )
    for part, need in _needed(listing.labels).items():
        yield from _too_few(listing, part, need)


def _too_few(listing: Listing, part: SplitName, need: int) -> Iterator[str]:
    """A line for all classes that have too few images in a part."""
    found = np.bincount(listing.labels[part], minlength=len(listing.classes))
    short = np.flatnonzero(found < need)
    if not len(short):
        return
    made = {
        3: "",
        6: " to be split into train and val",
        9: " to be split into train, val and test",
    }[need]
    rule = f"A class needs at least {need} images in {listing.places[part]}{made}"
    if len(short) <= NAMED:
        names = ", ".join(f"{listing.classes[label]!r} has {found[label]}" for label in short)
        yield f"{rule}, but {names}: give it more, or leave it out."
    else:
        names = ", ".join(
            f"{listing.classes[label]!r} with {found[label]}" for label in short[:NAMED]
        )
        some = f"{len(short):,} of {len(listing.classes):,} classes have fewer, such as {names}"
        yield f"{rule}, but {some}: leave these folders out, or join classes."


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


def _split(pools: Mapping[SplitName, Rows], most_val: int, kept: Grouped) -> dict[SplitName, Rows]:
    """Train, val and test of one class, from the shuffled rows of its one, two or three parts."""
    train = pools["train"]
    if len(pools) == 3:
        return dict(pools)
    if len(pools) == 1:
        test, rest = kept.taken(train, "test", held(len(train), FLAT))
    else:
        (test,) = (pool for part, pool in pools.items() if part != "train")
        rest = train
    val, rest = kept.taken(rest, "val", held(len(train), FLAT if len(pools) == 1 else CARVED))
    unused = kept.alone(val[most_val:])[
        ::-1
    ]  # val takes from the other end, so that train keeps its images when val grows
    return {"test": test, "val": val, "train": np.concatenate([rest, unused])}


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
