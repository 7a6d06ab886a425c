"""A folder of image files: what its folders and tables say of classes, splits and groups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from trainables.data.class_names import twins, unified
from trainables.data.decode import Files, cautions
from trainables.data.listing import (
    SPLITS,
    Listing,
    Pixels,
    Rows,
    Source,
    SplitName,
    below,
    plain_name,
)
from trainables.data.problems import DataError
from trainables.data.reading import ReadOptions
from trainables.data.recognized import Layout
from trainables.data.table_layout import read_tree
from trainables.data.tree import Folder, PassedOver, ending_of, walk
from trainables.problems import once_per_cause, shortened

Stamp: TypeAlias = tuple[int, int, int, int]


def image_folder(root: Path, how: ReadOptions) -> Source:
    """The set in a folder, by its folders or by a table in it.

    Raises:
        DataError: It has no classes, or more than one reading.
    """
    tree, passed = walk(root)
    layout = read_tree(tree, how, passed)
    if layout.problems:  # what else would be found follows from them
        raise DataError(layout.problems)
    _pass_over_others(tree, passed, layout.tables)
    return _source(root, layout, passed, how)


def _source(root: Path, layout: Layout, passed: PassedOver, how: ReadOptions) -> Source:
    """The source of what was recognized: known by each file's path, size and time of change."""
    alike = [
        line
        for part, by_class in layout.parts.items()
        for line in twins(by_class, layout.places[part])
    ]
    parts, renamed = unified(layout.parts)
    classes = tuple(sorted({name for by_class in parts.values() for name in by_class}))
    order = [part for part in SPLITS if part in parts]
    paths = [path for part in order for name in classes for path in parts[part].get(name, ())]
    groups, group_problems = _groups(root, paths, layout, how.group)
    labels = {part: _labels(classes, parts[part]) for part in order}
    stamps = [_stamp(path) for path in paths]
    listing = Listing(
        classes=classes,
        labels=labels,
        places={part: layout.places[part] for part in order},
        layout=layout.said,
        passed_over=passed.lines(),
        groups=groups,
        notes=(*layout.notes, *renamed, *_said_of_groups(groups, labels, how.group)),
        problems=(*alike, *group_problems, *_same_files(labels, stamps, layout)),
    )
    files = Files(paths, root)

    def load() -> tuple[Listing, Pixels]:
        problems = (
            *listing.problems,
            *shortened(once_per_cause(files.problems), "files are no readable images"),
        )
        looked = () if problems else cautions(paths)
        return replace(listing, problems=problems, cautions=tuple(looked)), files

    stats = [(below(path, root), *stamp[2:]) for path, stamp in zip(paths, stamps, strict=True)]
    sizes = [
        np.bincount(labels[part], minlength=len(classes)).tolist() for part in order
    ]  # with the order, all labels
    number = [] if groups is None else groups.tolist()
    return Source(
        name=plain_name(root.resolve().name),
        identity=["folder", order, classes, sizes, number, str(root.resolve()), stats],
        preview=lambda: load()[0],
        load=load,
    )


def _labels(classes: Sequence[str], by_class: Mapping[str, Sequence[Path]]) -> Rows:
    return np.repeat(np.arange(len(classes)), [len(by_class.get(name, ())) for name in classes])


def _groups(
    root: Path, paths: Sequence[Path], layout: Layout, pattern: str | None
) -> tuple[Rows | None, list[str]]:
    """A number per image: by the table's column, or by what the pattern finds in its path; a line where it finds nothing."""
    if pattern is None:
        return None, []
    if layout.groups is not None:
        return _numbers([layout.groups[path] for path in paths]), []
    try:
        expression = re.compile(pattern)
    except re.error as error:
        return None, [
            f"--group must be a column of the table or a regular expression, but {pattern!r} is none ({error})."
        ]
    names: list[str] = []
    missing: list[str] = []
    for path in paths:
        name = below(path, root)
        match = expression.search(name)
        if match is None:
            missing.append(name)
        else:
            names.append(match[1] if expression.groups and match[1] is not None else match[0])
    if missing:
        rule = f"--group {pattern!r} must be a column of the table or be found in each image's path"
        if len(missing) == len(paths):
            columns = (
                f"; columns are {', '.join(map(repr, layout.header))}" if layout.header else ""
            )
            return None, [
                f"{rule}, but in none of {len(paths):,}, such as {missing[0]!r}{columns}: correct it."
            ]
        return None, [
            f"{rule}, but {len(missing):,} have no match, such as {missing[0]!r}: widen the expression."
        ]
    if len(set(names)) < 3:
        found = " and ".join(map(repr, sorted(set(names))))
        return None, [
            f"--group {pattern!r} must find 3 groups or more, but finds {len(set(names))}, {found}: narrow it."
        ]
    return _numbers(names), []


def _said_of_groups(
    groups: Rows | None, labels: Mapping[SplitName, Rows], name: str | None
) -> list[str]:
    """How many groups there are, and how many images given splits lose to them."""
    if groups is None:
        return []
    said = [f"{len(np.unique(groups)):,} groups by {name!r}, each on one side of every split"]
    ends = np.cumsum([len(of_part) for of_part in labels.values()])[:-1]
    parts = dict(zip(labels, np.split(groups, ends), strict=True))
    for lower, higher in (("train", "test"), ("train", "val"), ("val", "test")):
        if lower in parts and higher in parts:
            lost = int(np.isin(parts[lower], parts[higher]).sum())
            if lost:
                said.append(
                    f"{lost:,} {lower} images are left out, since others of their group are in {higher}"
                )
    return said


def _same_files(
    labels: Mapping[SplitName, Rows], stamps: Sequence[Stamp], layout: Layout
) -> list[str]:
    """A line for a split whose files are all those of train, by a link."""
    ends = np.cumsum([len(of_part) for of_part in labels.values()]).tolist()
    parts = {
        part: stamps[end - len(labels[part]) : end] for part, end in zip(labels, ends, strict=True)
    }
    train = {stamp[:2] for stamp in parts.get("train", ()) if any(stamp)}
    return [
        f"{layout.places[part]} must hold other images than train, but its files are those of {layout.places['train']}: "
        "take it away, or give other images."
        for part in ("val", "test")
        if part in parts
        and parts[part]
        and all(any(stamp) and stamp[:2] in train for stamp in parts[part])
    ]


def _numbers(names: Sequence[str]) -> Rows:
    numbers: Rows = np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)
    return numbers


def _stamp(path: Path) -> Stamp:
    """Device, number, size and time of change; zeros for a dead link, which is named with the files that are no images."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0, 0, 0
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _pass_over_others(tree: Folder, passed: PassedOver, used: Sequence[Path]) -> None:
    """Count the files that are no images and were not used, by how their names end."""
    for path in tree.all_others():
        if path in used:
            continue
        passed.add(ending_of(path), below(path, tree.path))
