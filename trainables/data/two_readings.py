"""Folders that are refused: what only looks like classes, and what has two readings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from trainables.data.class_names import alike
from trainables.data.foreign import in_folder
from trainables.data.groups import MINIMUM
from trainables.data.levels import STRAY, Level, class_level, holder_of, typed
from trainables.data.listing import SplitName
from trainables.data.split_names import in_each_name, splits_of
from trainables.data.tree import ANNOTATIONS, PICTURES, Folder

ENOUGH = 3 * MINIMUM
"""Images per class from which train, val and test can be split.

A reading with fewer is not offered.
"""

IN_COMMON = 0.5
"""Share of names that folders must have in common to be parts of one set rather than classes."""


def refusal(level: Level) -> str:
    """Return the line for a level that is no set of classes, or may be several things.

    Empty where it is neither.
    """
    return (
        _look_alike(level)
        or _sets(level)
        or _domains(level)
        or _wrapped(level)
        or _split_in_names(level)
    )


def no_classes(folder: Folder) -> str:
    """Return the line for a folder without class folders: what it holds in their place."""
    rule = f"{folder.path} must hold a folder for each class, but holds"
    table = "put a table labels.csv (image,label) beside them"
    # A folder without images may hold data in another form.
    images = list(folder.all_images())
    if not images:
        other = in_folder(folder.all_others(), folder.path)
        if other:
            return f"{rule} {other}"
        return f"{rule} none: give the folder of class folders, or add images."
    count = f"{len(images):,} images"
    if folder.images:
        count += " directly"
    # Images with a text file of the same name each are those of YOLO.
    boxes = _stems(folder.others) & _stems(folder.images)
    if 2 * len(boxes) > len(images):
        return (
            f"{rule} {count}, with a text file for each: is this a set for detection? "
            f"Give each image one label, or {table}."
        )
    return f"{rule} {count}, such as {images[0].name}: sort them into class folders, or {table}."


def one_class(level: Level) -> str:
    """Return the line for a single folder of images."""
    folder = level.folder
    name = level.children[0].name
    line = (
        f"There must be at least 2 classes, but {folder.path} has only {name!r}: sort its images "
        f"into a folder per class, or put a table labels.csv (image,label) beside it."
    )
    beside = in_folder(folder.all_others(), folder.path)
    return f"{line} Beside it: {beside}" if beside else line


def two_readings(
    level: Level, what: str, mend: str = "move away what is not train, val or test"
) -> str:
    """Return the line for folders that may be splits or classes."""
    classes = _as_classes(level)
    if classes:
        mend = f"give {classes} where each folder is a class, or {mend}"
    return f"{level.folder.path} has two readings, since there is {what}: {mend}."


def twice(folder: Folder, split: SplitName, meant: Sequence[Folder]) -> str:
    """Return the line for two folders that mean one split."""
    names = " and ".join(repr(child.name) for child in meant)
    return (
        f"{folder.path} must hold one folder for {split}, but has {names}: "
        f"merge them, or rename one."
    )


def _look_alike(level: Level) -> str:
    """Return the line for a set of another task: detection, segmentation; empty for others."""
    annotated = next(_annotated(level), None)
    return _other_task(level, *annotated) if annotated else ""


def _annotated(level: Level) -> Iterator[tuple[Folder, str, str]]:
    """Yield the folders that hold pictures beside annotations, with the names of both."""
    # A folder beside one of a longer name: images and images_mask, train and train_labels.
    by_name = {child.name: child for child in level.children}
    for child in sorted(level.children, key=lambda child: not child.name.startswith("train")):
        for end in range(1, len(child.name)):
            pictures = by_name.get(child.name[:end])
            if pictures is not None and _annotates(child, pictures):
                yield level.folder, pictures.name, child.name

    # Images beside annotations, here or in each split.
    splits = [folders[0] for folders in level.splits.values()]
    for place in [level.folder, *map(holder_of, splits)]:
        flat = _names(_flat(place.with_images))
        shown = list(filter(PICTURES.fullmatch, flat))
        marks = [*place.marks, *filter(ANNOTATIONS.fullmatch, _names(place.with_images))]
        if shown and marks and {*shown, *marks} >= set(flat):
            yield place, shown[0], marks[0]

    # Flat splits beside annotations, or with boxes in them.
    for split in splits:
        if split.images and not split.with_images:
            boxes = next(filter(_has_boxes, split.others), None)
            if level.marks:
                yield level.folder, split.name, level.marks[0]
            elif boxes:
                yield level.folder, split.name, boxes.name


def _names(folders: Iterable[Folder]) -> list[str]:
    return [folder.name for folder in folders]


def _stems(files: Iterable[Path]) -> set[str]:
    return {file.stem for file in files}


def _has_boxes(file: Path) -> bool:
    """Return whether a file's name says that it holds boxes."""
    return "annotation" in file.name.lower() or "coco" in file.name.lower()


def _annotates(marks: Folder, pictures: Folder) -> bool:
    """Return whether a folder called like another and a word for annotations belongs to it.

    Such are `train_labels` and `scan_mask`. Of what may be a class (`face`, `face_mask`), the
    images must be called alike too.
    """
    rest = marks.name.removeprefix(pictures.name)
    if marks.with_images or not ANNOTATIONS.fullmatch(rest.strip(" _-")):
        return False
    if splits_of([pictures.name]):
        return True
    if rest[0] not in " _-":
        return False
    stems = _stems(pictures.images)
    both = 0
    for image in marks.images:
        # 1.png and 1_mask.png are both of 1.jpg.
        without_end = re.sub(r"[ _-][^ _-]*$", "", image.stem)
        both += image.stem in stems or without_end in stems
    return 2 * both > len(marks.images)


def _other_task(level: Level, folder: Folder, pictures: str, marks: str) -> str:
    classes = ""
    both_here = folder is level.folder and {pictures, marks} <= set(_names(level.children))
    if both_here and not level.splits:
        path = typed(folder.path)
        classes = f", or give --data {path} --layout classes where each folder is a class"
    return (
        f"{folder.path} must hold a folder per class, but holds {pictures} and {marks}: is this a "
        f"set for detection or segmentation? Give each image one label, by class folders or by a "
        f"table labels.csv (image,label) beside them{classes}."
    )


def _sets(level: Level) -> str:
    """Return the line for folders of which some are sets of their own, with splits."""
    sets = list(filter(_is_set_with_splits, level.children))
    if not sets or level.splits or len(level.children) < 2:
        return ""
    names = ", ".join(_names(level.children[:3]))
    some = ", ".join(_names(sets[:3]))
    largest = max(sets, key=lambda child: child.count)
    return (
        f"{level.folder.path} must hold one set, but in it are {names}, and inside {some} are "
        f"splits with class folders: give --data {typed(largest.path)}."
    )


def _is_set_with_splits(child: Folder) -> bool:
    """Return whether a folder holds train and its companions, with class folders in them."""
    inner = holder_of(child).with_images
    meant = splits_of(_names(inner))
    if "train" not in meant.values() or len(meant) < 2:
        return False
    return any(class_level(folder) for folder in inner if folder.name in meant)


def _domains(level: Level) -> str:
    """Return the line for folders that all hold the same class folders.

    They are parts or domains of one set, more likely than classes.
    """
    if level.splits or any(child.images for child in level.children):
        return ""
    holding = [holder_of(child).with_images for child in level.children if child.any_image()]
    if len(holding) < 2 or not _have_classes_in_common(level, holding) or _all_splits(level):
        return ""
    names = ", ".join(_names(level.children[:3]))
    classes = ", ".join(_names(holder_of(level.children[0]).with_images[:3]))
    return (
        f"{level.folder.path} has two readings, since {names} hold folders of the same names "
        f"({classes}): {_mends_of_domains(level, holding)}; splits must be called train, val and "
        f"test."
    )


def _have_classes_in_common(level: Level, holding: Sequence[Sequence[Folder]]) -> bool:
    """Return whether all hold at least 2 class folders of the same names, and few others."""
    inner = list(map(_class_names, holding))
    common = set.intersection(*inner)
    # Numbers are classes in patient_1/{0,1}; dates are none.
    numbers = set(map(str, range(len(common))))
    if common != numbers or not _numbered(level):
        common = {name for name in common if re.search(r"[^\W\d_]", name)}
    return len(common) >= max(2, IN_COMMON * len(set.union(*inner)))


def _flat(folders: Sequence[Folder]) -> list[Folder]:
    """Return the folders that hold images and no folders of images."""
    return [folder for folder in folders if folder.images and not folder.with_images]


def _class_names(folders: Sequence[Folder]) -> set[str]:
    return set(map(alike, _names(_flat(folders))))


def _mends_of_domains(level: Level, holding: Sequence[Sequence[Folder]]) -> str:
    """Return what to type for each reading that has enough images."""
    mends = []
    path = typed(level.folder.path)
    # Classes by the inner folders, by the outer ones, or one of the outer ones alone.
    sizes: Counter[str] = Counter()
    for folders in holding:
        for sub in folders:
            sizes[alike(sub.name)] += sub.count
    if min(sizes.values()) >= ENOUGH:
        mends.append(f"--data {path} --layout leaves where these are the classes")
    as_classes = _as_classes(level)
    if as_classes:
        mends.append(f"{as_classes} where they are not")
    for child in level.children:
        if min(sub.count for sub in holder_of(child).with_images) >= ENOUGH:
            mends.append(f"--data {typed(child.path)} for one of them")
            break
    if mends:
        return f"give {', or '.join(mends)}"
    return f"each class needs {ENOUGH} images, so add some or merge folders"


def _as_classes(level: Level) -> str:
    """Return what to type where each folder is a class; empty where one has too few images."""
    enough = all(child.count >= ENOUGH for child in level.children)
    return f"--data {typed(level.folder.path)} --layout classes" if enough else ""


def _numbered(level: Level) -> bool:
    """Return whether the folders are called alike but for numbers, as patients or folds are."""
    names = _names(level.children)
    without = {re.sub(r"\d+", "", name) for name in names}
    return len(without) == 1 and without.isdisjoint(names)


def _all_splits(level: Level) -> bool:
    """Return whether the folders in all children are splits: `cat/train`."""
    for child in level.children:
        inner = _names(child.with_images)
        if len(splits_of(inner)) != len(inner):
            return False
    return True


def _wrapped(level: Level) -> str:
    """Return the line for a set in one folder beside a few images such as a logo."""
    deep = [child for child in level.children if not child.images and len(child.with_images) > 1]
    rest = [child for child in level.children if child not in deep]
    if len(deep) != 1 or level.splits or not rest:
        return ""
    if sum(child.count for child in rest) > STRAY * level.folder.count / 2:
        return ""
    names = ", ".join(f"{child.name} ({child.count})" for child in rest[:3])
    return (
        f"{level.folder.path} has two readings, since {deep[0].name} holds folders of images and "
        f"beside it are {names}: give --data {typed(deep[0].path)}, or move {rest[0].name} away."
    )


def _split_in_names(level: Level) -> str:
    """Return the line for class folders whose names tell of splits."""
    names = _names(level.children)
    if not in_each_name(names):
        return ""
    mend = "move them into train/, val/ and test/"
    classes = _as_classes(level)
    if classes:
        mend += f", or give {classes} where each is a class"
    return (
        f"{level.folder.path} has two readings, since its folders tell of splits "
        f"({', '.join(names[:3])}): {mend}."
    )
