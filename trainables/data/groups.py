"""Images that must not be parted by a split.

Such are copies of each other, the images of one patient, the frames of one video.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from trainables.data.listing import SPLITS, Rows, SplitName
from trainables.randomness import named_seed

MINIMUM = 3  # images of a class in each split
SEARCHED = 200
"""Groups of short classes that are moved, the smallest: enough for sets that are short at all."""
FLAT = 5
"""One image in so many of a class is held back for val, and one for test, of a flat set."""
CARVED = 4
"""One image in so many of a class of train is held back for val, where test is given."""

Flags: TypeAlias = npt.NDArray[np.bool_]  # [N]

_NOBODY = np.zeros(0, np.int64)


def held(images: int, one_in: int) -> int:
    """Return how many images of a class a split that is made takes."""
    return max(MINIMUM, images // one_in)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grouped:
    """The splits that groups of images go to; without groups, each image goes its own way.

    Attributes:
        group: int64 [N], a number per image; empty without groups.
        together: bool [N], whether an image is not alone in its group.
        split: By group with more than one image, the split that all of it goes to, where splits are
            made.
        owned: bool [N], images that their part loses, since the group is in a split that comes
            first.
    """

    group: Rows = field(default_factory=lambda: _NOBODY)
    together: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))
    split: Mapping[int, SplitName] = field(default_factory=dict)
    owned: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))

    @classmethod
    def of(
        cls,
        group: Rows,
        pools: Sequence[Mapping[SplitName, Rows]],
        seed: int,
        *,
        drawn: bool = False,
    ) -> Grouped:
        """Decide for all groups at once.

        Args:
            group: A number per image.
            pools: By class, the shuffled rows of each part.
            seed: Of the order in which groups are handed out.
            drawn: Whether another seed is to give other splits, even of groups that all differ in
                size.
        """
        together = np.bincount(group)[group] > 1
        owned = np.zeros(len(group), np.bool_)
        # Test keeps its images, and val those whose groups test has not.
        taken: Rows = _NOBODY
        for part in reversed(SPLITS):
            rows = np.concatenate([pool.get(part, _NOBODY) for pool in pools])
            owned[rows] = np.isin(group[rows], taken)
            taken = np.union1d(taken, group[rows])
        kept = [_without(owned, pool) for pool in pools]
        split = _handed_out(group, together, kept, seed, drawn)
        return cls(group=group, together=together, split=split, owned=owned)

    def without_owned(self, pool: Mapping[SplitName, Rows]) -> Mapping[SplitName, Rows]:
        """Return the rows of each part that it keeps."""
        if not len(self.owned):
            return pool
        return _without(self.owned, pool)

    def taken(self, rows: Rows, split: SplitName, number: int) -> tuple[Rows, Rows]:
        """Return the rows of a class that a split takes, and the rest, both in their order.

        It takes its own groups and, up to `number`, images that are in none.
        """
        if not len(self.group):
            return rows[:number], rows[number:]
        splits = map(self.split.get, self.group[rows].tolist())
        mine = np.fromiter((other == split for other in splits), np.bool_, len(rows))
        singles = np.flatnonzero(~self.together[rows])
        mine[singles[: max(0, number - int(mine.sum()))]] = True
        return rows[mine], rows[~mine]

    def alone(self, rows: Rows) -> Rows:
        """Return those rows that belong to no group, and may go elsewhere."""
        if not len(self.group):
            return rows
        return rows[~self.together[rows]]


def _without(owned: Flags, pool: Mapping[SplitName, Rows]) -> dict[SplitName, Rows]:
    """Return the rows of each part that are not owned by another."""
    return {part: rows[~owned[rows]] for part, rows in pool.items()}


def _handed_out(
    group: Rows,
    together: Flags,
    pools: Sequence[Mapping[SplitName, Rows]],
    seed: int,
    drawn: bool,
) -> dict[int, SplitName]:
    """Return the split of each group of train, so that every class comes near its shares.

    The largest groups come first, and each goes where it brings the splits nearest to the numbers
    that they want (after Sechidis et al. 2011). Where they are drawn, the order of groups of about
    one size is random.
    """
    # The numbers of images that the splits want, and of what is still missing.
    given: set[SplitName] = set().union(*pools)
    made: tuple[SplitName, ...] = {1: SPLITS[::-1], 2: ("val", "train")}.get(len(given), ("train",))
    train = [pool["train"] for pool in pools]
    sizes = list(map(len, train))
    wanted = _wanted(sizes, made)
    missing = _wanted(sizes, made)

    # How many images of each class each group has.
    members: dict[int, Counter[int]] = {}
    for label, rows in enumerate(train):
        for number in group[rows[together[rows]]].tolist():
            members.setdefault(number, Counter())[label] += 1

    # The largest first, those of one size in a seeded order.
    names = sorted(members)
    shuffled = np.random.default_rng(named_seed(seed, "groups")).permutation(len(names))
    names = [names[at] for at in shuffled.tolist()]
    sizes_of = {name: of_classes.total() for name, of_classes in members.items()}
    if drawn:
        # Within a factor of 2: only equal sizes would be too few to give another split each time.
        sizes_of = {name: size.bit_length() for name, size in sizes_of.items()}
    names.sort(key=lambda name: -sizes_of[name])
    split_of: dict[int, SplitName] = {}
    for name in names:
        has = members[name]
        nearest = max(made, key=lambda split: _gain(has, missing[split], wanted[split]))
        split_of[name] = nearest
        for label, number in has.items():
            missing[nearest][label] -= number
    alone = [int((~together[rows]).sum()) for rows in train]
    _fill_up(split_of, members, alone, wanted)
    return split_of


def _fill_up(
    split_of: dict[int, SplitName],
    members: Mapping[int, Counter[int]],
    alone: Sequence[int],
    wanted: Mapping[SplitName, Sequence[float]],
) -> None:
    """Move groups, or let two change places, while splits lack images of a class.

    The step comes first that leaves least lacking. Without it 9 patients with 2 images each make
    splits of 12, 4 and 2.

    Args:
        split_of: By group its split; changed.
        members: By group its images of each class.
        alone: Images of each class that are in no group; test takes what it wants of them, then
            val.
        wanted: Images of each class that each split wants.
    """
    # What each split has of each class, [splits, classes], single images handed out.
    splits = list(wanted)
    has = np.zeros((len(splits), len(alone)), np.int64)
    for name, split in split_of.items():
        for label, number in members[name].items():
            has[splits.index(split), label] += number
    left = np.array(alone)
    for at, split in enumerate(splits):
        taken = np.clip(np.rint(wanted[split]).astype(np.int64) - has[at], 0, left)
        has[at] += taken
        left -= taken

    # The groups that may be moved, and the classes that they hold.
    short = set(np.flatnonzero((has < MINIMUM).any(0)).tolist())
    names = [name for name in split_of if not short.isdisjoint(members[name])]
    names = sorted(names, key=lambda name: members[name].total())[:SEARCHED]
    if not names:
        return
    labels = sorted(set().union(*(members[name] for name in names)))
    has = has[:, labels]
    sizes = _sizes(members, names, labels)
    places = np.array([splits.index(split_of[name]) for name in names])

    # Each step leaves less lacking, and so they end.
    while _lacking(has) > 0:
        step = _best_move(has, sizes, places) or _best_swap(has, sizes, places)
        if not step:
            break
        for at, place in step:
            has[places[at]] -= sizes[at]
            has[place] += sizes[at]
            places[at] = place
    for name, place in zip(names, places.tolist(), strict=True):
        split_of[name] = splits[place]


def _sizes(
    members: Mapping[int, Counter[int]], names: Sequence[int], labels: Sequence[int]
) -> Rows:
    """Return how many images of some classes some groups have, int64 [groups, classes]."""
    sizes = np.zeros((len(names), len(labels)), np.int64)
    for at, name in enumerate(names):
        sizes[at] = [members[name][label] for label in labels]
    return sizes


def _lacking(has: Rows) -> Any:
    """Count the images that classes lack in splits, of numbers [..., splits, classes]."""
    return np.maximum(0, MINIMUM - has).sum((-2, -1))


def _best_move(has: Rows, sizes: Rows, places: Rows) -> list[tuple[int, int]]:
    """Return the group and its new split that leave fewest images lacking; none if none helps."""
    groups = np.arange(len(sizes))
    best = []
    least = _lacking(has)
    for place in range(len(has)):
        after = np.repeat(has[None], len(sizes), 0)  # [groups, splits, classes]
        after[groups, places] -= sizes
        after[:, place] += sizes
        lacking = _lacking(after)
        if lacking.min() < least:
            best = [(int(lacking.argmin()), place)]
            least = lacking.min()
    return best


def _best_swap(has: Rows, sizes: Rows, places: Rows) -> list[tuple[int, int]]:
    """Return the two groups, each with the other's split, that leave fewest images lacking.

    There are none if no swap helps.
    """
    groups = np.arange(len(sizes))
    best = []
    least = _lacking(has)
    for one in range(len(sizes)):
        after = np.repeat(has[None], len(sizes), 0)  # [groups, splits, classes]
        after[:, places[one]] += sizes - sizes[one]
        after[groups, places] -= sizes - sizes[one]
        lacking = _lacking(after)
        if lacking.min() < least:
            other = int(lacking.argmin())
            best = [(one, int(places[other])), (other, int(places[one]))]
            least = lacking.min()
    return best


def _wanted(sizes: Sequence[int], made: Sequence[SplitName]) -> dict[SplitName, list[float]]:
    """Return the images of each class that each split wants."""
    one_in = FLAT if "test" in made else CARVED
    wanted: dict[SplitName, list[float]] = {split: [] for split in made}
    for size in sizes:
        number = held(size, one_in)
        for split in made:
            wanted[split].append(float(number))
        # Train takes what the others leave.
        wanted["train"][-1] = max(1.0, float(size - (len(made) - 1) * number))
    return wanted


def _gain(has: Mapping[int, int], missing: Sequence[float], wanted: Sequence[float]) -> float:
    """Return how much nearer a split comes to what it wants, in squares relative to that."""
    gains = []
    for label, number in has.items():
        before = missing[label]
        gains.append((before**2 - (before - number) ** 2) / wanted[label])
    return sum(gains)
