"""The contents of a folder on the command line: images in it and below it, and what is left out.

That is what is passed over, by reason, and what is closed to us.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from trainables.data.tree import ending_of, walk


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """Images and other things that folders hold.

    Attributes:
        images: In the order of the folders, those of a folder sorted, with those below it.
        passed: How many files were passed over, by reason.
        examples: One of them for each reason.
        closed: The folders that cannot be read.
    """

    images: list[Path] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Path] = field(default_factory=dict)
    closed: list[OSError] = field(default_factory=list)

    def add(self, other: Contents) -> None:
        """Add what another folder holds."""
        self.images.extend(other.images)
        self.passed.update(other.passed)
        for reason, path in other.examples.items():
            self.examples.setdefault(reason, path)
        self.closed.extend(other.closed)


def contents(folder: Path) -> Contents:
    """Look through a folder and all below it, as training does.

    Links are followed, litter of other systems is passed over.
    """
    inside = Contents()
    tree, passed = walk(folder, inside.closed)
    inside.images.extend(tree.all_images())

    # Files that are no images by their names are counted by ending.
    for path in tree.all_others():
        passed.add(ending_of(path), path.relative_to(folder).as_posix())
    inside.passed.update(passed.counts)
    for reason, example in passed.examples.items():
        inside.examples[reason] = folder / example
    return inside
