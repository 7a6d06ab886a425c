"""A folder in which a table gives the classes, or in which a table and class folders both do."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
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

_FOR_PREDICTION = "it is left out, and is for `dvt predict`"

AGREE = 0.99
"""Share of images for which table and folders must say the same, to be two words for one thing."""


def read_tree(root: Folder, how: ReadOptions, passed: PassedOver) -> Layout:
    """Recognize a folder with or without a table.

    Raises:
        DataError: It has no classes, or two readings.
    """
    _check(how)
    folder = set_folder(root, PassedOver(), [])
    where = root
    table: Table | None = None
    if how.layout in ("auto", "table"):
        where, table = _where(root, folder, how)
    asked = how.layout == "table" or how.columns is not None
    if table is None:
        if asked:
            line = f"{root.path} must hold a table of labels, but has none: add labels.csv with the"
            raise DataError([f"{line} columns image,label."])
        return read_layout(root, how.layout, passed)

    by_table = _by_table(where, table)
    if where not in (root, folder):
        by_table = _with_companions(by_table, folder, where, passed)
    if asked:
        return by_table

    # What the folders' reading passes over counts only if that reading is the one that is used.
    passed_by_folders = PassedOver()
    try:
        by_folders = read_layout(root, "auto", passed_by_folders)
    except DataError:
        # The problems to name are those of the table.
        return by_table
    settled = _settled(root, table, by_table, by_folders)
    if settled is not by_table:
        passed.add_all(passed_by_folders)
    return settled


def _check(how: ReadOptions) -> None:
    """Refuse an unknown layout, and columns with a layout that has none.

    Raises:
        DataError: Either.
    """
    if how.layout not in LAYOUTS:
        raise DataError([unknown_name(how.layout, LAYOUTS, "layout")])
    if how.columns and how.layout not in ("auto", "table"):
        columns = shlex.quote(",".join(how.columns))
        raise DataError(
            [
                f"--columns must go with --layout table, but is {columns} beside "
                f"--layout {how.layout}: leave one of them out."
            ]
        )


def _where(root: Folder, folder: Folder, how: ReadOptions) -> tuple[Folder, Table | None]:
    """Return the folder that has a table of labels, with it.

    That is the given folder, the one that holds the set, or its train folder.
    """
    places = [root]
    if folder is not root:
        places.append(folder)
    meant = _meant(folder)
    train = [name for name, split in meant.items() if split == "train"]
    places += [part for part in folder.with_images if part.name in train and not part.with_images]
    for place in places:
        table = _table_of(place, how)
        if table is not None and (table.ids or place in (root, folder)):
            return place, table
    return root, None


def _meant(folder: Folder) -> Mapping[str, SplitName]:
    """Return the split that the name of each folder of images in it means."""
    return splits_of(child.name for child in folder.with_images)


def _table_of(folder: Folder, how: ReadOptions) -> Table | None:
    names = [path.name for path in folder.others]
    if not names:
        return None
    files = [below(image, folder.path) for image in folder.all_images()]
    return find_table(folder.path, names, columns=how.columns, group=how.group, files=files)


def _by_table(folder: Folder, table: Table) -> Layout:
    """Return what the table says of a folder."""
    images = list(folder.all_images())
    files = [below(image, folder.path) for image in images]
    matched = match(table, files)
    splits = _splits(table, matched, files)
    # Rows without a usable file are among the problems of `matched`.
    parts: dict[SplitName, dict[str, list[Path]]] = {}
    groups: dict[Path, str] = {}
    for row, file in zip(matched.rows, matched.files, strict=True):
        by_class = parts.setdefault(splits[row], {})
        by_class.setdefault(table.labels[row], []).append(images[file])
        if table.groups:
            groups[images[file]] = table.groups[row]

    # The first note of a table says what was understood of it.
    given = _given(parts) or ["train"]
    said, *notes = table.notes or (f"table {table.path}",)
    notes += matched.notes
    notes += _unlabelled(folder, {images[file] for file in matched.files})
    return Layout(
        said=f"{said}, with images in {folder.path}",
        flag="table",
        parts={split: parts.get(split, {}) for split in given},
        places=_places(table, given),
        groups=groups if table.groups else None,
        tables=(table.path, *table.more),
        header=table.header,
        notes=tuple(notes),
        problems=tuple(_problems(table, matched, parts)),
    )


def _given(parts: Collection[SplitName]) -> list[SplitName]:
    """Return the splits that have images, in their order."""
    return [split for split in SPLITS if split in parts]


def _places(table: Table, splits: Sequence[SplitName]) -> dict[SplitName, str]:
    if len(splits) == 1:
        return dict.fromkeys(splits, f"{table.path}")
    return {split: f"{table.path} ({split})" for split in splits}


def _problems(
    table: Table, matched: Matched, parts: Mapping[SplitName, Mapping[str, Sequence[Path]]]
) -> list[str]:
    """Return what forbids using a table's classes."""
    problems = [*table.problems, *matched.problems]
    if parts and "train" not in parts:
        given = " and ".join(_given(parts))
        problems.append(
            f"{table.path} must have images of train among its splits, but has {given}: add them."
        )
    classes: set[str] = set().union(*parts.values())
    if len(classes) == 1 and not problems:
        problems.append(
            f"There must be at least 2 classes, but {table.path} has only {classes.pop()!r}: give "
            f"the right columns with --columns IMAGE,LABEL, or write them into labels.csv "
            f"(image,label)."
        )
    return problems


def _with_companions(layout: Layout, folder: Folder, train: Folder, passed: PassedOver) -> Layout:
    """Add val and test beside a train folder that has a table.

    They are given by tables of their own, or are left out and said to be.
    """
    classes = _class_names(layout)
    meant = _meant(folder)
    for child in folder.with_images:
        split = meant.get(child.name)
        if child is train or split is None or split in layout.parts:
            continue
        # A table of its own, whose classes are the same, gives its labels.
        labelled = labelled_by_table(child, classes, folder)
        if labelled:
            by_class, table = labelled
            layout = replace(
                layout,
                parts={**layout.parts, split: by_class},
                places={**layout.places, split: str(table)},
                tables=(*layout.tables, table),
            )
            layout = _noted(layout, f"the labels of {child.path} are those of {table}")
        else:
            example = shown(next(child.all_images()), folder)
            passed.add(f"without labels in {child.name}/", example, child.count)
            state = "has no labels of the same classes"
            layout = _noted(layout, f"{child.path} {state}: {_FOR_PREDICTION}")
    return layout


def _noted(layout: Layout, note: str) -> Layout:
    return replace(layout, notes=(*layout.notes, note))


def _unlabelled(folder: Folder, labelled: set[Path]) -> Iterator[str]:
    """Yield a note for each folder of a split's name without a labelled image."""
    meant = _meant(folder)
    for child in folder.with_images:
        if child.name in meant and labelled.isdisjoint(child.all_images()):
            yield f"{child.path} has no labels: {_FOR_PREDICTION}"


def _splits(table: Table, matched: Matched, files: Sequence[str]) -> Mapping[int, SplitName]:
    """Return the split of each row.

    The table gives it; or the folders that the files are in, where all are in folders that mean
    splits; else all are of train.
    """
    splits: dict[int, SplitName] = dict.fromkeys(matched.rows, "train")
    if table.splits is not None:
        for split in SPLITS:
            splits |= {row: split for row in matched.rows if table.splits[row] == split}
        return splits
    tops = [files[file].partition("/")[0] for file in matched.files]
    meant = splits_of(set(tops))
    if len(meant) < 2 or "train" not in meant.values() or set(tops) != meant.keys():
        return splits
    return {row: meant[top] for row, top in zip(matched.rows, tops, strict=True)}


def _settled(root: Folder, table: Table, by_table: Layout, by_folders: Layout) -> Layout:
    """Return the reading of a folder that has both classes by folders and a table.

    Raises:
        DataError: They contradict each other.
    """
    name = table.path.name
    if len(_class_names(by_folders)) < 2:
        return by_table
    # A table that the folders' reading uses gives the labels of its test split.
    if by_folders.tables:
        return by_folders
    if by_table.problems or not any(by_table.parts.values()):
        why = "it names no image"
        if by_table.problems:
            why = by_table.problems[0].partition(": ")[0]
        return _noted(by_folders, f"{name} is not used beside class folders ({why})")
    if not _say_the_same(by_table, by_folders):
        if _are_parts(by_folders):
            return by_table
        raise DataError([_two_readings(root, table, by_table, by_folders)])
    if table.splits is None and table.groups is None:
        return _noted(by_folders, f"{name} gives the same classes as the folders")
    # The table knows splits or groups, too.
    return by_table


def _say_the_same(by_table: Layout, by_folders: Layout) -> bool:
    """Return whether each class of the table is one class of the folders, under any name."""
    folder_of = dict(_labelled(by_folders))
    pairs: Counter[tuple[str, str]] = Counter()
    for path, label in _labelled(by_table):
        if path in folder_of:
            pairs[label, folder_of[path]] += 1
    same = sum(count for (label, folder), count in pairs.items() if alike(label) == alike(folder))
    if pairs and same >= AGREE * pairs.total():
        return True

    # One label per folder, and one folder per label.
    labels = {label for label, _ in pairs}
    folders = {folder for _, folder in pairs}
    return len(pairs) == len(labels) == len(folders) > 1


def _labelled(layout: Layout) -> Iterator[tuple[Path, str]]:
    """Yield each image with its class."""
    for by_class in layout.parts.values():
        for name, paths in by_class.items():
            for path in paths:
                yield path, name


def _class_names(layout: Layout) -> set[str]:
    return set().union(*layout.parts.values())


def _are_parts(layout: Layout) -> bool:
    """Return whether class folders are mere parts of one heap: `part_1` and `part_2`."""
    names = _class_names(layout)
    shapes = {re.sub(r"\d+", "#", name) for name in names}
    return len(names) > 1 and len(shapes) == 1 and bool(re.search(r"[A-Za-z]{3}", shapes.pop()))


def _two_readings(root: Folder, table: Table, by_table: Layout, by_folders: Layout) -> str:
    labels = ", ".join(sorted(_class_names(by_table))[:3])
    folders = ", ".join(sorted(_class_names(by_folders))[:3])
    path = shlex.quote(str(set_folder(root, PassedOver(), []).path))
    mend = f"move {table.path.name} away"
    if by_folders.flag:
        mend = f"--data {path} --layout {by_folders.flag}"
    return (
        f"{root.path} has two readings, classes by {table.path.name} ({labels}, …) and by folders "
        f"({folders}, …): give --data {path} --layout table, or {mend}."
    )
