"""What was understood of a data set, in lines that its owner can check before a night of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from trainables.data.listing import SPLITS, Listing, SplitName
from trainables.problems import one_line

SHOWN = 5  # names of classes, and reasons for which files are passed over, in a line


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
        """What was recognized."""

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each split comes from."""

    @property
    def passed_over(self) -> Mapping[str, str]:
        """What is not used: by reason how many, and an example."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines to show."""

    @property
    def cautions(self) -> tuple[str, ...]:
        """Lines that a person must know before he trusts a number."""


def said_of_data(data: Understood, *, every_class: bool = False) -> tuple[str, ...]:
    """All that is said of a data set before it is used: what was understood, notes, and cautions."""
    more = (*data.notes, *(f"Caution: {line}" for line in data.cautions))
    return (*lines(data, every_class=every_class), *map(one_line, more))


def lines(data: Understood, *, every_class: bool = False) -> tuple[str, ...]:
    """The layout, the classes, the images of each split with where they come from, and what was passed over."""
    said = [f"Data: {data.layout}", _classes(data.classes, every_class)]
    said += [_split(split, data) for split in SPLITS if data.counts.get(split)]
    if data.passed_over:
        reasons = [f"{reason} ({number})" for reason, number in data.passed_over.items()]
        rest = len(reasons) - SHOWN
        more = [f"and for {rest} more reasons"] if rest > 0 and not every_class else []
        said.append(
            f"Passed over: {'; '.join([*reasons[: None if every_class else SHOWN], *more])}"
        )
    return tuple(map(one_line, said))


def origins(listing: Listing) -> dict[str, str]:
    """Where each split comes from, in words."""
    places: Mapping[str, str] = {part: str(place) for part, place in listing.places.items()}
    given = [part for part in SPLITS if part in listing.labels]
    if len(given) == 3:
        return {split: places[split] for split in SPLITS}
    if len(given) == 1:
        return {
            "train": f"60% of {places['train']}",
            "val": f"20% of {places['train']}, split off here",
            "test": f"20% of {places['train']}, split off here",
        }
    other = given[1]
    return {
        "train": f"75% of {places['train']}",
        "val": f"25% of {places['train']}, split off here",
        "test": places[other],
    }


def _classes(classes: Sequence[str], every_class: bool) -> str:
    shown = classes if every_class else classes[:SHOWN]
    rest = len(classes) - len(shown)
    more = f" and {rest:,} more (-v lists all)" if rest else ""
    return f"{len(classes):,} classes: {', '.join(shown)}{more}"


def _split(split: SplitName, data: Understood) -> str:
    counts = data.counts[split].values()
    least, most = min(counts), max(counts)
    each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    total = sum(counts)
    return f"{split}: {total:,} images, {each} per class, from {data.origins.get(split, 'the same place')}"
