"""An .npz of images and labels, its headers checked before its pixels are read."""

from __future__ import annotations

import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.data.arrays import Arrays
from trainables.data.class_names import twins
from trainables.data.decode import DARK, nearly_black
from trainables.data.listing import SPLITS, Listing, Rows, Source, SplitName, plain_name
from trainables.data.npz_headers import Header, headers_of, listed, part_problems
from trainables.data.problems import DataError
from trainables.problems import one_line, reason


def npz(path: Path) -> Source:
    """A file with `x_train`, `y_train`, where given `x_val`, `y_val`, `x_test`, `y_test`, and `classes`.

    x is uint8 [N, H, W, 3] or greyscale [N, H, W]; y is [N], whole numbers or names; `classes` names the labels 0 to C - 1.
    """
    stat = path.stat()
    return Source(
        name=plain_name(path.stem),
        identity=["npz", str(path.resolve()), stat.st_size, stat.st_mtime_ns],
        preview=lambda: _listing(path, *headers_of(path)),
        load=lambda: _load(path),
    )


def _load(path: Path) -> tuple[Listing, Arrays]:
    headers, others = headers_of(path)
    listing = _listing(path, headers, others)
    arrays = _arrays(path, headers, [f"x_{part}" for part in listing.labels])
    names = [headers[key].member.filename.removesuffix(".npy") for key in arrays]
    return replace(listing, cautions=tuple(_dark(arrays.values()))), Arrays(
        list(arrays.values()), names
    )


def _dark(arrays: Iterable[npt.NDArray[np.uint8]]) -> Iterator[str]:
    """A line where images are nearly black: masks of 0 and 1, or values that were not scaled to 255."""
    dark = np.concatenate([nearly_black(images) for images in arrays])
    if dark.any():
        yield (
            f"{int(dark.sum()):,} of {len(dark):,} images are nearly black, with no value above {DARK} of 255: if they are "
            "masks, or their values are not yet 0 to 255, scale them"
        )


def _arrays(
    path: Path, headers: Mapping[str, Header], keys: Iterable[str]
) -> dict[str, npt.NDArray[Any]]:
    """Read arrays from where their headers were checked; `numpy.load` may take another member, or the file for none of its own.

    Raises:
        DataError: They are damaged, hold no text where they should, or are larger than the memory.
    """
    try:
        with (
            zipfile.ZipFile(path) as archive,
            warnings.catch_warnings(action="ignore", category=UserWarning),
        ):
            return {key: _array(archive, headers[key]) for key in keys}
    except Exception as error:  # what damaged bytes lead to: zlib.error, LZMAError, MemoryError …
        raise DataError(
            [f"{path} must be an undamaged .npz, but {reason(error)}: write it again."]
        ) from error


def _array(archive: zipfile.ZipFile, header: Header) -> npt.NDArray[Any]:
    with archive.open(header.member) as file:
        values: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        file.read(1)  # to the end, where the checksum is compared
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind == "U":
        np.char.encode(values, "utf-8")  # raises where a number is no character
    return values


def _listing(path: Path, headers: Mapping[str, Header], others: Sequence[str]) -> Listing:
    parts = [
        part for part in SPLITS if part == "train" or {f"x_{part}", f"y_{part}"} & headers.keys()
    ]
    if problems := [line for part in parts for line in part_problems(path, part, headers, others)]:
        raise DataError(problems)
    wanted = [f"y_{part}" for part in parts] + [key for key in ("classes",) if key in headers]
    values = {key: array.ravel() for key, array in _arrays(path, headers, wanted).items()}
    if problems := _same_arrays(path, headers, parts):
        raise DataError(problems)
    names = values.pop("classes", None)
    classes, labels = _named(path, values, names) if names is not None else _unnamed(values)
    return Listing(
        classes=classes,
        labels=dict(zip(parts, labels, strict=True)),
        places={part: f"{path}: y_{part}" for part in parts},
        layout=f"arrays in {path}",
        notes=(
            *_renamed(headers),
            *(
                (f"arrays of other names are left out of {path}: {listed(others)}",)
                if others
                else ()
            ),
        ),
        problems=tuple(twins(classes, str(path))),
    )


def _renamed(headers: Mapping[str, Header]) -> list[str]:
    """A note for each array that is called otherwise here."""
    names = {key: header.member.filename.removesuffix(".npy") for key, header in headers.items()}
    return [
        f"array {one_line(name)} is read as {key}" for key, name in names.items() if name != key
    ]


def _same_arrays(
    path: Path, headers: Mapping[str, Header], parts: Sequence[SplitName]
) -> list[str]:
    """A line for images of val or test that are those of train, by their checksums."""
    first = headers["x_train"].member
    return [
        f"{path}: x_{part} must hold other images than x_train, but is equal to it: save the {part} images, or leave it out."
        for part in parts[1:]
        if (headers[f"x_{part}"].member.CRC, headers[f"x_{part}"].member.file_size)
        == (first.CRC, first.file_size)
    ]


def _unnamed(values: Mapping[str, npt.NDArray[Any]]) -> tuple[tuple[str, ...], list[Rows]]:
    """Classes are the labels that occur, sorted: numbers as numbers, names as names."""
    numbers = all(labels.dtype.kind in "iu" for labels in values.values())
    parts = [labels if numbers else labels.astype(str) for labels in values.values()]
    found = sorted({value for labels in parts for value in np.unique(labels).tolist()})
    return tuple(map(str, found)), [_index(labels, found) for labels in parts]


def _named(
    path: Path, values: Mapping[str, npt.NDArray[Any]], names: npt.NDArray[Any]
) -> tuple[tuple[str, ...], list[Rows]]:
    """Labels as numbers into `names`, or as some of them."""
    classes, problems = tuple(map(str, names.tolist())), []
    if len(set(classes)) < len(classes):
        twice = sorted(name for name, count in Counter(classes).items() if count > 1)
        problems.append(
            f"{path}: classes must be different names, but {', '.join(map(repr, twice[:3]))} is there twice: rename one."
        )
    parts = []
    for key, labels in values.items():
        numbers = labels.dtype.kind in "iu"
        known: list[Any] = list(range(len(classes))) if numbers else list(classes)
        if unknown := sorted(set(np.unique(labels).tolist()) - set(known)):
            rule = f"0 to {len(classes) - 1}" if numbers else "names in classes"
            problems.append(
                f"{path}: {key} must hold {rule}, but has {', '.join(map(repr, unknown[:3]))}: mend it, or leave out classes."
            )
        else:
            parts.append(_index(labels, known))
    if problems:
        raise DataError(problems)
    return classes, parts


def _index(labels: npt.NDArray[Any], classes: list[Any]) -> Rows:
    number = {name: index for index, name in enumerate(classes)}
    found, inverse = np.unique(labels, return_inverse=True)
    return np.array([number[name] for name in found.tolist()], np.int64)[inverse]
