"""A folder of image files, with the classes, splits and groups by its folders and tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeAlias, TypeVar

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
PerImage = TypeVar("PerImage", Rows, Sequence[Stamp])


def image_folder(root: Path, how: ReadOptions) -> Source:
    """Return the set in a folder, by its folders or by a table in it.

    Raises:
        DataError: It has no classes, or more than one reading.
    """
    tree, passed = walk(root)
    layout = read_tree(tree, how, passed)
    # What else would be found follows from these problems.
    if layout.problems:
        raise DataError(layout.problems)
    _pass_over_others(tree, passed, layout.tables)
    return _source(root, layout, passed, how)


def _source(root: Path, layout: Layout, passed: PassedOver, how: ReadOptions) -> Source:
    """Return the source of what was recognized: known by each file's path, size and change."""
    # One name per class.
    alike: list[str] = []
    for part, by_class in layout.parts.items():
        alike += twins(by_class, layout.places[part])
    parts, renamed = unified(layout.parts)
    classes = tuple(sorted(set().union(*parts.values())))

    # The images in the order of their parts and classes.
    order = [part for part in SPLITS if part in parts]
    labels: dict[SplitName, Rows] = {}
    paths: list[Path] = []
    for part in order:
        of_classes = [parts[part].get(name, ()) for name in classes]
        labels[part] = np.repeat(np.arange(len(classes)), list(map(len, of_classes)))
        paths += chain.from_iterable(of_classes)
    groups, group_problems = _groups(root, paths, layout, how.group)
    stamps = list(map(_stamp, paths))
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

    # Headers of all files are read once, for the preview or for loading.
    def load() -> tuple[Listing, Pixels]:
        unread = shortened(once_per_cause(files.problems), "files are not readable images")
        problems = (*listing.problems, *unread)
        if problems:
            return replace(listing, problems=problems), files
        return replace(listing, cautions=tuple(cautions(paths))), files

    # The counts of the classes, with the images' order, say all labels.
    counts = [np.bincount(labels[part], minlength=len(classes)).tolist() for part in order]
    numbers = [] if groups is None else groups.tolist()
    stats = [(below(path, root), *stamp[2:]) for path, stamp in zip(paths, stamps, strict=True)]
    return Source(
        name=plain_name(root.resolve().name),
        identity=["folder", order, classes, counts, numbers, str(root.resolve()), stats],
        preview=lambda: load()[0],
        load=load,
    )


def _groups(
    root: Path, paths: Sequence[Path], layout: Layout, pattern: str | None
) -> tuple[Rows | None, list[str]]:
    """Return a number per image, and problems.

    It is numbered by the table's column, or by what the pattern finds in its path.
    """
    if pattern is None:
        return None, []
    if layout.groups is not None:
        return _numbers([layout.groups[path] for path in paths]), []
    try:
        expression = re.compile(pattern)
    except re.error as error:
        problem = (
            "--group must be a column of the table or a regular expression, "
            f"but {pattern!r} is neither ({error}): correct it."
        )
        return None, [problem]

    # The first group of the expression, or all that it matches.
    names: list[str] = []
    missing: list[str] = []
    for path in paths:
        name = below(path, root)
        match = expression.search(name)
        if match is None:
            missing.append(name)
        elif expression.groups and match[1] is not None:
            names.append(match[1])
        else:
            names.append(match[0])

    if missing:
        return None, [_no_match(pattern, missing, len(paths), layout.header)]
    distinct = sorted(set(names))
    if len(distinct) < 3:
        problem = (
            f"--group {pattern!r} must find 3 groups or more, but finds {len(distinct)}, "
            f"{' and '.join(map(repr, distinct))}: make it more specific."
        )
        return None, [problem]
    return _numbers(names), []


def _no_match(pattern: str, missing: Sequence[str], number: int, header: Sequence[str]) -> str:
    """Return the line for a pattern that some of the images' paths do not match."""
    rule = f"--group {pattern!r} must be a column of the table or match each image's path"
    if len(missing) < number:
        some = f"does not match {len(missing):,}, such as {missing[0]!r}"
        return f"{rule}, but {some}: widen the expression."
    columns = f"; columns are {', '.join(map(repr, header))}" if header else ""
    return f"{rule}, but matches none of {number:,}, such as {missing[0]!r}{columns}: correct it."


def _said_of_groups(
    groups: Rows | None, labels: Mapping[SplitName, Rows], name: str | None
) -> list[str]:
    """Return notes: how many groups there are, and how many images given splits lose to them."""
    if groups is None:
        return []
    notes = [f"{len(np.unique(groups)):,} groups by {name!r}, each on one side of every split"]
    parts = _by_part(labels, groups)
    pairs: tuple[tuple[SplitName, SplitName], ...] = (
        ("train", "test"),
        ("train", "val"),
        ("val", "test"),
    )
    for lower, higher in pairs:
        if lower not in parts or higher not in parts:
            continue
        lost = int(np.isin(parts[lower], parts[higher]).sum())
        if lost:
            notes.append(
                f"{lost:,} {lower} images are left out, since others of their group are in {higher}"
            )
    return notes


def _same_files(
    labels: Mapping[SplitName, Rows], stamps: Sequence[Stamp], layout: Layout
) -> list[str]:
    """Return a line for each split whose files are all those of train, by a link."""
    parts = _by_part(labels, stamps)
    train = {stamp[:2] for stamp in parts.pop("train", ()) if any(stamp)}
    lines = []
    for part, of_part in parts.items():
        if of_part and all(stamp[:2] in train for stamp in of_part):
            lines.append(
                f"{layout.places[part]} must hold other images than train, but its files are those "
                f"of {layout.places['train']}: remove it, or give other images."
            )
    return lines


def _by_part(labels: Mapping[SplitName, Rows], items: PerImage) -> dict[SplitName, PerImage]:
    """Cut what is listed per image into the parts."""
    start = 0
    parts = {}
    for part, of_part in labels.items():
        parts[part] = items[start : start + len(of_part)]
        start += len(of_part)
    return parts


def _numbers(names: Sequence[str]) -> Rows:
    """Return a number per name, the same for the same name."""
    numbers: Rows = np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)
    return numbers


def _stamp(path: Path) -> Stamp:
    """Return device, number, size and time of change of a file.

    A dead link has zeros; it is named with the files that are no images.
    """
    try:
        stat = path.stat()
    except OSError:
        return 0, 0, 0, 0
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _pass_over_others(tree: Folder, passed: PassedOver, used: Sequence[Path]) -> None:
    """Count the files that are no images and were not used, by how their names end."""
    for path in tree.all_others():
        if path not in used:
            passed.add(ending_of(path), below(path, tree.path))
