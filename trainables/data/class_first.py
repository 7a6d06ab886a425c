"""Sets in which the classes come first: `cat/train`, `cat/test`, `dog/train`, `dog/test`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainables.data.levels import Level, class_level, shown
from trainables.data.listing import SPLITS, SplitName
from trainables.data.problems import DataError
from trainables.data.recognized import Layout
from trainables.data.split_names import splits_of
from trainables.data.tree import Folder, PassedOver
from trainables.data.two_readings import twice


def is_class_first(level: Level) -> bool:
    """Return whether each folder is a class that holds splits, and nothing but splits."""
    if level.splits or len(level.children) < 2:
        return False
    return all(map(_holds_splits, level.children))


def _holds_splits(folder: Folder) -> bool:
    """Return whether a folder holds train, another split and nothing else."""
    inner = folder.with_images
    meant = splits_of(inside.name for inside in inner)
    if folder.images or len(inner) != len(meant):
        return False
    if len(meant) < 2 or "train" not in meant.values():
        return False
    # With class folders in its splits it is a set of its own.
    return not any(map(class_level, inner))


def class_first(level: Level, passed: PassedOver) -> Layout:
    """Read `cat/train`, `cat/test`, `dog/train`, `dog/test`.

    Raises:
        DataError: A class has no folder for train, or two for one split.
    """
    # Each folder in a class means a split, or is passed over.
    parts: dict[SplitName, dict[str, Sequence[Path]]] = {}
    problems = []
    for child in level.children:
        meant = splits_of(inner.name for inner in child.with_images)
        if "train" not in meant.values():
            problems.append(
                f"{child.path} must hold a train folder as the other classes do, but does not: "
                "add it."
            )
        for inner in child.with_images:
            split = meant.get(inner.name)
            if split is None:
                example = shown(next(inner.all_images()), level.folder)
                passed.add(f"in {inner.name}/, which is not a split", example, inner.count)
            elif child.name in parts.setdefault(split, {}):
                same = [sub for sub in child.with_images if meant.get(sub.name) == split]
                problems.append(twice(child, split, same))
            else:
                parts[split][child.name] = tuple(inner.all_images())
        for image in child.images:
            passed.add("images beside split folders", shown(image, level.folder))
    if problems:
        raise DataError(dict.fromkeys(problems))

    # The splits that any class has, in their usual order.
    folder = level.folder.path
    splits = sorted(parts, key=SPLITS.index)
    example = f"{level.children[0].name}/train"
    return Layout(
        said=f"a folder per class in {folder}, each with {', '.join(splits)}, such as {example}",
        flag="class-first",
        parts={split: parts[split] for split in splits},
        places={split: f"{folder}/*/{split}" for split in splits},
        notes=tuple(level.notes),
    )
