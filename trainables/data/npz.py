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
    """Return the source of a file with `x_train` and `y_train`.

    `x_val`, `y_val`, `x_test`, `y_test` and `classes` may be there too. x is uint8 [N, H, W, 3] or
    grayscale [N, H, W]; y is [N], whole numbers or names; `classes` names the labels 0 to C - 1.
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
    names = [headers[key].name for key in arrays]
    images = Arrays(list(arrays.values()), names)
    return replace(listing, cautions=tuple(_dark(arrays.values()))), images


def _dark(arrays: Iterable[npt.NDArray[np.uint8]]) -> Iterator[str]:
    """Yield a line where images are nearly black: masks of 0 and 1, or values not scaled to 255."""
    dark = np.concatenate(list(map(nearly_black, arrays)))
    if dark.any():
        yield (
            f"{int(dark.sum()):,} of {len(dark):,} images are nearly black, with no value above "
            f"{DARK} of 255: if they are masks, or their values are not yet 0 to 255, scale them"
        )


def _arrays(
    path: Path, headers: Mapping[str, Header], keys: Iterable[str]
) -> dict[str, npt.NDArray[Any]]:
    """Read arrays from where their headers were checked.

    `numpy.load` may take another member, or the file for none of its own.

    Raises:
        DataError: They are damaged, hold no text where they should, or are larger than the memory.
    """
    try:
        with (
            zipfile.ZipFile(path) as archive,
            warnings.catch_warnings(action="ignore", category=UserWarning),
        ):
            return {key: _array(archive, headers[key]) for key in keys}
    # Damaged bytes lead to errors of no common class: zlib.error, LZMAError, MemoryError …
    except Exception as error:
        raise DataError(
            [f"{path} must be an undamaged .npz, but {reason(error)}: write it again."]
        ) from error


def _array(archive: zipfile.ZipFile, header: Header) -> npt.NDArray[Any]:
    with archive.open(header.member) as file:
        values: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        # zipfile compares the checksum at the end only.
        file.read(1)
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind == "U":
        # It raises where a number is no character.
        np.char.encode(values, "utf-8")
    return values


def _listing(path: Path, headers: Mapping[str, Header], others: Sequence[str]) -> Listing:
    parts = _parts(headers)

    # What the headers show to be wrong is said before anything is read.
    problems: list[str] = []
    for part in parts:
        problems += part_problems(path, part, headers, others)
    if problems:
        raise DataError(problems)

    # Only labels are read here; images are compared by their checksums.
    wanted = [f"y_{part}" for part in parts]
    if "classes" in headers:
        wanted.append("classes")
    values = {key: array.ravel() for key, array in _arrays(path, headers, wanted).items()}
    problems = _same_arrays(path, headers, parts)
    if problems:
        raise DataError(problems)

    # Without names of classes, the labels are their names.
    names = values.pop("classes", None)
    if names is None:
        classes, labels = _unnamed(values)
    else:
        classes, labels = _named(path, values, names)
    return Listing(
        classes=classes,
        labels=dict(zip(parts, labels, strict=True)),
        places={part: f"{path}: y_{part}" for part in parts},
        layout=f"arrays in {path}",
        notes=tuple(_notes(path, headers, others)),
        problems=tuple(twins(classes, str(path))),
    )


def _parts(headers: Mapping[str, Header]) -> list[SplitName]:
    """Return the splits that the arrays are of; train is one even where it is missing."""
    keys = headers.keys()
    return [part for part in SPLITS if part == "train" or keys & {f"x_{part}", f"y_{part}"}]


def _notes(path: Path, headers: Mapping[str, Header], others: Sequence[str]) -> Iterator[str]:
    """Yield a note for each array that has another name in the file, and one for those left out."""
    for key, header in headers.items():
        if header.name != key:
            yield f"array {one_line(header.name)} is read as {key}"
    if others:
        yield f"arrays of other names are left out of {path}: {listed(others)}"


def _same_arrays(
    path: Path, headers: Mapping[str, Header], parts: Sequence[SplitName]
) -> list[str]:
    """Return a line for images of val or test that are those of train, by their checksums."""
    train = headers["x_train"].member
    problems = []
    for part in parts[1:]:
        member = headers[f"x_{part}"].member
        if (member.CRC, member.file_size) == (train.CRC, train.file_size):
            problems.append(
                f"{path}: x_{part} must hold other images than x_train, but is equal to it: "
                f"save the {part} images, or leave it out."
            )
    return problems


def _unnamed(values: Mapping[str, npt.NDArray[Any]]) -> tuple[tuple[str, ...], list[Rows]]:
    """Take the labels that occur as classes, sorted: numbers as numbers, names as names."""
    parts = list(values.values())
    if not all(labels.dtype.kind in "iu" for labels in parts):
        parts = [labels.astype(str) for labels in parts]
    different: set[Any] = set()
    for labels in parts:
        different.update(np.unique(labels).tolist())
    classes = sorted(different)
    return tuple(map(str, classes)), [_index(labels, classes) for labels in parts]


def _named(
    path: Path, values: Mapping[str, npt.NDArray[Any]], names: npt.NDArray[Any]
) -> tuple[tuple[str, ...], list[Rows]]:
    """Read labels as numbers into `names`, or as some of them."""
    classes = tuple(map(str, names.tolist()))
    problems = []
    # A name that occurs twice would leave it open which class is meant.
    if len(set(classes)) < len(classes):
        twice = sorted(name for name, count in Counter(classes).items() if count > 1)
        some = ", ".join(map(repr, twice[:3]))
        problems.append(
            f"{path}: classes must be different names, but {some} occurs twice: rename one."
        )
    # Numbers count from 0; names are those of classes.
    parts = []
    for key, labels in values.items():
        if labels.dtype.kind in "iu":
            known: list[Any] = list(range(len(classes)))
            rule = f"0 to {len(classes) - 1}"
        else:
            known = list(classes)
            rule = "names in classes"
        unknown = sorted(set(np.unique(labels).tolist()) - set(known))
        if unknown:
            some = ", ".join(map(repr, unknown[:3]))
            problems.append(
                f"{path}: {key} must hold {rule}, but has {some}: fix it, or leave out classes."
            )
        else:
            parts.append(_index(labels, known))
    if problems:
        raise DataError(problems)
    return classes, parts


def _index(labels: npt.NDArray[Any], classes: list[Any]) -> Rows:
    """Return the number of each label in `classes`."""
    number = {name: index for index, name in enumerate(classes)}
    different, inverse = np.unique(labels, return_inverse=True)
    return np.array([number[name] for name in different.tolist()], np.int64)[inverse]
