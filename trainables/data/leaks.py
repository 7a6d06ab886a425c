"""Copies of images, as a person must know of them: across splits, under two classes, or whole classes."""

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

ONE_SIDE = "copies are kept on one side of each split"


@dataclass(frozen=True, kw_only=True)
class Found:
    """Copies among the images that were decoded.

    Attributes:
        rows: int64 [M], their numbers in the listing.
        near: int64 [M], a group per image: copies and near copies of each other have the same number.
        exact: int64 [M], the same of equal pixels alone.
    """

    rows: Rows
    near: Rows
    exact: Rows

    @classmethod
    def of(cls, rows: Rows, copies: Copies, listing: Listing) -> Found:
        """Groups from pairs, whose numbers are places in `rows`; mirror images of two classes (left, right) are no copies."""
        labels = np.concatenate(list(listing.labels.values()))[rows]
        left_and_right = copies.mirrored & (
            labels[copies.pairs[:, 0]] != labels[copies.pairs[:, 1]]
        )
        pairs, exact = copies.pairs[~left_and_right], copies.exact[~left_and_right]
        return cls(rows=rows, near=groups(pairs, len(rows)), exact=groups(pairs[exact], len(rows)))

    def any(self) -> bool:
        """Whether any image has a copy."""
        return len(np.unique(self.near)) < len(self.near)

    def groups_of_all(self, number: int, given: Rows | None) -> Rows | None:
        """A group per image of the whole listing, joined with the groups that the user gave; None where each is alone."""
        if not self.any():
            return given
        if given is None:
            given = np.arange(number, dtype=np.int64)
        first = _first_of_each(self.near)
        pairs = [
            np.stack([self.rows, self.rows[first]], axis=1),
            np.stack([np.arange(number), _first_of_each(given)], axis=1),
        ]
        return groups(np.concatenate(pairs).astype(np.int64), number)


def same_set(found: Found, listing: Listing) -> list[str]:
    """A line for two given splits that are one: each image of either is a copy of one of the other.

    Where one holds more than the other, its copies are taken out and the rest is used.
    """
    given = _given(listing)
    ends = np.cumsum([len(listing.labels[part]) for part in given])
    part = np.searchsorted(ends, found.rows, side="right")
    lines = []
    for one, other in combinations(range(len(given)), 2):
        first, second = found.near[part == one], found.near[part == other]
        if len(second) and np.array_equal(np.unique(first), np.unique(second)):
            lines.append(
                f"{listing.places[given[other]]} must hold other images than {listing.places[given[one]]}, but all "
                f"{len(second):,} are copies of {given[one]} images: replace them, or pass --keep-copies, with which the "
                f"{given[other]} score says nothing."
            )
    return lines


def cautions(
    found: Found, listing: Listing, names: Callable[[Rows], list[str]], *, kept: bool
) -> list[str]:
    """A line for each way in which copies cross what they should not.

    Args:
        found: The copies.
        listing: Of the whole source.
        names: What the user calls some images.
        kept: Whether copies of val and test images stay in train.
    """
    if not found.any():
        return []
    told = _Told(found, listing, names)
    lines = [
        line
        for a, b in combinations(reversed(_given(listing)), 2)
        for line in told.across(b, a, kept)
    ]
    lines += told.classes()
    if len(listing.labels) == 1 or not lines:
        lines += told.within(len(listing.labels) == 1, kept)
    return lines


class _Told:
    """The images that have copies, with their parts and classes."""

    def __init__(self, found: Found, listing: Listing, names: Callable[[Rows], list[str]]) -> None:
        several = np.bincount(found.near)[found.near] > 1
        self._rows, self._near, self._exact = (
            found.rows[several],
            found.near[several],
            found.exact[several],
        )
        self._listing, self._names = listing, names
        ends = np.cumsum([len(listing.labels[part]) for part in _given(listing)])
        self._part = np.searchsorted(ends, self._rows, side="right")
        labels = np.concatenate([listing.labels[part] for part in _given(listing)])
        self._label = labels[self._rows]
        self._sizes = np.bincount(labels[found.rows], minlength=len(listing.classes))

    def across(self, lower: SplitName, higher: SplitName, kept: bool) -> Iterator[str]:
        """Images of one given part that are in another one too."""
        parts = _given(self._listing)
        here, there = self._part == parts.index(lower), self._part == parts.index(higher)
        both = here & np.isin(self._near, self._near[there])
        if not both.any():
            return
        same = int((here & np.isin(self._exact, self._exact[there])).sum())
        count = int(both.sum())
        example = self._pair(both, there)
        what = (
            "kept, as --keep-copies says, so that scores may be too good"
            if kept
            else f"left out of {lower}"
        )
        kinds = f"{same:,} equal, {count - same:,} nearly" if same < count else "equal to the pixel"
        yield f"{lower} images that are copies of {higher} images: {count:,} ({kinds}), such as {example}; {what}"

    def classes(self) -> Iterator[str]:
        """Images under two classes, and classes that are another's copy."""
        labels: dict[int, set[int]] = {}
        for group, label in zip(self._near.tolist(), self._label.tolist(), strict=True):
            labels.setdefault(group, set()).add(label)
        torn = {group for group, found in labels.items() if len(found) > 1}
        if not torn:
            return
        mixed = np.isin(self._near, list(torn))
        count = int(mixed.sum())
        first = mixed & (self._near == self._near[mixed][0])
        other = first & (self._label != self._label[first][0])
        yield (
            f"pictures under two classes: {len(torn):,} ({count:,} images), such as {self._pair(first & ~other, other)}; at "
            "least one label of each is wrong"
        )
        yield from self._whole_classes(torn)

    def within(self, flat: bool, kept: bool) -> Iterator[str]:
        """Images that have copies in their own part."""
        done = (
            "splits part them, as --keep-copies says, so that scores may be too good"
            if kept
            else ONE_SIDE
        )
        extra = len(self._near) - len(np.unique(np.stack([self._near, self._part]), axis=1).T)
        if extra:
            number = Counter(self._near.tolist()).most_common(1)[0][0]
            names = self._names(self._rows[self._near == number][:2])
            side = f"; {done}" if flat else ""
            same = len(self._exact) - len(np.unique(np.stack([self._exact, self._part]), axis=1).T)
            kinds = (
                f"{same:,} equal, {extra - same:,} nearly" if same < extra else "equal to the pixel"
            )
            yield f"images that are copies of another: {extra:,} ({kinds}), such as {' and '.join(names)}{side}"

    def _whole_classes(self, torn: set[int]) -> list[str]:
        sizes = self._sizes
        members: dict[int, Counter[int]] = {group: Counter() for group in torn}
        for group, label in zip(self._near.tolist(), self._label.tolist(), strict=True):
            if group in torn:
                members[group][label] += 1
        shared: Counter[tuple[int, int]] = Counter()
        for counts in members.values():
            for label, other in permutations(counts, 2):
                shared[label, other] += counts[label]
        lines = []
        for (label, other), number in sorted(shared.items()):
            if number >= WHOLE * sizes[label] and (label > other or number < WHOLE * sizes[other]):
                name, twin = self._listing.classes[label], self._listing.classes[other]
                lines.append(
                    f"class {name!r} is a copy of {twin!r}: {number:,} of its {sizes[label]:,} images are in both"
                )
        return shortened(lines, "pairs of classes are copies")

    def _pair(self, ones: Rows, others: Rows) -> str:
        """An image of the first kind, and a copy of it of the second."""
        group = self._near[ones][0]
        first = self._rows[ones & (self._near == group)][:1]
        second = self._rows[others & (self._near == group)][:1]
        return " and ".join([*self._names(first), *self._names(second)])


def _given(listing: Listing) -> list[SplitName]:
    return [part for part in SPLITS if part in listing.labels]


def _first_of_each(numbers: Rows) -> Rows:
    """For each place, the first place with the same number."""
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return first[inverse]
