"""Images that must not be parted by a split: copies of each other, the images of one patient, the frames of one video."""

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
SEARCHED = 200  # groups of short classes that are moved, the smallest: enough for sets that are short at all
FLAT, CARVED = 5, 4
"""One part in so many of a class is held back for val, and for test: of a flat set, and of train where test is given."""

Flags: TypeAlias = npt.NDArray[np.bool_]  # [N]

_NOBODY = np.zeros(0, np.int64)


def held(images: int, one_in: int) -> int:
    """How many images of a class a split that is made takes."""
    return max(MINIMUM, images // one_in)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grouped:
    """Where images of groups with more than one image go; without groups, each image goes its own way.

    Attributes:
        group: int64 [N], a number per image; empty without groups.
        together: bool [N], whether an image is not alone in its group.
        split: By group with more than one image, the split that all of it goes to, where splits are made.
        owned: bool [N], images that their part loses, since the group is in a split that comes first.
    """

    group: Rows = field(default_factory=lambda: _NOBODY)
    together: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))
    split: Mapping[int, SplitName] = field(default_factory=dict)
    owned: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))

    @classmethod
    def of(cls, group: Rows, pools: Sequence[Mapping[SplitName, Rows]], seed: int) -> Grouped:
        """Decide for all groups at once.

        Args:
            group: A number per image.
            pools: By class, the shuffled rows of each part.
            seed: Of the order in which groups are handed out.
        """
        together = np.bincount(group)[group] > 1
        owned = np.zeros(len(group), np.bool_)
        taken: Rows = _NOBODY
        for part in reversed(SPLITS):  # test keeps its images, and val those that test has not
            rows = np.concatenate([pool.get(part, _NOBODY) for pool in pools])
            owned[rows] = np.isin(group[rows], taken)
            taken = np.union1d(taken, group[rows])
        kept = [{part: rows[~owned[rows]] for part, rows in pool.items()} for pool in pools]
        return cls(
            group=group,
            together=together,
            split=_handed_out(group, together, kept, seed),
            owned=owned,
        )

    def without_owned(self, pool: Mapping[SplitName, Rows]) -> Mapping[SplitName, Rows]:
        """The rows of each part that it keeps."""
        if not len(self.owned):
            return pool
        return {part: rows[~self.owned[rows]] for part, rows in pool.items()}

    def taken(self, rows: Rows, split: SplitName, number: int) -> tuple[Rows, Rows]:
        """The rows of a class that a split takes, its own groups and then singles, and the rest, both in their order."""
        if not len(self.group):
            return rows[:number], rows[number:]
        mine = np.array(
            [self.split.get(group) == split for group in self.group[rows].tolist()], np.bool_
        )
        single = np.flatnonzero(~self.together[rows])
        mine[single[: max(0, number - int(mine.sum()))]] = True
        return rows[mine], rows[~mine]

    def alone(self, rows: Rows) -> Rows:
        """Those rows that belong to no group, and may go elsewhere."""
        return rows[~self.together[rows]] if len(self.group) else rows


def _handed_out(
    group: Rows, together: Flags, pools: Sequence[Mapping[SplitName, Rows]], seed: int
) -> dict[int, SplitName]:
    """The split of each group of train, so that every class comes near its shares (after Sechidis et al. 2011).

    The largest groups come first, and each goes where it brings the splits nearest to the numbers that they want.
    """
    parts = {part for pool in pools for part in pool}
    made: tuple[SplitName, ...] = {1: SPLITS[::-1], 2: ("val", "train")}.get(len(parts), ("train",))
    train = [pool["train"] for pool in pools]
    missing = _wanted([len(rows) for rows in train], made)
    wanted = {split: list(numbers) for split, numbers in missing.items()}
    # How many images of each class each group has.
    members: dict[int, Counter[int]] = {}
    for label, rows in enumerate(train):
        for number in group[rows[together[rows]]].tolist():
            members.setdefault(number, Counter())[label] += 1
    # The largest first, those of one size in a seeded order.
    names = sorted(members)
    shuffled = np.random.default_rng(named_seed(seed, "groups")).permutation(len(names)).tolist()
    found: dict[int, SplitName] = {}
    for name in sorted((names[at] for at in shuffled), key=lambda name: -members[name].total()):
        has = members[name]
        found[name] = max(made, key=lambda split: _gain(has, missing[split], wanted[split]))
        for label, number in has.items():
            missing[found[name]][label] -= number
    alone = [int((~together[rows]).sum()) for rows in train]
    _fill_up(found, members, alone, wanted)
    return found


def _fill_up(
    found: dict[int, SplitName],
    members: Mapping[int, Counter[int]],
    alone: Sequence[int],
    wanted: Mapping[SplitName, Sequence[float]],
) -> None:
    """Move groups, or let two change places, while splits lack images of a class: the step first that leaves least lacking.

    Without it 9 patients with 2 images each make splits of 12, 4 and 2.

    Args:
        found: By group its split; changed.
        members: By group its images of each class.
        alone: Images of each class that are in no group; test takes what it wants of them, then val.
        wanted: Images of each class that each split wants.
    """
    # What each split has of each class, single images handed out.
    splits = list(wanted)
    has = np.zeros((len(splits), len(alone)), np.int64)
    for name, split in found.items():
        for label, number in members[name].items():
            has[splits.index(split), label] += number
    left = np.array(alone)
    for at, split in enumerate(splits):
        taken = np.clip(np.rint(wanted[split]).astype(np.int64) - has[at], 0, left)
        has[at] += taken
        left -= taken
    # The groups that may be moved, and the classes that they hold.
    short = set(np.flatnonzero((has < MINIMUM).any(0)).tolist())
    names = [name for name in found if not short.isdisjoint(members[name])]
    names = sorted(names, key=lambda name: members[name].total())[:SEARCHED]
    if not names:
        return
    labels = sorted({label for name in names for label in members[name]})
    has = has[:, labels]
    sizes = np.array([[members[name][label] for label in labels] for name in names], np.int64)
    places = np.array([splits.index(found[name]) for name in names])
    # Each step leaves less lacking, and so they end.
    while _lacking(has) > 0 and (
        step := _best_move(has, sizes, places) or _best_swap(has, sizes, places)
    ):
        for at, place in step:
            has[places[at]] -= sizes[at]
            has[place] += sizes[at]
            places[at] = place
    for name, place in zip(names, places.tolist(), strict=True):
        found[name] = splits[place]


def _lacking(has: Rows) -> Any:
    """Images that classes lack in splits, of numbers [..., splits, classes]."""
    return np.maximum(0, MINIMUM - has).sum((-2, -1))


def _best_move(has: Rows, sizes: Rows, places: Rows) -> list[tuple[int, int]]:
    """The group and its new split that leave fewest images lacking; empty where none helps."""
    groups = np.arange(len(sizes))
    best, least = [], _lacking(has)
    for place in range(len(has)):
        after = np.repeat(has[None], len(sizes), 0)  # [groups, splits, classes]
        after[groups, places] -= sizes
        after[:, place] += sizes
        lacking = _lacking(after)
        if lacking.min() < least:
            best, least = [(int(lacking.argmin()), place)], lacking.min()
    return best


def _best_swap(has: Rows, sizes: Rows, places: Rows) -> list[tuple[int, int]]:
    """The two groups, each with the other's split, that leave fewest images lacking; empty where none helps."""
    groups = np.arange(len(sizes))
    best, least = [], _lacking(has)
    for one in range(len(sizes)):
        after = np.repeat(has[None], len(sizes), 0)
        after[:, places[one]] += sizes - sizes[one]
        after[groups, places] -= sizes - sizes[one]
        lacking = _lacking(after)
        if lacking.min() < least:
            other = int(lacking.argmin())
            best, least = [(one, int(places[other])), (other, int(places[one]))], lacking.min()
    return best


def _wanted(sizes: Sequence[int], made: Sequence[SplitName]) -> dict[SplitName, list[float]]:
    """Images of each class that each split wants."""
    one_in = FLAT if "test" in made else CARVED
    wanted: dict[SplitName, list[float]] = {
        split: [float(held(size, one_in)) for size in sizes] for split in made
    }
    wanted["train"] = [
        max(1.0, float(size - (len(made) - 1) * held(size, one_in))) for size in sizes
    ]
    return wanted


def _gain(has: Mapping[int, int], missing: Sequence[float], wanted: Sequence[float]) -> float:
    """How much nearer a split comes to what it wants, in squares relative to that."""
    return sum(
        (missing[label] ** 2 - (missing[label] - number) ** 2) / wanted[label]
        for label, number in has.items()
    )
