"""A folder whose own folders are looked at.

Which of them hold images, which are splits, and how deep classes lie.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from trainables.data.class_names import alike
from trainables.data.listing import SPLITS, SplitName
from trainables.data.problems import DataError
from trainables.data.split_names import splits_of
from trainables.data.tree import ANNOTATIONS, PICTURES, Folder, PassedOver

STRAY = 0.25
"""Share of images beside class folders up to which they are strays; with more it is a class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """A folder whose own folders are looked at, and what they may be.

    Attributes:
        folder: Itself.
        children: Its folders with images, or without any file.
        splits: Those that are called as a split is, by split.
        others: Those that are not.
        marks: Names of annotations and masks in it.
        notes: Lines to show, which are added to.
    """

    folder: Folder
    children: tuple[Folder, ...]
    splits: Mapping[SplitName, tuple[Folder, ...]]
    others: tuple[Folder, ...]
    marks: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def level_of(folder: Folder, notes: list[str], passed: PassedOver) -> Level:
    """Look at a folder's own folders."""
    # The folders that may be classes, and the split that each name means.
    children = without_second_set(folder, list(filter(is_class, folder.folders)), passed, notes)
    meant = splits_of(child.name for child in children)
    splits: dict[SplitName, tuple[Folder, ...]] = {}
    for split in SPLITS:
        called_so = tuple(child for child in children if meant.get(child.name) == split)
        if called_so:
            splits[split] = called_so
    return Level(
        folder=folder,
        children=tuple(children),
        splits=splits,
        others=tuple(child for child in children if child.name not in meant),
        marks=folder.marks,
        notes=notes,
    )


def set_folder(root: Folder, passed: PassedOver, notes: list[str]) -> Folder:
    """Return the folder that holds the set: the given one, or the only one in it with images."""
    folder = root
    while (inner := _only_inner(folder)) is not None:
        folder = inner
    if folder is not root:
        notes.append(f"{root.path} only wraps {folder.path.relative_to(root.path)}/, which is read")
    return folder


def _only_inner(folder: Folder) -> Folder | None:
    """Return the one folder that holds all images, unless it may be a class or a split."""
    holding = _without_annotations(folder)
    if folder.images or len(holding) != 1 or holding[0].images:
        return None
    inner = holding[0]
    if splits_of([inner.name]) or not inner.with_images:
        return None
    return inner


def _without_annotations(folder: Folder) -> tuple[Folder, ...]:
    """Return the folders with images, without masks and their like beside a folder of pictures."""
    holding = folder.with_images
    if not any(PICTURES.fullmatch(child.name) for child in holding):
        return holding
    return tuple(child for child in holding if not ANNOTATIONS.fullmatch(child.name))


def without_second_set(
    folder: Folder, children: list[Folder], passed: PassedOver, notes: list[str]
) -> list[Folder]:
    """Return the folders but for one that holds the same set again.

    Such a folder holds a folder for each of its siblings, with the same files.

    Raises:
        DataError: It does, but with other files.
    """
    for child in children:
        # Before anything is made for each child: there may be thousands.
        if len(children) < 3 or len(child.folders) < len(children) - 1:
            continue
        inner = {sub.name: sub for sub in child.with_images}
        beside = {other.name: other for other in children if other is not child}
        if not beside.keys() <= inner.keys():
            continue
        # A split beside the class folders.
        if splits_of([child.name]) and not splits_of([folder.name]):
            continue

        if not _files_of(inner, beside) <= _files_of(beside, beside):
            raise DataError([_two_sets(folder, child, beside)])
        example = shown(next(child.all_images()), folder)
        passed.add(f"in a second copy of the set, {child.name}/", example, child.count)
        notes.append(f"{child.path} holds the same set again and is passed over")
        return list(beside.values())
    return children


def _two_sets(folder: Folder, child: Folder, beside: Mapping[str, Folder]) -> str:
    """Return the line for a folder that holds folders called like its siblings, but not the same.

    Args:
        folder: What holds all of them.
        child: That folder.
        beside: Its siblings by their names.
    """
    mend = f"move {child.name} away, or merge the two"
    if child.count >= sum(other.count for other in beside.values()):
        mend = f"give {typed(child.path)}, or move it away"
    names = ", ".join(list(beside)[:3])
    return (
        f"{folder.path} must hold one set, but {child.name}/ in it has folders of the same names "
        f"({names}) with other files: {mend}."
    )


def _files_of(folders: Mapping[str, Folder], names: Iterable[str]) -> set[tuple[str, Path, int]]:
    """Return the images of some folders: the folder's name, the path in it, the size in bytes."""
    files = set()
    for name in names:
        folder = folders[name]
        for image in folder.all_images():
            files.add((name, image.relative_to(folder.path), image.stat().st_size))
    return files


def holder_of(folder: Folder) -> Folder:
    """Return what holds a split's class folders: it, or the only folder in it (`train/train`)."""
    # As long as there is one folder of folders, and nothing beside it.
    while not folder.images and len(folder.with_images) == 1:
        inner = folder.with_images[0]
        if inner.images or not inner.with_images:
            break
        folder = inner
    return folder


def class_level(folder: Folder) -> bool:
    """Return whether a split's folder holds class folders, apart from a few strays beside them."""
    inside = holder_of(folder)
    held = inside.with_images
    if not held:
        return False
    # All its images, in one folder more, are no class: `test/images`, `test/test`.
    if len(held) == 1:
        only = held[0].name
        if PICTURES.fullmatch(only) or alike(only) == alike(folder.name):
            return False
    return len(inside.images) <= STRAY * inside.count


def leaf_folders(folder: Folder) -> Iterator[Folder]:
    """Yield the folders in it, or it itself, that directly hold images."""
    if folder.images:
        yield folder
    for child in folder.folders:
        yield from leaf_folders(child)


def is_class(child: Folder) -> bool:
    """Return whether it holds images, or nothing at all.

    An empty class is a mistake that is named; a folder of code is none.
    """
    return child.any_image() or child.empty()


def shown(path: Path, root: Folder) -> str:
    """Return a path as it is shown: below the folder that was given."""
    if not path.is_relative_to(root.path):
        return str(path)
    return path.relative_to(root.path).as_posix()


def typed(path: Path) -> str:
    """Return a path as it is typed in a shell."""
    return shlex.quote(str(path))


def labelled(folder: Folder, classes: set[str]) -> bool:
    """Return whether a companion of train has class folders: several, or one of train's classes."""
    if not class_level(folder):
        return False
    held = holder_of(folder).with_images
    return len(held) > 1 or alike(held[0].name) in set(map(alike, classes))


def superclasses(classes: Sequence[Folder]) -> str:
    """Return the note for folders of folders, whose names may be the classes that were meant."""
    # Folders with several folders of images, and none of their own.
    deep = [child for child in classes if not child.images and len(child.with_images) > 1]
    if not deep:
        return ""
    inner = [sub.name for sub in deep[0].with_images]
    some = ", ".join(inner[:3])
    if len(inner) > 3:
        some += ", …"
    leaves = len(list(chain.from_iterable(map(leaf_folders, classes))))
    return (
        f"folders inside a class belong to it, such as {some} in {deep[0].name}; "
        f"with --layout leaves each of the {leaves} folders of images is a class"
    )


def same_classes(level: Level) -> bool:
    """Return whether splits beside class folders have no classes but theirs."""
    names = _alike_names(level.others)
    if len(names) < 2:
        return False
    splits = [holder_of(folders[0]) for folders in level.splits.values()]
    return all(_alike_names(split.with_images) <= names for split in splits)


def _alike_names(folders: Iterable[Folder]) -> set[str]:
    """Return the names of folders without what two spellings of one name may differ in."""
    return {alike(folder.name) for folder in folders}
