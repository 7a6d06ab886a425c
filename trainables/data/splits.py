"""Which images go where: stratified, seeded by class name, and nested.

Nested means that a higher cap only adds images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from trainables.data.groups import CARVED, FLAT, MINIMUM, Grouped, held
from trainables.data.listing import SPLITS, Listing, Rows, SplitName
from trainables.data.problems import DataError, PartedError
from trainables.problems import shortened
from trainables.randomness import named_seed

# Classes that are named in a line.
NAMED = 3
EVERY = 10**6
"""The cap that asks for every image of a class, however many there are: no class is short of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caps:
    """The most images per class in each split. A class with fewer gives all it has.

    Raises:
        ValueError: A cap that is no whole number of at least 1.
    """

    train: int
    val: int
    test: int

    def __post_init__(self) -> None:
        problems = []
        for cap in fields(self):
            value = getattr(self, cap.name)
            if type(value) is not int or value < 1:
                rule = f"caps: {cap.name} must be a whole number of at least 1"
                problems.append(f"{rule}, but got {value!r}.")
        if problems:
            raise ValueError("\n".join(problems))

    def of(self, split: SplitName) -> int:
        """Return the cap of one split."""
        return int(getattr(self, split))


@dataclass(frozen=True, kw_only=True, slots=True)
class Draw:
    """Train and val drawn anew, beside a test split that stays.

    Attributes:
        number: Each number draws other images.
        test: int64 [N], the rows of the test split, in its order.
    """

    number: int
    test: Rows


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The images of each split: row numbers [N], their labels [N], counts by class, and notes."""

    rows: Mapping[SplitName, Rows]
    labels: Mapping[SplitName, Rows]
    counts: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]


def choose(
    listing: Listing,
    *,
    caps: Caps,
    seed: int,
    groups: Rows | None = None,
    draw: Draw | None = None,
) -> Choice:
    """Split a listing, then cap every class.

    A flat set (only `train` given) is split 60/20/20; of `train` with one other part, the other is
    kept back as test and val is split from train, 75/25; three parts stay as they are. Where val
    was split off and its cap leaves images over, they come last in train. No image is in two
    splits. A higher cap only adds images to its split; val's takes none from train while the class
    has enough for both.

    Args:
        listing: The images and labels of each part.
        caps: Images per class, at most.
        seed: The seed of the choice.
        groups: int64 [N], a number per image of all parts: images of one number come into one
            split. Of parts that the user gave, test keeps its images, val loses those that belong
            to test's, and train those that belong to either's.
        draw: A test split that is given. Train and val are then drawn anew from the other images of
            a flat set; of `train`, where one other part is given; and each from its own, where the
            user gave three.

    Raises:
        DataError: The listing's own problems, a class with too few images, fewer than two classes.
    """
    problems = [*listing.problems, *_problems(listing)]
    if problems:
        raise DataError(problems)

    # Each class is shuffled by a seed of its own: another class in the set changes none.
    if draw is None:
        pools = _shuffled(listing, seed, "split")
    else:
        # A draw shares no order with another, but that of test.
        pools = _beside(draw.test, listing, _shuffled(listing, seed, "draw", draw.number))
        seed = named_seed(seed, "draw", draw.number)
    kept = Grouped()
    if groups is not None:
        kept = Grouped.of(groups, pools, seed, drawn=draw is not None)
    picked: dict[SplitName, list[Rows]] = {split: [] for split in SPLITS}
    for pool in pools:
        for split, rows in _split(kept.without_owned(pool), caps.val, kept).items():
            picked[split].append(rows[: caps.of(split)])

    counts: dict[str, dict[str, int]] = {}
    for split, of_classes in picked.items():
        counts[split] = dict(zip(listing.classes, map(len, of_classes), strict=True))
    if groups is not None:
        problems = _parted_too_small(counts, caps, listing.groups is not None, draw)
        if problems:
            raise PartedError(problems)

    # Classes are interleaved in train, so that any slice is a fair batch.
    rows_of: dict[SplitName, Rows] = {split: np.concatenate(picked[split]) for split in SPLITS}
    stored = np.random.default_rng(named_seed(seed, "stored order"))
    rows_of["train"] = rows_of["train"][stored.permutation(len(rows_of["train"]))]
    labels = np.concatenate(list(listing.labels.values()))
    return Choice(
        rows=rows_of,
        labels={split: labels[rows] for split, rows in rows_of.items()},
        counts=counts,
        notes=(*listing.notes, *_short_classes(counts, caps)),
    )


def _shuffled(listing: Listing, seed: int, *purpose: str | int) -> list[dict[SplitName, Rows]]:
    """Return the shuffled rows of each class by part."""
    by_part = {part: _rows_by_class(listing, part) for part in listing.labels}
    pools: list[dict[SplitName, Rows]] = []
    for label, name in enumerate(listing.classes):
        pool: dict[SplitName, Rows] = {}
        for part, by_class in by_part.items():
            shuffle = np.random.default_rng(named_seed(seed, *purpose, name))
            pool[part] = shuffle.permutation(by_class[label])
        pools.append(pool)
    return pools


def _beside(
    test: Rows, listing: Listing, pools: Sequence[Mapping[SplitName, Rows]]
) -> list[dict[SplitName, Rows]]:
    """Return the rows of each class that a draw is made from, and those of test, which is given."""
    labels = np.concatenate(list(listing.labels.values()))
    free = np.ones(len(labels), np.bool_)
    free[test] = False
    drawn: tuple[SplitName, ...] = ("train",)
    if len(listing.labels) == 3:
        drawn = ("train", "val")

    beside: list[dict[SplitName, Rows]] = []
    for label, pool in enumerate(pools):
        left = {part: pool[part][free[pool[part]]] for part in drawn}
        beside.append({**left, "test": test[labels[test] == label]})
    return beside


def _parted_too_small(
    counts: Mapping[str, Mapping[str, int]], caps: Caps, asked: bool, draw: Draw | None
) -> list[str]:
    """Return a line on classes that groups, kept together, leave without images in a split."""
    short: list[str] = []
    for split in SPLITS:
        needed = min(MINIMUM, caps.of(split))
        short += [f"{name!r} has {n} in {split}" for name, n in counts[split].items() if n < needed]
    if not short:
        return []
    named = ", ".join(short[:NAMED])
    if len(short) > NAMED:
        named += f" and {len(short) - NAMED} more like it"
    kept = "copies"
    mend = "pass --keep-copies where they are not copies"
    if asked:
        kept = "groups"
        mend = "use --group with smaller groups, or leave it out"
    rule = f"A class needs {MINIMUM} images in each split, but once {kept} are kept on one side"
    if draw is not None:
        rule += f", in draw {draw.number},"
    return [f"{rule} {named}: add other images, or {mend}."]


def _needed(parts: Mapping[SplitName, Rows]) -> dict[SplitName, int]:
    """Return how many images a class needs in each part: `MINIMUM` per split made of it."""
    needed = dict.fromkeys(parts, MINIMUM)
    needed["train"] = MINIMUM * (4 - len(parts))
    return needed


def _problems(listing: Listing) -> Iterator[str]:
    place = listing.places["train"]
    if len(listing.classes) < 2:
        has = f"only {listing.classes[0]!r}" if listing.classes else "none"
        yield (
            f"There must be at least 2 classes, but {place} has {has}: "
            f"sort its images into more classes."
        )
    rule = f"A class must have a name in UTF-8, but {place}"
    odd = [f"{rule} has {name!r}: rename it." for name in listing.classes if not _is_text(name)]
    yield from shortened(odd, "classes have such names")
    for part, need in _needed(listing.labels).items():
        yield from _too_few(listing, part, need)


def _too_few(listing: Listing, part: SplitName, need: int) -> Iterator[str]:
    """Yield a line for all classes that have too few images in a part."""
    counts = np.bincount(listing.labels[part], minlength=len(listing.classes))
    short = np.flatnonzero(counts < need)
    if not len(short):
        return
    # More is needed where val, or val and test, are split off.
    made = {
        MINIMUM: "",
        2 * MINIMUM: " to be split into train and val",
        3 * MINIMUM: " to be split into train, val and test",
    }[need]
    rule = f"A class needs at least {need} images in {listing.places[part]}{made}"
    # A few are named, each with its count; of many there are examples.
    few = len(short) <= NAMED
    link = "has" if few else "with"
    names = ", ".join(
        f"{listing.classes[label]!r} {link} {counts[label]}" for label in short[:NAMED]
    )
    if few:
        yield f"{rule}, but {names}: add images, or leave the class out."
    else:
        some = f"{len(short):,} of {len(listing.classes):,} classes have fewer, such as {names}"
        yield f"{rule}, but {some}: leave these folders out, or merge classes."


def _is_text(name: str) -> bool:
    """Return whether a name is more than bytes: MLflow and every terminal can write it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rows_by_class(listing: Listing, part: SplitName) -> list[Rows]:
    """Return the row numbers of each class of one part, in the listing's order."""
    start = 0
    for before, labels_before in listing.labels.items():
        if before == part:
            break
        start += len(labels_before)
    labels = listing.labels[part]
    ends = np.cumsum(np.bincount(labels, minlength=len(listing.classes)))
    return np.split(np.argsort(labels, kind="stable") + start, ends[:-1])


def _split(pools: Mapping[SplitName, Rows], most_val: int, kept: Grouped) -> dict[SplitName, Rows]:
    """Return train, val and test of one class, from the shuffled rows of its one to three parts."""
    train = pools["train"]
    if len(pools) == 3:
        return dict(pools)
    if len(pools) == 1:
        test, rest = kept.taken(train, "test", held(len(train), FLAT))
        share = FLAT
    else:
        (test,) = (pool for part, pool in pools.items() if part != "train")
        rest = train
        share = CARVED
    val, rest = kept.taken(rest, "val", held(len(train), share))
    # Val takes from the other end, so that train keeps its images when val grows.
    unused = kept.alone(val[most_val:])[::-1]
    return {"test": test, "val": val, "train": np.concatenate([rest, unused])}


def _short_classes(counts: Mapping[str, Mapping[str, int]], caps: Caps) -> Iterator[str]:
    """Yield a note for each split in which classes have fewer images than were asked for."""
    for split in SPLITS:
        cap = caps.of(split)
        if cap >= EVERY:
            continue
        short = {name: count for name, count in counts[split].items() if count < cap}
        if len(short) == 1:
            ((name, count),) = short.items()
            yield f"class {name!r} has {count} {split} images, fewer than {cap}"
        elif short:
            low = min(short.values())
            high = max(short.values())
            span = f"{low}" if low == high else f"{low} to {high}"
            total = len(counts[split])
            classes = f"all {total}" if len(short) == total else f"{len(short)} of {total}"
            yield f"{classes} classes have fewer than {cap} {split} images ({span})"
