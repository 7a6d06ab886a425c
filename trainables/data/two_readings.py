"""Folders that are refused: what only looks like classes, and what has two readings, with what to type for each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from trainables.data.class_names import alike
from trainables.data.foreign import in_folder
from trainables.data.groups import MINIMUM
from trainables.data.levels import STRAY, Level, class_level, holder_of, typed
from trainables.data.listing import SplitName
from trainables.data.split_names import in_each_name, splits_of
from trainables.data.tree import ANNOTATIONS, PICTURES, Folder

ENOUGH = 3 * MINIMUM
"""Images of a class from which train, val and test can be split: a reading with fewer is not offered."""

IN_COMMON = 0.5
"""Share of names that folders must have in common to be parts of one set rather than classes."""


def refusal(level: Level) -> str:
    """The line for a level that is no set of classes, or that may be several things; empty where it is neither."""
    return (
        _look_alike(level)
        or _sets(level)
        or _domains(level)
        or _wrapped(level)
        or _split_in_names(level)
    )


def no_classes(folder: Folder) -> str:
    """The line for a folder without class folders: what it holds in their place."""
    rule = f"{folder.path} must hold a folder for each class, but holds"
    table = "put a table labels.csv (image,label) beside them"
    images = list(folder.all_images())
    if not images:
        other = in_folder(folder.all_others(), folder.path)
        return (
            f"{rule} {other}"
            if other
            else f"{rule} none: give the folder of class folders, or add images."
        )
    count = f"{len(images):,} images directly" if folder.images else f"{len(images):,} images"
    boxes = {path.stem for path in folder.others} & {path.stem for path in folder.images}
    if 2 * len(boxes) > len(images):
        return f"{rule} {count}, with a text file for each: is this a set for detection? Give each image one label, or {table}."
    return f"{rule} {count}, such as {images[0].name}: part them into class folders, or {table}."


def one_class(level: Level) -> str:
    """The line for a single folder of images."""
    folder = level.folder
    beside = in_folder(folder.all_others(), folder.path)
    more = f" Beside it: {beside}" if beside else ""
    return (
        f"There must be at least 2 classes, but {folder.path} has {level.children[0].name!r} alone: part its images into a "
        f"folder per class, or put a table labels.csv (image,label) beside it.{more}"
    )


def two_readings(
    level: Level, what: str, mend: str = "move away what is no train, val or test"
) -> str:
    """The line for folders that may be splits or classes."""
    classes = _as_classes(level)
    mends = [f"give {classes} where each folder is a class", mend] if classes else [mend]
    return f"{level.folder.path} has two readings, since there is {what}: {', or '.join(mends)}."


def twice(folder: Folder, split: SplitName, found: Sequence[Folder]) -> str:
    """The line for two folders that mean one split."""
    names = " and ".join(repr(child.name) for child in found)
    return f"{folder.path} must hold one folder for {split}, but has {names}: merge them, or rename one."


def _look_alike(level: Level) -> str:
    """The line for a set of another task: detection, segmentation; empty where it is none."""
    by_name = {child.name: child for child in level.children}
    for child in sorted(
        level.children, key=lambda child: not child.name.startswith("train")
    ):  # train beside train_labels
        for end in range(1, len(child.name)):
            pictures = by_name.get(child.name[:end])
            if pictures is not None and _annotates(child, pictures):
                return _other_task(level, level.folder, pictures.name, child.name)
    places = [level.folder, *(holder_of(found[0]) for found in level.splits.values())]
    for place in places:  # images beside annotations, here or in each split
        flat = [child.name for child in place.with_images if not child.with_images]
        shown = [name for name in flat if PICTURES.fullmatch(name)]
        marks = [
            *place.marks,
            *(child.name for child in place.with_images if ANNOTATIONS.fullmatch(child.name)),
        ]
        if shown and marks and {*shown, *marks} >= set(flat):
            return _other_task(level, place, shown[0], marks[0])
    for found in level.splits.values():  # flat splits beside annotations, or with boxes in them
        part = found[0]
        if part.images and not part.with_images:
            boxes = [
                path.name
                for path in part.others
                if "annotation" in path.name.lower() or "coco" in path.name.lower()
            ]
            if marks := [*level.marks, *boxes]:
                return _other_task(level, level.folder, part.name, marks[0])
    return ""


def _annotates(marks: Folder, pictures: Folder) -> bool:
    """Whether a folder called like another one and a word for annotations belongs to it: `train_labels`, `scan_mask`.

    Of what may be a class (`face`, `face_mask`), the images must be called alike too.
    """
    rest = marks.name.removeprefix(pictures.name)
    if marks.with_images or not ANNOTATIONS.fullmatch(rest.strip(" _-")):
        return False
    if splits_of([pictures.name]):
        return True
    stems = {image.stem for image in pictures.images}
    both = [
        image
        for image in marks.images
        if not stems.isdisjoint((image.stem, re.sub(r"[ _-][^ _-]*$", "", image.stem)))
    ]
    return rest[0] in " _-" and 2 * len(both) > len(marks.images)


def _other_task(level: Level, folder: Folder, pictures: str, marks: str) -> str:
    names = {child.name for child in level.children}
    classes = ""
    if folder is level.folder and {pictures, marks} <= names and not level.splits:
        classes = (
            f", or give --data {typed(folder.path)} --layout classes where each folder is a class"
        )
    return (
        f"{folder.path} must hold a folder per class, but holds {pictures} and {marks}: is this a set for detection "
        f"or segmentation? Give each image one label, by class folders or by a table labels.csv (image,label) beside "
        f"them{classes}."
    )


def _sets(level: Level) -> str:
    """The line for folders of which one or more are sets of their own, with splits."""
    sets = [child for child in level.children if _is_set_with_splits(child)]
    if not sets or level.splits or len(level.children) < 2:
        return ""
    names = ", ".join(child.name for child in level.children[:3])
    some = ", ".join(child.name for child in sets[:3])
    return (
        f"{level.folder.path} must hold one set, but in it are {names}, and inside {some} are splits with class folders: give "
        f"--data {typed(max(sets, key=lambda child: child.count).path)}."
    )


def _is_set_with_splits(child: Folder) -> bool:
    """Whether a folder is no class, since it holds train and its companions, with class folders in them."""
    inner = holder_of(child).with_images
    meant = splits_of(sub.name for sub in inner)
    return (
        "train" in meant.values()
        and len(meant) > 1
        and any(class_level(sub) for sub in inner if sub.name in meant)
    )


def _domains(level: Level) -> str:
    """The line for folders that all hold the same class folders: parts or domains of one set, more likely than classes."""
    holding = [holder_of(child).with_images for child in level.children if child.any_image()]
    inner = [
        {alike(sub.name) for sub in folders if sub.images and not sub.with_images}
        for folders in holding
    ]
    if len(inner) < 2 or any(child.images for child in level.children) or level.splits:
        return ""
    common = set.intersection(*inner)
    if not (
        _numbered(level) and common == {str(number) for number in range(len(common))}
    ):  # patient_1/{0,1}
        common = {name for name in common if re.search(r"[^\W\d_]", name)}  # dates are no classes
    if len(common) < 2 or len(common) < IN_COMMON * len(set.union(*inner)) or _all_splits(level):
        return ""
    names = ", ".join(child.name for child in level.children[:3])
    classes = ", ".join(sub.name for sub in holder_of(level.children[0]).with_images[:3])
    mends = []
    sizes: Counter[str] = Counter()
    for sub in (sub for folders in holding for sub in folders):
        sizes[alike(sub.name)] += sub.count
    if min(sizes.values()) >= ENOUGH:
        mends.append(
            f"--data {typed(level.folder.path)} --layout leaves where these are the classes"
        )
    if as_classes := _as_classes(level):
        mends.append(f"{as_classes} where they are not")
    if whole := [
        child
        for child in level.children
        if min(sub.count for sub in holder_of(child).with_images) >= ENOUGH
    ]:
        mends.append(f"--data {typed(whole[0].path)} for one of them")
    give = (
        f"give {', or '.join(mends)}"
        if mends
        else f"each class needs {ENOUGH} images, so add some or join folders"
    )
    return (
        f"{level.folder.path} has two readings, since {names} hold folders of the same names ({classes}): {give}; splits must "
        "be called train, val and test."
    )


def _as_classes(level: Level) -> str:
    """What to type where each folder is a class; empty where one has too few images for that."""
    enough = all(child.count >= ENOUGH for child in level.children)
    return f"--data {typed(level.folder.path)} --layout classes" if enough else ""


def _numbered(level: Level) -> bool:
    """Whether the folders are called alike but for numbers, as parts of a heap, patients or folds are."""
    names = [child.name for child in level.children]
    return (
        all(re.search(r"\d", name) for name in names)
        and len({re.sub(r"\d+", "", name) for name in names}) == 1
    )


def _all_splits(level: Level) -> bool:
    """Whether the folders in all children are splits: `cat/train`."""
    return all(
        len(splits_of(sub.name for sub in child.with_images)) == len(child.with_images)
        for child in level.children
    )


def _wrapped(level: Level) -> str:
    """The line for a set in one folder beside a few images that are none of it, such as a logo."""
    deep = [child for child in level.children if not child.images and len(child.with_images) > 1]
    rest = [child for child in level.children if child not in deep]
    if (
        len(deep) != 1
        or level.splits
        or not rest
        or sum(child.count for child in rest) > STRAY * level.folder.count / 2
    ):
        return ""
    names = ", ".join(f"{child.name} ({child.count})" for child in rest[:3])
    return (
        f"{level.folder.path} has two readings, since {deep[0].name} holds folders of images and beside it are {names}: give "
        f"--data {typed(deep[0].path)}, or move {rest[0].name} away."
    )


def _split_in_names(level: Level) -> str:
    """The line for class folders whose names tell of splits."""
    names = [child.name for child in level.children]
    if not in_each_name(names):
        return ""
    classes = _as_classes(level)
    more = f", or give {classes} where each is a class" if classes else ""
    return (
        f"{level.folder.path} has two readings, since its folders tell of splits ({', '.join(names[:3])}): move them into "
        f"train/, val/ and test/{more}."
    )
