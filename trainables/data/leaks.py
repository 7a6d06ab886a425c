"""Copies of images that a person must know of: across splits, under two classes, whole classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from trainables.data.copies import Copies, groups
from trainables.data.listing import SPLITS, Listing, Rows, SplitName
from trainables.problems import shortened

WHOLE = 0.9
"""Share of a class's images that are in another class too, from which it is called a copy of it."""

TOO_GOOD = "because of --keep-copies, so scores may be too optimistic"


@dataclass(frozen=True, kw_only=True)
class Found:
    """Copies among the images that were decoded.

    Attributes:
        rows: int64 [M], their numbers in the listing.
        near: int64 [M], a group per image: copies and near copies of each other have the same
            number.
        exact: int64 [M], the same of identical pixels alone.
    """

    rows: Rows
    near: Rows
    exact: Rows

    @classmethod
    def of(cls, rows: Rows, copies: Copies, listing: Listing) -> Found:
        """Make groups of pairs, whose numbers are places in `rows`.

        Mirror images of two classes (left, right) are no copies.
        """
        # Left and right shoes may be two classes.
        labels = np.concatenate(list(listing.labels.values()))[rows]
        ones, others = labels[copies.pairs].T
        counts = ~copies.mirrored | (ones == others)
        pairs = copies.pairs[counts]
        exact = pairs[copies.exact[counts]]
        return cls(rows=rows, near=groups(pairs, len(rows)), exact=groups(exact, len(rows)))

    def any(self) -> bool:
        """Return whether any image has a copy."""
        return len(np.unique(self.near)) < len(self.near)

    def groups_of_all(self, number: int, given: Rows | None) -> Rows | None:
        """Return a group per image of the whole listing; None where each is alone.

        Args:
            number: Images of the whole listing.
            given: The user's groups, which are joined with the copies.
        """
        if not self.any():
            return given
        if given is None:
            given = np.arange(number, dtype=np.int64)
        # Whatever is connected by a copy or by a group, in any number of steps, is one group.
        first = _first_of_each(self.near)
        pairs = [
            np.stack([self.rows, self.rows[first]], axis=1),
            np.stack([np.arange(number), _first_of_each(given)], axis=1),
        ]
        return groups(np.concatenate(pairs).astype(np.int64), number)


def same_set(found: Found, listing: Listing) -> list[str]:
    """Return a line for two given splits that are one: each image has a copy in the other.

    Where one holds more than the other, its copies are taken out and the rest is used.
    """
    given = _given(listing)
    part = _part_of(found.rows, listing)
    lines = []
    for one, other in combinations(range(len(given)), 2):
        first = found.near[part == one]
        second = found.near[part == other]
        if len(second) and np.array_equal(np.unique(first), np.unique(second)):
            lines.append(
                f"{listing.places[given[other]]} must hold other images than "
                f"{listing.places[given[one]]}, but all {len(second):,} are copies of {given[one]} "
                "images: replace them, or pass --keep-copies, which makes the "
                f"{given[other]} score meaningless."
            )
    return lines


def cautions(
    found: Found, listing: Listing, names: Callable[[Rows], list[str]], *, kept: bool
) -> list[str]:
    """Return a line for each way in which copies cross what they should not.

    Args:
        found: The copies.
        listing: Of the whole source.
        names: Returns the user's names of some images.
        kept: Whether copies of val and test images stay in train.
    """
    if not found.any():
        return []
    copied = _Copied(found, listing, names)
    lines: list[str] = []
    for higher, lower in combinations(reversed(_given(listing)), 2):
        lines += copied.across(lower, higher, kept)
    lines += copied.classes()
    # Copies within a part matter little where something worse was said.
    flat = len(listing.labels) == 1
    if flat or not lines:
        lines += copied.within(flat, kept)
    return lines


class _Copied:
    """The images that have copies, with their parts and classes."""

    def __init__(self, found: Found, listing: Listing, names: Callable[[Rows], list[str]]) -> None:
        self._listing = listing
        self._names = names
        several = np.bincount(found.near)[found.near] > 1
        self._rows = found.rows[several]
        self._near = found.near[several]
        self._exact = found.exact[several]
        self._part = _part_of(self._rows, listing)
        labels = np.concatenate([listing.labels[part] for part in _given(listing)])
        self._label = labels[self._rows]
        self._sizes = np.bincount(labels[found.rows], minlength=len(listing.classes))

    def across(self, lower: SplitName, higher: SplitName, kept: bool) -> Iterator[str]:
        """Yield a line for images of one given part that are in another one too."""
        parts = _given(self._listing)
        here = self._part == parts.index(lower)
        there = self._part == parts.index(higher)
        both = here & np.isin(self._near, self._near[there])
        if not both.any():
            return
        count = int(both.sum())
        kinds = _kinds(count, int((here & np.isin(self._exact, self._exact[there])).sum()))
        what = f"{lower} images that are copies of {higher} images: {count:,} ({kinds})"
        done = f"kept {TOO_GOOD}" if kept else f"left out of {lower}"
        yield f"{what}, such as {self._pair(both, there)}; {done}"

    def classes(self) -> Iterator[str]:
        """Yield lines for images under two classes, and for classes that are another's copy."""
        labels: dict[int, set[int]] = {}
        for group, label in zip(self._near.tolist(), self._label.tolist(), strict=True):
            labels.setdefault(group, set()).add(label)
        torn = {group for group, of_group in labels.items() if len(of_group) > 1}
        if not torn:
            return

        # A picture that has two classes, and an image of it in each.
        mixed = np.isin(self._near, list(torn))
        count = int(mixed.sum())
        first = mixed & (self._near == self._near[mixed][0])
        other = first & (self._label != self._label[first][0])
        yield (
            f"pictures under two classes: {len(torn):,} ({count:,} images), such as "
            f"{self._pair(first & ~other, other)}; at least one label of each is wrong"
        )
        yield from self._whole_classes(torn)

    def within(self, flat: bool, kept: bool) -> Iterator[str]:
        """Yield a line for images that have copies in their own part."""
        extra = self._beyond_first(self._near)
        if not extra:
            return
        kinds = _kinds(extra, self._beyond_first(self._exact))
        group = Counter(self._near.tolist()).most_common(1)[0][0]
        example = " and ".join(self._names(self._rows[self._near == group][:2]))
        line = f"images that are copies of another: {extra:,} ({kinds}), such as {example}"
        if not flat:
            yield line
        elif kept:
            yield f"{line}; some are in different splits {TOO_GOOD}"
        else:
            yield f"{line}; copies are kept on one side of each split"

    def _beyond_first(self, group: Rows) -> int:
        """Count the images of groups in a part, without the first of each."""
        return len(group) - len(np.unique(np.stack([group, self._part], axis=1), axis=0))

    def _whole_classes(self, torn: set[int]) -> list[str]:
        """Return lines for classes that are another's copy.

        Args:
            torn: Groups of images with several classes.
        """
        members: dict[int, Counter[int]] = {group: Counter() for group in torn}
        for group, label in zip(self._near.tolist(), self._label.tolist(), strict=True):
            if group in torn:
                members[group][label] += 1

        # How many images of a class are in another class too, by both classes.
        shared: Counter[tuple[int, int]] = Counter()
        for counts in members.values():
            for label, other in permutations(counts, 2):
                shared[label, other] += counts[label]

        # Of two classes that are copies of each other, the later one is named.
        lines = []
        for (label, other), number in sorted(shared.items()):
            size = self._sizes[label]
            if number < WHOLE * size:
                continue
            if label > other or number < WHOLE * self._sizes[other]:
                name = self._listing.classes[label]
                twin = self._listing.classes[other]
                lines.append(
                    f"class {name!r} is a copy of {twin!r}: "
                    f"{number:,} of its {size:,} images are in both"
                )
        return shortened(lines, "pairs of classes are copies")

    def _pair(self, ones: Rows, others: Rows) -> str:
        """Name an image of the first kind, and a copy of it of the second."""
        group = self._near[ones][0]
        first = self._rows[ones & (self._near == group)][:1]
        second = self._rows[others & (self._near == group)][:1]
        return " and ".join([*self._names(first), *self._names(second)])


def _kinds(count: int, identical: int) -> str:
    """Return how many of some copies have identical pixels."""
    if identical == count:
        return "identical"
    return f"{identical:,} identical, {count - identical:,} nearly"


def _given(listing: Listing) -> list[SplitName]:
    """Return the parts that the user gives, in the order of the splits."""
    return [part for part in SPLITS if part in listing.labels]


def _part_of(rows: Rows, listing: Listing) -> Rows:
    """Return the number of the given part that each row is of, [N]."""
    ends = np.cumsum([len(listing.labels[part]) for part in _given(listing)])
    return np.searchsorted(ends, rows, side="right")


def _first_of_each(numbers: Rows) -> Rows:
    """Return for each place the first place with the same number."""
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return first[inverse]
