"""A folder in which a table gives the classes, or in which a table and class folders say the same, or contradict each other."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trainables.data.class_names import alike
from trainables.data.companions import labelled_by_table
from trainables.data.layouts import read_layout
from trainables.data.levels import set_folder, shown
from trainables.data.listing import SPLITS, SplitName, below
from trainables.data.problems import DataError
from trainables.data.reading import LAYOUTS, ReadOptions
from trainables.data.recognized import Layout
from trainables.data.split_names import splits_of
from trainables.data.table_choice import find_table
from trainables.data.table_files import Matched, match
from trainables.data.tables import Table
from trainables.data.tree import Folder, PassedOver
from trainables.problems import unknown_name

AGREE = 0.99
"""Share of images for which table and folders must say the same, to be two words for one thing."""


def read_tree(root: Folder, how: ReadOptions, passed: PassedOver) -> Layout:
    """Recognize a folder with or without a table.

    Raises:
        DataError: It has no classes, or two readings.
    """
    if how.layout not in LAYOUTS:
        raise DataError([unknown_name(how.layout, LAYOUTS, "layout")])
    if how.columns and how.layout not in ("auto", "table"):
        columns = shlex.quote(",".join(how.columns))
        raise DataError(
            [
                f"--columns must go with --layout table, but is {columns} beside --layout {how.layout}: leave one of them out."
            ]
        )
    folder = set_folder(root, PassedOver(), [])
    where, table = _where(root, folder, how) if how.layout in ("auto", "table") else (root, None)
    if table is None:
        if how.layout == "table" or how.columns:
            raise DataError(
                [
                    f"{root.path} must hold a table of labels, but has none: add labels.csv with the columns image,label."
                ]
            )
        return read_layout(root, how.layout, passed)
    asked = how.layout == "table" or how.columns is not None
    images = list(where.all_images())
    files = [below(image, where.path) for image in images]
    matched = match(table, files)
    by_table = _layout(where, table, matched, images, files)
    if where not in (root, folder):
        by_table = _with_companions(by_table, folder, where, passed)
    if asked:
        return by_table
    own = PassedOver()  # by the folders, whose reading may not be the one that is used
    try:
        by_folders = read_layout(root, "auto", own)
    except DataError:
        return by_table  # whose problems are the ones to name
    settled = _settled(root, table, by_table, by_folders)
    if settled is not by_table:
        passed.add_all(own)
    return settled


def _where(root: Folder, folder: Folder, how: ReadOptions) -> tuple[Folder, Table | None]:
    """The folder that has a table of labels: the given one, the one that holds the set, or its train folder."""
    places = [root, folder] if folder is not root else [root]
    meant = splits_of(child.name for child in folder.with_images)
    places += [
        child
        for child in folder.with_images
        if meant.get(child.name) == "train" and not child.with_images
    ]
    for place in places:
        table = _table_of(place, how)
        if table is not None and (table.ids or place in (root, folder)):
            return place, table
    return root, None


def _table_of(folder: Folder, how: ReadOptions) -> Table | None:
    names = [path.name for path in folder.others]
    if not names:
        return None
    files = [below(image, folder.path) for image in folder.all_images()]
    return find_table(folder.path, names, columns=how.columns, group=how.group, files=files)


def _layout(
    folder: Folder, table: Table, matched: Matched, images: Sequence[Path], files: Sequence[str]
) -> Layout:
    """What the table says."""
    notes_on_rest = _unlabelled(folder, {images[file] for file in matched.files})
    splits = _splits(table, matched, files)
    parts: dict[SplitName, dict[str, list[Path]]] = {}
    groups: dict[Path, str] = {}
    for row, file in zip(matched.rows, matched.files, strict=True):
        part = parts.setdefault(splits.get(row, "train"), {})
        part.setdefault(table.labels[row], []).append(images[file])
        if table.groups:
            groups[images[file]] = table.groups[row]
    found = [split for split in SPLITS if split in parts] or ["train"]
    problems = [*table.problems, *matched.problems]
    if "train" not in found:
        problems.append(
            f"{table.path} must have images of train among its splits, but has {' and '.join(found)}: add them."
        )
    classes = sorted({label for by_class in parts.values() for label in by_class})
    if len(classes) == 1 and not problems:
        problems.append(
            f"There must be at least 2 classes, but {table.path} has {classes[0]!r} alone: give the columns that are meant "
            "with --columns IMAGE,LABEL, or write them into labels.csv (image,label)."
        )
    said, *notes = table.notes or (f"table {table.path}",)
    return Layout(
        said=f"{said}, with images in {folder.path}",
        flag="table",
        parts={split: parts.get(split, {}) for split in found},
        places={
            split: f"{table.path}" if len(found) == 1 else f"{table.path} ({split})"
            for split in found
        },
        groups=groups if table.groups else None,
        tables=(table.path, *table.more),
        header=table.header,
        notes=(*notes, *matched.notes, *notes_on_rest),
        problems=tuple(problems),
    )


def _with_companions(layout: Layout, folder: Folder, train: Folder, passed: PassedOver) -> Layout:
    """Val and test beside a train folder that has a table: by tables of their own, or left out and said."""
    classes = {label for by_class in layout.parts.values() for label in by_class}
    meant = splits_of(child.name for child in folder.with_images)
    for child in folder.with_images:
        split = meant.get(child.name)
        if child is train or split is None or split in layout.parts:
            continue
        if by_table := labelled_by_table(child, classes, folder):
            parts, table = by_table
            layout = replace(
                layout,
                parts={**layout.parts, split: parts},
                places={**layout.places, split: str(table)},
                tables=(*layout.tables, table),
                notes=(*layout.notes, f"the labels of {child.path} are those of {table}"),
            )
        else:
            passed.add(
                f"without labels in {child.name}/",
                shown(next(child.all_images()), folder),
                child.count,
            )
            note = f"{child.path} has no labels of the same classes: it is left out, and is for `dvt predict`"
            layout = replace(layout, notes=(*layout.notes, note))
    return layout


def _unlabelled(folder: Folder, labelled: set[Path]) -> list[str]:
    """A note for each folder of a split's name without a labelled image."""
    meant = splits_of(child.name for child in folder.with_images)
    rest = [
        child
        for child in folder.with_images
        if child.name in meant and labelled.isdisjoint(child.all_images())
    ]
    return [
        f"{child.path} has no labels: it is left out, and is for `dvt predict`" for child in rest
    ]


def _splits(table: Table, matched: Matched, files: Sequence[str]) -> Mapping[int, SplitName]:
    """The split of each row: by the table, or by the folders that the files are in, where all are in one of several."""
    if table.splits is not None:
        return {
            row: split for row in matched.rows for split in SPLITS if table.splits[row] == split
        }
    tops = {
        row: files[file].partition("/")[0]
        for row, file in zip(matched.rows, matched.files, strict=True)
    }
    meant = splits_of(set(tops.values()))
    if len(meant) < 2 or "train" not in meant.values() or set(tops.values()) != meant.keys():
        return {}
    return {row: meant[top] for row, top in tops.items()}


def _settled(root: Folder, table: Table, by_table: Layout, by_folders: Layout) -> Layout:
    """The reading of a folder that has both classes by folders and a table."""
    name = table.path.name
    if len({label for _, label in _classes(by_folders)}) < 2:
        return by_table
    if by_folders.tables:  # for its test split
        return by_folders
    if by_table.problems or not any(by_table.parts.values()):
        why = by_table.problems[0].partition(": ")[0] if by_table.problems else "it names no image"
        return replace(
            by_folders,
            notes=(*by_folders.notes, f"{name} is not used beside class folders ({why})"),
        )
    if not _say_the_same(by_table, by_folders):
        if _are_parts(by_folders):
            return by_table
        raise DataError([_two_readings(root, table, by_table, by_folders)])
    if table.splits is None and table.groups is None:
        return replace(
            by_folders,
            notes=(*by_folders.notes, f"{name} says of the classes what the folders say"),
        )
    return by_table  # which knows splits or groups, too


def _say_the_same(by_table: Layout, by_folders: Layout) -> bool:
    """Whether each class of the table is one class of the folders, under any name."""
    folder_of = dict(_classes(by_folders))
    pairs = [(label, folder_of[path]) for path, label in _classes(by_table) if path in folder_of]
    if not pairs:
        return False
    same = sum(alike(label) == alike(folder) for label, folder in pairs)
    if same >= AGREE * len(pairs):
        return True
    found = set(pairs)
    return (
        len(found) == len({label for label, _ in found}) == len({folder for _, folder in found}) > 1
    )


def _classes(layout: Layout) -> Iterator[tuple[Path, str]]:
    for by_class in layout.parts.values():
        for name, paths in by_class.items():
            yield from ((path, name) for path in paths)


def _are_parts(layout: Layout) -> bool:
    """Whether class folders are mere parts of one heap: `part_1` and `part_2`."""
    names = {name for by_class in layout.parts.values() for name in by_class}
    shapes = {re.sub(r"\d+", "#", name) for name in names}
    return len(names) > 1 and len(shapes) == 1 and bool(re.search(r"[A-Za-z]{3}", shapes.pop()))


def _two_readings(root: Folder, table: Table, by_table: Layout, by_folders: Layout) -> str:
    one, other = (
        ", ".join(sorted({name for by_class in layout.parts.values() for name in by_class})[:3])
        for layout in (by_table, by_folders)
    )
    path = shlex.quote(str(set_folder(root, PassedOver(), []).path))
    folders = (
        f"--data {path} --layout {by_folders.flag}"
        if by_folders.flag
        else f"move {table.path.name} away"
    )
    return (
        f"{root.path} has two readings, classes by {table.path.name} ({one}, …) and by folders ({other}, …): give "
        f"--data {path} --layout table, or {folders}."
    )
