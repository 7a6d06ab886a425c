"""Class names that differ in Unicode form, case or outer spaces alone.

Across splits they are one class; in one place they are refused.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from trainables.data.listing import SplitName
from trainables.problems import shortened

Item = TypeVar("Item")


def alike(name: str) -> str:
    """Return what two spellings of one name share.

    It is Unicode's compatible form, without case, outer spaces and what takes no room.
    """
    # Cf is the category of a zero-width space.
    seen = "".join(character for character in name if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFKC", " ".join(seen.split())).casefold()


def twins(names: Iterable[str], place: str) -> list[str]:
    """Return lines for names in one place that are alike: one of the two is a slip."""
    first: dict[str, str] = {}
    lines = []
    for name in names:
        other = first.setdefault(alike(name), name)
        if other != name:
            lines.append(
                "Classes must have names that differ in more than case, spaces or Unicode form, "
                f"but {place} has {other!r} and {name!r}: rename one, or merge them."
            )
    return shortened(lines, "pairs of classes are alike")


def unified(
    parts: Mapping[SplitName, Mapping[str, Sequence[Item]]],
) -> tuple[dict[SplitName, dict[str, Sequence[Item]]], list[str]]:
    """Give each class the name that train has for it, or that comes first.

    Returns:
        Each split's classes, and a note for each that was renamed.
    """
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
