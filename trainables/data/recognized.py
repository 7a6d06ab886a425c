"""The images of a folder by split and class, in the words in which its owner is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.listing import SplitName

ByClass = Mapping[str, Sequence[Path]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The classes and splits that were recognized.

    Attributes:
        said: What was recognized, in words.
        flag: The value of --layout that gives the same; empty where none does.
        parts: Images by split and by class, as the folders are called. `train` alone is a set
            without splits.
        places: The user's name for each part.
        groups: By image, the group that a table gives it.
        tables: Tables that were used.
        header: The names of their columns.
        notes: Lines to show.
        problems: Lines that forbid using the set.
    """

    said: str
    flag: str
    parts: Mapping[SplitName, ByClass]
    places: Mapping[SplitName, str]
    groups: Mapping[Path, str] | None = None
    tables: tuple[Path, ...] = ()
    header: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
