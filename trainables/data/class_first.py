"""Sets in which the classes come first: `cat/train`, `cat/test`, `dog/train`, `dog/test`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainables.data.levels import Level, class_level, shown
from trainables.data.listing import SPLITS, SplitName
from trainables.data.problems import DataError
from trainables.data.recognized import Layout
from trainables.data.split_names import splits_of
from trainables.data.tree import PassedOver
from trainables.data.two_readings import twice


def is_class_first(level: Level) -> bool:
    """Whether each folder is a class that holds splits, and nothing but splits."""
    if level.splits or len(level.children) < 2:
        return False
    for child in level.children:
        inner = child.with_images
        meant = splits_of(folder.name for folder in inner)
        if (
            child.images
            or len(inner) != len(meant)
            or "train" not in meant.values()
            or len(meant) < 2
        ):
            return False
        if any(class_level(folder) for folder in inner):
            return False  # each is a set of its own
    return True


def class_first(level: Level, passed: PassedOver) -> Layout:
    """`cat/train`, `cat/test`, `dog/train`, `dog/test`."""
    parts: dict[SplitName, dict[str, Sequence[Path]]] = {}
    problems = []
    for child in level.children:
        meant = splits_of(inner.name for inner in child.with_images)
        if "train" not in meant.values():
            problems.append(
                f"{child.path} must hold a train folder as the other classes do, but does not: add it."
            )
        for inner in child.with_images:
            split = meant.get(inner.name)
            if split is None:
                example = shown(next(inner.all_images()), level.folder)
                passed.add(f"in {inner.name}/, which is no split", example, inner.count)
            elif child.name in parts.setdefault(split, {}):
                problems.append(
                    twice(
                        child,
                        split,
                        [sub for sub in child.with_images if meant.get(sub.name) == split],
                    )
                )
            else:
                parts[split][child.name] = tuple(inner.all_images())
        for image in child.images:
            passed.add("images beside split folders", shown(image, level.folder))
    if problems:
        raise DataError(dict.fromkeys(problems))
    found = [split for split in SPLITS if split in parts]
    return Layout(
        said=f"a folder per class in {level.folder.path}, each with {', '.join(found)}, such as {level.children[0].name}/train",
        flag="class-first",
        parts={split: parts[split] for split in found},
        places={split: f"{level.folder.path}/*/{split}" for split in found},
        notes=tuple(level.notes),
    )
