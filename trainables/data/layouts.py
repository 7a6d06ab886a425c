"""What the folders of a data set mean.

Where the meaning is certain it is used and said; where it is not, the folder is refused with both readings and what to type for
each.
"""

from __future__ import annotations

from dataclasses import replace
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


def read_layout(root: Folder, layout: str, passed: PassedOver) -> Layout:
    """Recognize a folder without a table.

    Args:
        root: What the user gave.
        layout: One of `LAYOUTS` but for `table`.
        passed: Gets what is not used.

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
    """The one certain reading of a level."""
    folder = level.folder
    if problem := refusal(level):
        raise DataError([problem])
    if not any(child.any_image() for child in level.children):
        reasons = "; ".join(f"{reason} ({number})" for reason, number in passed.lines().items())
        only = f" Passed over: {reasons}." if reasons and not folder.any_image() else ""
        raise DataError([no_classes(folder) + only])
    if is_class_first(level):
        return class_first(level, passed)
    inside = [child for found in level.splits.values() for child in found if class_level(child)]
    if not inside:
        if level.splits and not level.others:
            beside = in_folder(folder.others, folder.path)
            lines = [no_classes(child) for found in level.splits.values() for child in found][:3]
            raise DataError([*lines, *([f"{folder.path} also holds {beside}"] if beside else [])])
        if len(level.splits) > 1 and "train" in level.splits:
            names = " and ".join(found[0].name for found in level.splits.values())
            raise DataError(
                [
                    two_readings(
                        level, f"{names} without class folders beside {level.others[0].name}"
                    )
                ]
            )
        flat = [
            child.name
            for split, found in level.splits.items()
            if split != "train"
            for child in found
        ]
        if flat and len(level.others) > 1:  # nobody's class is called validation_images
            names = " and ".join(flat)
            raise DataError(
                [
                    two_readings(
                        level, f"{names} without class folders beside {level.others[0].name}"
                    )
                ]
            )
        return _flat(level, passed)  # classes called train, plane and car
    if "train" in level.splits:
        return _splits(level, passed)
    if same_classes(level):
        return _companions(level, passed)
    names = " and ".join(child.name for found in level.splits.values() for child in found)
    if level.others:
        rename = f"rename {level.others[0].name} to train where it is that"
        raise DataError(
            [two_readings(level, f"{names} beside {level.others[0].name}", mend=rename)]
        )
    alone = [child.path for found in level.splits.values() for child in found]
    mend = f", or give --data {typed(alone[0])} to read that alone" if len(alone) == 1 else ""
    raise DataError([f"{folder.path} must hold train beside {names}, but does not: add it{mend}."])


def _flat(level: Level, passed: PassedOver) -> Layout:
    """Each folder is a class, with all images below it."""
    folder = level.folder
    if 2 * len(folder.images) > folder.count:
        raise DataError(
            [
                f"{no_classes(folder).partition(': ')[0]} beside them: move them into class folders, or away."
            ]
        )
    if len(level.children) == 1:
        raise DataError([one_class(level)])
    for image in folder.images:
        passed.add("images beside class folders", shown(image, folder))
    parts = {child.name: tuple(child.all_images()) for child in level.children}
    notes = list(level.notes)
    if note := superclasses(level.children):
        notes.append(note)
    return Layout(
        said=f"a folder per class in {level.folder.path}",
        flag="classes",
        parts={"train": parts},
        places={"train": str(level.folder.path)},
        notes=tuple(notes),
    )


def _leaves(level: Level, passed: PassedOver) -> Layout:
    """Each folder that directly holds images is a class: in each split, where there are splits."""
    parts: dict[SplitName, ByClass] = {}
    places: dict[SplitName, str] = {}
    halves: dict[SplitName, Folder] = {"train": level.folder}
    if any(class_level(child) for found in level.splits.values() for child in found):
        if problems := _not_splits(
            level, passed
        ):  # else images of test would be among those of train
            raise DataError(problems)
        halves = {split: found[0] for split, found in level.splits.items()}
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
    """Train and its companions, each with a folder per class; what has no classes is for prediction alone."""
    if problems := _not_splits(level, passed):
        raise DataError(problems)
    train = holder_of(level.splits["train"][0])
    classes = {child.name for child in train.with_images}
    if not classes:
        raise DataError([no_classes(train)])
    parts: dict[SplitName, ByClass] = {}
    places: dict[SplitName, str] = {}
    notes = list(level.notes)
    tables: list[Path] = []
    for split, (folder, *_) in level.splits.items():
        inside = holder_of(folder)
        if (
            split != "train"
            and not labelled(folder, classes)
            and (by_table := labelled_by_table(folder, classes, level.folder))
        ):
            parts[split], table = by_table
            places[split] = str(folder.path)
            tables.append(table)
            notes.append(f"the labels of {folder.path} are those of {table}")
            continue
        if split != "train" and not labelled(folder, classes):
            example = next(folder.all_images(), folder.path)
            passed.add(
                f"without labels in {folder.name}/", shown(example, level.folder), folder.count
            )
            notes.append(
                f"{folder.path} has no class folders: it is left out of the {split} split, and is for `dvt predict`"
            )
            continue
        for image in inside.images:
            passed.add("images beside class folders", shown(image, level.folder))
        held = without_second_set(
            inside, [child for child in inside.folders if is_class(child)], passed, notes
        )
        parts[split] = {child.name: tuple(child.all_images()) for child in held}
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
    """Class folders, and beside them a test or val folder with the same classes."""
    if problems := [
        twice(level.folder, split, found) for split, found in level.splits.items() if len(found) > 1
    ]:
        raise DataError(problems)
    flat = Level(
        folder=level.folder,
        children=level.others,
        splits={},
        others=level.others,
        notes=level.notes,
    )
    train = _flat(flat, passed)
    parts = dict(train.parts)
    places = dict(train.places)
    notes = list(train.notes)
    for split, (folder, *_) in level.splits.items():
        if not class_level(folder):
            example = shown(next(folder.all_images(), folder.path), level.folder)
            passed.add(f"without labels in {folder.name}/", example, folder.count)
            notes.append(
                f"{folder.path} has no class folders: it is left out of the {split} split, and is for `dvt predict`"
            )
            continue
        inside = holder_of(folder)
        parts[split] = {
            child.name: tuple(child.all_images()) for child in inside.folders if is_class(child)
        }
        places[split] = str(inside.path)
    beside = " and ".join(f"{level.splits[split][0].name}/" for split in places if split != "train")
    note = f"the class folders of {level.folder.path} are the training images, {beside} in it is a split of its own"
    return Layout(
        said=f"a folder per class in {level.folder.path}, and in its {beside}",
        flag="",
        parts=parts,
        places=places,
        notes=(*notes, note),
    )


def _not_splits(level: Level, passed: PassedOver) -> list[str]:
    """The lines for folders that are not train and its companions."""
    problems = [
        twice(level.folder, split, found) for split, found in level.splits.items() if len(found) > 1
    ]
    if "train" not in level.splits:
        problems.append(
            f"{level.folder.path} must hold a folder for train, but does not: add it, or give another --layout."
        )
    return problems + _strangers(level, passed)


def _strangers(level: Level, passed: PassedOver) -> list[str]:
    """A line for each folder of images beside train that is no split; those without labels by their name are passed over."""
    strange = []
    certain = len(level.splits) > 1  # no two classes are called train and test
    for child in level.others:
        if not child.any_image():
            continue
        if (certain or means_unlabelled(child.name)) and not class_level(child):
            passed.add(
                f"without labels in {child.name}/",
                shown(next(child.all_images()), level.folder),
                child.count,
            )
            level.notes.append(
                f"{child.path} has no class folders: it is left out, and is for `dvt predict`"
            )
        elif ANNOTATIONS.fullmatch(child.name):
            passed.add(
                f"in {child.name}/", shown(next(child.all_images()), level.folder), child.count
            )
        else:
            strange.append(child.name)
    if not strange:
        return []
    found = ", ".join(map(repr, strange[:3]))
    return [
        two_readings(
            level,
            f"{found} beside {level.splits['train'][0].name}" if "train" in level.splits else found,
        )
    ]
