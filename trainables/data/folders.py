"""A folder with a folder of images for each class: flat, or inside train/, val/ and test/."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from trainables.data.decode import EXTENSIONS, Files
from trainables.data.listing import SPLITS, Listing, Pixels, Source, SplitName, plain_name
from trainables.data.problems import DataError, shortened


def class_folders(root: Path) -> Source:
    """A flat folder of class folders, or one whose train/ (and val/, test/) holds them.

    Hidden names are passed over, class names are sorted, and folders inside a class belong to it.

    Raises:
        DataError: No class folders, or train/ beside folders that are no split.
    """
    parts = _parts(root)
    if problems := [line for folder in parts.values() if not _folders(folder) for line in [_no_classes(folder)]]:
        raise DataError(problems)
    found = {part: {folder.name: list(_files(folder)) for folder in _folders(path)} for part, path in parts.items()}
    classes = tuple(sorted({name for by_class in found.values() for name in by_class}))
    paths, labels, others = [], {}, 0
    for part, by_class in found.items():
        images = [[path for path in by_class.get(name, []) if is_image(path)] for name in classes]
        others += sum(map(len, by_class.values())) - sum(map(len, images))
        others += sum(1 for path in parts[part].iterdir() if path.is_file() and not path.name.startswith("."))
        labels[part] = np.repeat(np.arange(len(classes)), [len(of_class) for of_class in images])
        paths += [path for of_class in images for path in of_class]
    listing = Listing(
        classes=classes,
        labels=labels,
        places={part: str(path) for part, path in parts.items()},
        notes=(f"files that are no images of a class are left out of {root}: {others}",) if others else (),
    )
    return file_source(root, paths, listing, ["folders", sorted(parts), classes])


def file_source(root: Path, paths: Sequence[Path], listing: Listing, identity: Sequence[object]) -> Source:
    """A source of image files: its content is known by each file's path, size and time of change."""
    stats = [(path.relative_to(root).as_posix(), *_stamp(path)) for path in paths]

    def load() -> tuple[Listing, Pixels]:
        files = Files(paths, root)
        problems = (*listing.problems, *shortened(files.problems, "files are no readable images"))
        return replace(listing, problems=problems), files

    return Source(
        name=plain_name(root.resolve().name),
        identity=[*identity, str(root.resolve()), stats],
        preview=lambda: load()[0],
        load=load,
    )


def is_image(path: Path) -> bool:
    """Whether a visible file has an image's extension."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change; nothing for a dead link, which is named with the other files that are no images."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def _parts(root: Path) -> dict[SplitName, Path]:
    """The folders that hold the class folders: train/ and its companions, or the root itself as `train`."""
    names = [folder.name for folder in _folders(root)]
    if names and set(names) <= set(SPLITS):
        if "train" not in names:
            raise DataError([f"{root} must hold train beside {' and '.join(names)}, but does not: add it."])
    elif "train" not in names or any(map(is_image, (root / "train").iterdir())):  # else `train` is a class, of vehicles
        return {"train": root}
    strange = [name for name in names if name not in SPLITS and next(filter(is_image, _files(root / name)), None)]
    if strange:
        raise DataError(
            [
                f"Beside {root / 'train'} only val and test may hold images, but there is {', '.join(map(repr, strange[:3]))}: "
                "rename or move it."
            ]
        )
    return {split: root / split for split in SPLITS if split in names}


def _no_classes(folder: Path) -> str:
    images = sum(map(is_image, folder.iterdir()))
    found = f"{images} images directly" if images else "none"
    return f"{folder} must hold a folder for each class, but holds {found}: sort the images into class folders."


def _folders(root: Path) -> list[Path]:
    return sorted(
        (path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")), key=lambda path: path.name
    )


def _files(folder: Path) -> Iterator[Path]:
    """All visible files below a folder, in an order that does not depend on the file system."""
    for place, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))


def _unreadable(error: OSError) -> None:
    raise error
