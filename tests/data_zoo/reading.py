"""What the product makes of a case: the one place that calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.data_zoo.case import Case
from tests.data_zoo.pictures import Pixels
from trainables.data import understood
from trainables.data.dataset import Caps, DataError, ReadOptions, inspect, prepare, read

ALL = Caps(train=10**6, val=10**6, test=10**6)
IMAGE_SIZE = 32


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A set that is used.

    Counts by split and class, all lines shown, pixels by split where it was decoded.
    """

    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    lines: tuple[str, ...]
    images: Mapping[str, Pixels]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The lines with which a set is refused."""

    lines: tuple[str, ...]


def reading(
    data: str, flags: Mapping[str, object], cache: Path, *, decode: bool = False
) -> Reading | Refusal:
    """Look at --data with some flags, and decode it if asked for.

    What `inspect` accepts and `prepare` refuses is a refusal: a damaged file is found when it is
    decoded.
    """
    how = ReadOptions(
        **{"layout": "auto", "columns": None, "group": None, "keep_copies": False, **flags}
    )
    try:
        summary = inspect(data, caps=ALL, seed=0, cache=cache, how=how)
        lines = (*understood.lines(summary), *summary.notes)
        if not decode:
            return Reading(classes=summary.classes, counts=summary.counts, lines=lines, images={})
        prepared = prepare(data, image_size=IMAGE_SIZE, caps=ALL, seed=0, cache=cache, how=how)
    except DataError as error:
        return Refusal(lines=error.problems)
    opened = read(prepared.path, test=True)
    images = {name: opened.split(name).images for name in ("train", "val", "test")}
    return Reading(
        classes=prepared.classes,
        counts=prepared.counts,
        lines=(*lines, *understood.lines(prepared), *prepared.notes, *prepared.cautions),
        images=images,
    )


def reading_of(case: Case, data: str, cache: Path) -> Reading | Refusal:
    """What the product makes of a case."""
    return reading(data, case.flags, cache, decode=case.decode)
