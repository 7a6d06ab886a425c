"""The lines by which the owner of a data set can check what was understood of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from trainables.data.listing import SPLITS, Listing, SplitName
from trainables.problems import one_line

# Names of classes, and reasons for which files are passed over, in a line.
SHOWN = 5


class Understood(Protocol):
    """A data set, decoded or only looked at."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""

    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Images used, by split and class."""

    @property
    def layout(self) -> str:
        """The layout that was recognized, in words."""

    @property
    def origins(self) -> Mapping[str, str]:
        """The place that each split comes from."""

    @property
    def passed_over(self) -> Mapping[str, str]:
        """The count of what is not used, with an example, by reason."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines to show."""

    @property
    def cautions(self) -> tuple[str, ...]:
        """Lines that a person must know before trusting a number."""


def said_of_data(data: Understood, *, every_class: bool = False) -> tuple[str, ...]:
    """Return all that is said of a data set before it is used: `lines`, notes, and cautions."""
    more = [*data.notes, *map("Caution: {}".format, data.cautions)]
    return (*lines(data, every_class=every_class), *map(one_line, more))


def lines(data: Understood, *, every_class: bool = False) -> tuple[str, ...]:
    """Return the layout, the classes, each split with its place, and what was passed over."""
    said = [f"Data: {data.layout}", _classes(data.classes, every_class)]
    said += [_split(split, data) for split in SPLITS if data.counts.get(split)]
    if data.passed_over:
        said.append(_passed_over(data.passed_over, every_class))
    return tuple(map(one_line, said))


def origins(listing: Listing) -> dict[str, str]:
    """Say where each split comes from."""
    places: dict[str, str] = {part: str(place) for part, place in listing.places.items()}
    given = [part for part in SPLITS if part in listing.labels]
    if len(given) == 3:
        return {split: places[split] for split in SPLITS}
    # The shares are those of `splits.choose`.
    train = places["train"]
    if len(given) == 1:
        return {
            "train": f"60% of {train}",
            "val": f"20% of {train}, split off here",
            "test": f"20% of {train}, split off here",
        }
    return {
        "train": f"75% of {train}",
        "val": f"25% of {train}, split off here",
        "test": places[given[1]],
    }


def _classes(classes: Sequence[str], every_class: bool) -> str:
    rest = len(classes) - SHOWN
    if every_class or rest <= 0:
        return f"{len(classes):,} classes: {', '.join(classes)}"
    shown = ", ".join(classes[:SHOWN])
    return f"{len(classes):,} classes: {shown} and {rest:,} more (-v lists all)"


def _split(split: SplitName, data: Understood) -> str:
    counts = data.counts[split].values()
    least = min(counts)
    most = max(counts)
    each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    place = data.origins.get(split, "the same place")
    return f"{split}: {sum(counts):,} images, {each} per class, from {place}"


def _passed_over(passed_over: Mapping[str, str], every_reason: bool) -> str:
    reasons = [f"{reason} ({number})" for reason, number in passed_over.items()]
    rest = len(reasons) - SHOWN
    if rest > 0 and not every_reason:
        reasons = [*reasons[:SHOWN], f"and for {rest} more reasons"]
    return f"Passed over: {'; '.join(reasons)}"
