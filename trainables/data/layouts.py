"""The meaning of a data set's folders.

Where it is certain it is used and said; where it is not, the folder is refused with both readings
and what to type for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from trainables.data.class_first import class_first, is_class_first
from trainables.data.companions import labelled_by_table
from trainables.data.foreign import in_folder
from trainables.data.levels import (
    Level,
    class_level,
    holder_of,
    is_class,
    labelled,
    leaf_folders,
    level_of,
    same_classes,
    set_folder,
    shown,
    superclasses,
    typed,
    without_second_set,
)
from trainables.data.listing import SplitName
from trainables.data.problems import DataError
from trainables.data.recognized import ByClass, Layout
from trainables.data.split_names import means_unlabelled
from trainables.data.tree import ANNOTATIONS, Folder, PassedOver
from trainables.data.two_readings import no_classes, one_class, refusal, twice, two_readings

BESIDE_CLASSES = "images beside class folders"  # the reason why they are passed over


def read_layout(root: Folder, layout: str, passed: PassedOver) -> Layout:
    """Recognize a folder without a table.

    Args:
        root: What the user gave.
        layout: One of `LAYOUTS` but for `table`.
        passed: Collects what is not used.

    Raises:
        DataError: It has no classes, or two readings.
    """
    notes: list[str] = []
    folder = set_folder(root, passed, notes) if layout == "auto" else root
    level = level_of(folder, notes, passed)
    if folder is not root:
        level = replace(level, marks=(*root.marks, *level.marks))
    match layout:
        case "classes":
            return _flat(level, passed)
        case "leaves":
            return _leaves(level, passed)
        case "splits":
            return _splits(level, passed)
        case "class-first":
            return class_first(level, passed)
    return _recognized(level, passed)


def _recognized(level: Level, passed: PassedOver) -> Layout:
    """Return the one certain reading of a level."""
    # What nobody would call a set of classes.
    folder = level.folder
    if problem := refusal(level):
        raise DataError([problem])
    if not any(child.any_image() for child in level.children):
        raise DataError([_nothing(folder, passed)])

    # The readings, the likelier ones first.
    if is_class_first(level):
        return class_first(level, passed)
    called_splits = list(chain.from_iterable(level.splits.values()))
    if not any(map(class_level, called_splits)):
        return _without_class_folders(level, called_splits, passed)
    if "train" in level.splits:
        return _splits(level, passed)
    if same_classes(level):
        return _companions(level, passed)

    # Splits, but without train.
    names = " and ".join(child.name for child in called_splits)
    if level.others:
        stranger = level.others[0].name
        rename = f"rename {stranger} to train where it is that"
        raise DataError([two_readings(level, f"{names} beside {stranger}", mend=rename)])
    mend = "add it"
    if len(called_splits) == 1:
        mend += f", or give --data {typed(called_splits[0].path)} to read that alone"
    raise DataError([f"{folder.path} must hold train beside {names}, but does not: {mend}."])


def _nothing(folder: Folder, passed: PassedOver) -> str:
    """Return the line for a folder whose own folders hold no images."""
    line = no_classes(folder)
    reasons = "; ".join(f"{reason} ({number})" for reason, number in passed.lines().items())
    if reasons and not folder.any_image():
        line += f" Passed over: {reasons}."
    return line


def _without_class_folders(
    level: Level, called_splits: Sequence[Folder], passed: PassedOver
) -> Layout:
    """Read a level of which no folder called as a split is holds class folders.

    Args:
        level: The folder.
        called_splits: Those folders; there may be none.
        passed: Collects what is not used.
    """
    folder = level.folder
    if called_splits and not level.others:
        lines = [no_classes(child) for child in called_splits[:3]]
        beside = in_folder(folder.others, folder.path)
        if beside:
            lines.append(f"{folder.path} also holds {beside}")
        raise DataError(lines)

    # Nobody's class is called validation_images, but a class may be called train.
    flat: list[str] = []
    if len(level.splits) > 1 and "train" in level.splits:
        flat = [folders[0].name for folders in level.splits.values()]
    elif len(level.others) > 1:
        train = level.splits.get("train", ())
        flat = [child.name for child in called_splits if child not in train]
    if flat:
        what = f"{' and '.join(flat)} without class folders beside {level.others[0].name}"
        raise DataError([two_readings(level, what)])
    return _flat(level, passed)


def _flat(level: Level, passed: PassedOver) -> Layout:
    """Read each folder as a class, with all images below it."""
    folder = level.folder
    if 2 * len(folder.images) > folder.count:
        holds = no_classes(folder).partition(": ")[0]
        raise DataError([f"{holds} beside them: move them into class folders, or away."])
    if len(level.children) == 1:
        raise DataError([one_class(level)])
    for image in folder.images:
        passed.add(BESIDE_CLASSES, shown(image, folder))
    notes = list(level.notes)
    if note := superclasses(level.children):
        notes.append(note)
    return Layout(
        said=f"a folder per class in {level.folder.path}",
        flag="classes",
        parts={"train": _by_class(level.children)},
        places={"train": str(level.folder.path)},
        notes=tuple(notes),
    )


def _by_class(folders: Iterable[Folder]) -> ByClass:
    """Return all images in and below each folder, by its name."""
    return {folder.name: tuple(folder.all_images()) for folder in folders}


def _leaves(level: Level, passed: PassedOver) -> Layout:
    """Read each folder that directly holds images as a class, in each split where there are any."""
    halves: dict[SplitName, Folder] = {"train": level.folder}
    if any(map(class_level, chain.from_iterable(level.splits.values()))):
        # Else images of test would be among those of train.
        if problems := _not_splits(level, passed):
            raise DataError(problems)
        halves = {split: folders[0] for split, folders in level.splits.items()}
    parts: dict[SplitName, ByClass] = {}
    places: dict[SplitName, str] = {}
    # Leaves of one name are one class.
    for split, half in halves.items():
        by_class: dict[str, tuple[Path, ...]] = {}
        for leaf in leaf_folders(half):
            by_class[leaf.name] = (*by_class.get(leaf.name, ()), *leaf.images)
        parts[split] = by_class
        places[split] = str(half.path)
    return Layout(
        said=f"each folder that directly holds images is a class, in {level.folder.path}",
        flag="leaves",
        parts=parts,
        places=places,
        notes=tuple(level.notes),
    )


def _splits(level: Level, passed: PassedOver) -> Layout:
    """Read train and its companions, each with a folder per class.

    A companion without classes is for prediction alone.
    """
    if problems := _not_splits(level, passed):
        raise DataError(problems)
    # The classes are train's.
    train = holder_of(level.splits["train"][0])
    classes = {child.name for child in train.with_images}
    if not classes:
        raise DataError([no_classes(train)])
    parts: dict[SplitName, ByClass] = {}
    places: dict[SplitName, str] = {}
    notes = list(level.notes)
    tables: list[Path] = []
    for split, (folder, *_) in level.splits.items():
        # Labels by a table, or none at all.
        if split != "train" and not labelled(folder, classes):
            by_table = labelled_by_table(folder, classes, level.folder)
            if by_table is None:
                notes.append(_left_out(folder, split, level, passed))
                continue
            parts[split], table = by_table
            places[split] = str(folder.path)
            tables.append(table)
            notes.append(f"the labels of {folder.path} are those of {table}")
            continue

        # Class folders.
        inside = holder_of(folder)
        for image in inside.images:
            passed.add(BESIDE_CLASSES, shown(image, level.folder))
        held = list(filter(is_class, inside.folders))
        parts[split] = _by_class(without_second_set(inside, held, passed, notes))
        places[split] = str(inside.path)

    if note := superclasses(train.folders):
        notes.append(note)
    named = ", ".join(f"{Path(place).relative_to(level.folder.path)}/" for place in places.values())
    return Layout(
        said=f"a folder per class inside {named} of {level.folder.path}",
        flag="splits",
        parts=parts,
        places=places,
        tables=tuple(tables),
        notes=tuple(notes),
    )


def _companions(level: Level, passed: PassedOver) -> Layout:
    """Read class folders, and beside them a test or val folder with the same classes."""
    if problems := _named_twice(level):
        raise DataError(problems)
    flat = replace(level, children=level.others, splits={}, marks=())
    train = _flat(flat, passed)
    parts = dict(train.parts)
    places = dict(train.places)
    notes = list(train.notes)
    for split, (folder, *_) in level.splits.items():
        if not class_level(folder):
            notes.append(_left_out(folder, split, level, passed))
            continue
        inside = holder_of(folder)
        parts[split] = _by_class(filter(is_class, inside.folders))
        places[split] = str(inside.path)

    # What was understood.
    companions = [level.splits[split][0].name for split in places if split != "train"]
    beside = " and ".join(f"{name}/" for name in companions)
    note = (
        f"the class folders of {level.folder.path} are the training images, "
        f"{beside} in it is a split of its own"
    )
    return Layout(
        said=f"a folder per class in {level.folder.path}, and in its {beside}",
        flag="",
        parts=parts,
        places=places,
        notes=(*notes, note),
    )


def _not_splits(level: Level, passed: PassedOver) -> list[str]:
    """Return the lines for folders that are not train and its companions."""
    problems = _named_twice(level)
    if "train" not in level.splits:
        problems.append(
            f"{level.folder.path} must hold a folder for train, but does not: "
            "add it, or give another --layout."
        )
    return problems + _strangers(level, passed)


def _named_twice(level: Level) -> list[str]:
    """Return a line for each split that several folders mean."""
    several = {split: folders for split, folders in level.splits.items() if len(folders) > 1}
    return [twice(level.folder, split, folders) for split, folders in several.items()]


def _strangers(level: Level, passed: PassedOver) -> list[str]:
    """Return a line if folders of images beside train are no splits.

    Folders without labels by their name are passed over.
    """
    strange = []
    certain = len(level.splits) > 1  # no two classes are called train and test
    for child in level.others:
        if not child.any_image():
            continue
        if (certain or means_unlabelled(child.name)) and not class_level(child):
            level.notes.append(_left_out(child, None, level, passed))
        elif ANNOTATIONS.fullmatch(child.name):
            example = shown(next(child.all_images()), level.folder)
            passed.add(f"in {child.name}/", example, child.count)
        else:
            strange.append(child.name)
    if not strange:
        return []
    what = ", ".join(map(repr, strange[:3]))
    if "train" in level.splits:
        what += f" beside {level.splits['train'][0].name}"
    return [two_readings(level, what)]


def _left_out(folder: Folder, split: SplitName | None, level: Level, passed: PassedOver) -> str:
    """Pass over a folder without labels, which may be called as a split is, and return the note."""
    example = next(folder.all_images(), folder.path)
    passed.add(f"without labels in {folder.name}/", shown(example, level.folder), folder.count)
    left_out = f"left out of the {split} split" if split else "left out"
    return f"{folder.path} has no class folders: it is {left_out}, and is for `dvt predict`"
