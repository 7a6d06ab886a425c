"""Class names that differ in Unicode form, case or outer spaces alone: one class across splits, refused beside each other."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from trainables.data.listing import SplitName
from trainables.problems import shortened

Item = TypeVar("Item")


def alike(name: str) -> str:
    """What two spellings of one name share: Unicode's compatible form, without case, outer spaces and what takes no room."""
    seen = "".join(
        character for character in name if unicodedata.category(character) != "Cf"
    )  # a zero-width space
    return unicodedata.normalize("NFKC", " ".join(seen.split())).casefold()


def twins(names: Iterable[str], place: str) -> list[str]:
    """A line for names in one place that are alike: nobody can tell them apart, and one of them is a slip."""
    first: dict[str, str] = {}
    lines = []
    for name in names:
        other = first.setdefault(alike(name), name)
        if other != name:
            lines.append(
                f"Classes must have names that differ in more than case, spaces or Unicode form, but {place} has {other!r} and "
                f"{name!r}: rename one, or merge them."
            )
    return shortened(lines, "pairs of classes are alike")


def unified(
    parts: Mapping[SplitName, Mapping[str, Sequence[Item]]],
) -> tuple[dict[SplitName, dict[str, Sequence[Item]]], list[str]]:
    """Each split's classes under the name that train has for them, or that comes first, and a note where names differ."""
    known: dict[str, str] = {}
    notes = []
    renamed: dict[SplitName, dict[str, Sequence[Item]]] = {}
    for part, by_class in parts.items():
        renamed[part] = {}
        for name, items in by_class.items():
            shared = known.setdefault(alike(name), name)
            renamed[part][shared] = items
            if shared != name:
                notes.append(f"class {name!r} of {part} is read as {shared!r}")
    return renamed, shortened(notes, "classes of other splits are written differently")
