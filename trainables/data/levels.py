"""A folder whose own folders are looked at: which of them hold images, which are splits, and how deep classes lie."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainables.data.class_names import alike
from trainables.data.listing import SPLITS, SplitName
from trainables.data.problems import DataError
from trainables.data.split_names import splits_of
from trainables.data.tree import ANNOTATIONS, PICTURES, Folder, PassedOver

STRAY = 0.25
"""Share of images beside class folders up to which they are strays, and above which the folder is a class of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """A folder whose own folders are looked at, and what they may be."""

    folder: Folder
    children: tuple[Folder, ...]  # with images
    splits: Mapping[SplitName, tuple[Folder, ...]]
    others: tuple[Folder, ...]  # with images, and no split's name
    marks: tuple[str, ...] = ()  # annotations and masks beside it
    notes: list[str] = field(default_factory=list)


def level_of(folder: Folder, notes: list[str], passed: PassedOver) -> Level:
    """Look at a folder's own folders."""
    children = without_second_set(
        folder, [child for child in folder.folders if is_class(child)], passed, notes
    )
    meant = splits_of(child.name for child in children)
    splits = {
        split: tuple(child for child in children if meant.get(child.name) == split)
        for split in SPLITS
    }
    return Level(
        folder=folder,
        children=tuple(children),
        splits={split: found for split, found in splits.items() if found},
        others=tuple(child for child in children if child.name not in meant),
        marks=folder.marks,
        notes=notes,
    )


def set_folder(root: Folder, passed: PassedOver, notes: list[str]) -> Folder:
    """The folder that holds the set: the given one, or the only one in it that holds anything, and so on."""
    folder = root
    while (inner := _only_inner(folder)) is not None:
        folder = inner
    if folder is not root:
        notes.append(f"{root.path} only wraps {folder.path.relative_to(root.path)}/, which is read")
    return folder


def _only_inner(folder: Folder) -> Folder | None:
    """The one folder that holds all images, where it can be no class: it holds folders of images itself."""
    holding = _without_annotations(folder)
    if folder.images or len(holding) != 1 or holding[0].images:
        return None
    inner = holding[0]
    return None if splits_of([inner.name]) or not inner.with_images else inner


def _without_annotations(folder: Folder) -> tuple[Folder, ...]:
    """Folders with images, without masks and their like where there is a folder of pictures beside them."""
    holding = folder.with_images
    pictures = [child for child in holding if PICTURES.fullmatch(child.name)]
    return tuple(child for child in holding if not (pictures and ANNOTATIONS.fullmatch(child.name)))


def without_second_set(
    folder: Folder, children: list[Folder], passed: PassedOver, notes: list[str]
) -> list[Folder]:
    """The folders but for one that holds the same set again: a folder for each of its siblings, with the same files."""
    for child in children:
        if len(children) < 3 or len(child.folders) < len(children) - 1:
            continue  # before anything is made for each child: there may be thousands
        inner = {sub.name: sub for sub in child.with_images}
        beside = {other.name: other for other in children if other is not child}
        if not beside.keys() <= inner.keys():
            continue
        if splits_of([child.name]) and not splits_of([folder.name]):
            continue  # a split beside the class folders
        if _files_of(inner, beside) <= _files_of(beside, beside):
            passed.add(
                f"in a second copy of the set, {child.name}/",
                shown(next(child.all_images()), folder),
                child.count,
            )
            notes.append(f"{child.path} holds the same set again and is passed over")
            return [other for other in children if other is not child]
        rest = sum(other.count for other in beside.values())
        mend = (
            f"give {typed(child.path)}, or move it away"
            if child.count >= rest
            else f"move {child.name} away, or merge the two"
        )
        raise DataError(
            [
                f"{folder.path} must hold one set, but {child.name}/ in it has folders of the same names "
                f"({', '.join(list(beside)[:3])}) with other files: {mend}."
            ]
        )
    return children


def _files_of(folders: Mapping[str, Folder], names: Mapping[str, object]) -> set[str]:
    return {
        f"{name}/{image.relative_to(folders[name].path).as_posix()} of {image.stat().st_size} bytes"
        for name in names
        for image in folders[name].all_images()
    }


def holder_of(folder: Folder) -> Folder:
    """Where a split's class folders are: in it, or in the only folder that it holds (`seg_train/seg_train`)."""
    while not folder.images and len(folder.with_images) == 1:
        inner = folder.with_images[0]
        if inner.images or not inner.with_images:
            break
        folder = inner
    return folder


def class_level(folder: Folder) -> bool:
    """Whether a split's folder holds class folders, apart from a few strays beside them."""
    inside = holder_of(folder)
    held = inside.with_images
    if len(held) == 1 and (
        PICTURES.fullmatch(held[0].name) or alike(held[0].name) == alike(folder.name)
    ):
        return False  # all its images, in one folder more
    return bool(held) and len(inside.images) <= STRAY * inside.count


def leaf_folders(folder: Folder) -> Iterator[Folder]:
    """The folders in it, or it itself, that directly hold images."""
    if folder.images:
        yield folder
    for child in folder.folders:
        yield from leaf_folders(child)


def is_class(child: Folder) -> bool:
    """Whether it holds images, or nothing at all: an empty class is a mistake that is named, a folder of code is none."""
    return child.any_image() or child.empty()


def shown(path: Path, root: Folder) -> str:
    """A path as it is told: below the folder that was given."""
    return path.relative_to(root.path).as_posix() if path.is_relative_to(root.path) else str(path)


def typed(path: Path) -> str:
    """A path as it is typed in a shell."""
    return shlex.quote(str(path))


def labelled(folder: Folder, classes: set[str]) -> bool:
    """Whether a companion of train has its classes: one name in common is enough, the others are named."""
    if not class_level(folder):
        return False
    held = holder_of(folder).with_images
    return len(held) > 1 or alike(held[0].name) in {alike(name) for name in classes}


def superclasses(classes: Sequence[Folder]) -> str:
    """The note for folders of folders, whose names may be the classes that were meant."""
    deep = [child for child in classes if not child.images and len(child.with_images) > 1]
    if not deep:
        return ""
    inner = [sub.name for sub in deep[0].with_images]
    leaves = sum(1 for child in classes for _ in leaf_folders(child))
    some = ", ".join(inner[:3]) + (", …" if len(inner) > 3 else "")
    return (
        f"folders inside a class belong to it, such as {some} in {deep[0].name}; with --layout leaves each of the {leaves} "
        "folders of images is a class"
    )


def same_classes(level: Level) -> bool:
    """Whether splits beside class folders have classes that these have."""
    names = {alike(child.name) for child in level.others}
    found = [
        {alike(inner.name) for inner in holder_of(folder).with_images}
        for (folder, *_) in level.splits.values()
    ]
    return len(names) > 1 and all(inner <= names for inner in found)
