"""The headers of an .npz, checked before any array is read: a pickle in it is never opened."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from trainables.data.file_kinds import what_is
from trainables.data.listing import SplitName
from trainables.data.npz_names import canonical
from trainables.data.problems import DataError
from trainables.problems import one_line, reason

HEADER_BYTES = 10_000  # as numpy itself has it
LISTED = 10  # names of arrays in one line


@dataclass(frozen=True)
class Header:
    """An array's shape and type before its data is read, and the member of the file that has it."""

    member: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def name(self) -> str:
        """The array's name in the file."""
        return _name(self.member)


def headers_of(path: Path) -> tuple[dict[str, Header], list[str]]:
    """Read the shape and type of each array, without its data.

    Returns:
        The headers by the key in `KEYS` that an array's name means, and the other names.

    Raises:
        DataError: No zip file, or an array in it that is a pickle or damaged.
    """
    headers: dict[str, Header] = {}
    others: list[str] = []
    problems: list[str] = []
    with _opened(path) as archive:
        members = archive.infolist()
        meant = canonical([_name(member) for member in members])
        for member in members:
            key = meant.get(_name(member), "")
            if not key:
                others.append(_name(member))
                continue
            try:
                if key in headers:
                    raise ValueError("occurs twice")
                headers[key] = _header(archive, member)
            # Odd bytes lead the decompressors and numpy's parsers (tokenize, ast, dtype) to errors
            # of no common class: zlib.error, LZMAError, TokenError, SyntaxError, RecursionError …
            except Exception as error:  # noqa: BLE001
                problems.append(
                    f"{path}: {key} must be a plain array, but {reason(error)}: save it again."
                )
    if problems:
        raise DataError(problems)
    return headers, others


def _opened(path: Path) -> zipfile.ZipFile:
    """Open a zip file, whose table of contents is read by that."""
    try:
        return zipfile.ZipFile(path)
    # A name that is no UTF-8 is a ValueError, a version from the future a NotImplementedError.
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError([_no_npz(path, error)]) from error


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _no_npz(path: Path, error: Exception) -> str:
    kind = what_is(path)
    if isinstance(error, zipfile.BadZipFile) and kind.what and "zip" not in kind.what.lower():
        return (
            f"{path} must be an .npz as numpy.savez writes it, but it is {kind.what}: {kind.mend}."
        )
    return f"{path} must be an .npz as numpy.savez writes it, but {reason(error)}: write it again."


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Header:
    with (
        archive.open(member) as packed,
        # Files of Python 2 give a warning.
        warnings.catch_warnings(action="ignore", category=UserWarning),
    ):
        file = io.BytesIO(_head(packed))
        read = np.lib.format.read_array_header_2_0
        if np.lib.format.read_magic(file) == (1, 0):
            read = np.lib.format.read_array_header_1_0
        shape, _, dtype = read(file)

    # A forged shape would take all memory where its items have no bytes or the file has fewer.
    if dtype.hasobject:
        raise ValueError(
            "is a pickled object array, which is never opened (give strings as dtype='U')"
        )
    if dtype.itemsize == 0:
        raise ValueError(f"has items without bytes ({dtype})")
    if member.file_size - file.tell() != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"its {member.file_size} bytes do not hold {dtype}{list(shape)}")
    return Header(member, shape, dtype)


def _head(packed: IO[bytes]) -> bytes:
    """Read magic, version, length and header; a forged length unpacks no gigabytes."""
    start = packed.read(10)
    # The length has four bytes from version 2 on.
    if start[6:7] > b"\x01":
        start += packed.read(2)
    length = int.from_bytes(start[8:], "little")
    if length > HEADER_BYTES:
        raise ValueError(f"its header has {length} bytes")
    return start + packed.read(length)


def listed(names: Sequence[str]) -> str:
    """Return the first few names of arrays, on one line."""
    shown = ", ".join(map(one_line, names[:LISTED]))
    rest = len(names) - LISTED
    return f"{shown} and {rest} more" if rest > 0 else shown


def part_problems(
    path: Path, part: SplitName, headers: Mapping[str, Header], others: Sequence[str]
) -> Iterator[str]:
    """Yield all that the headers alone show to be wrong with one part, and with `classes`."""
    x = headers.get(f"x_{part}")
    y = headers.get(f"y_{part}")
    # A part has both images and labels.
    lacking = [key for key in (f"x_{part}", f"y_{part}") if key not in headers]
    if lacking:
        known = listed([*headers, *others]) or "nothing"
        yield (
            f"{path} must have x_{part} and y_{part}, but lacks {' and '.join(lacking)} "
            f"(found: {known}): add it."
        )
    if x is not None:
        yield from _image_problems(f"{path}: x_{part}", x)
    if y is not None:
        yield from _label_problems(f"{path}: y_{part}", y)
    # One label per image.
    if x is not None and y is not None and _is_flat(y) and x.shape[:1] != y.shape[:1]:
        images = x.shape[0] if x.shape else 0
        yield (
            f"{path}: x_{part} and y_{part} must have the same length, but have {images} and "
            f"{y.shape[0]}: write them again."
        )
    if part == "train" and "classes" in headers:
        yield from _class_problems(f"{path}: classes", headers["classes"])


def _is_flat(y: Header) -> bool:
    """Return whether labels are [N], or [N, 1] as MedMNIST's are."""
    return len(y.shape) == 1 or (len(y.shape) == 2 and y.shape[1] == 1)


def _label_problems(key: str, y: Header) -> Iterator[str]:
    if not _is_flat(y):
        mend = "give one label for each image"
        if len(y.shape) == 2 and y.dtype.kind in "iufb":
            mend = "save y.argmax(1) if it is one-hot"
        yield f"{key} must be [N], but has shape {list(y.shape)}: {mend}."
    elif y.dtype.kind not in "iuUS":
        yield (
            f"{key} must hold whole numbers or names, but is {y.dtype}: "
            f"save astype(int) or astype(str)."
        )


def _class_problems(key: str, names: Header) -> Iterator[str]:
    if len(names.shape) != 1 or names.dtype.kind not in "US":
        yield (
            f"{key} must be names [C], but is {names.dtype} of shape {list(names.shape)}: "
            f"save an array of strings."
        )


def _image_problems(key: str, x: Header) -> Iterator[str]:
    axes = len(x.shape)
    if x.dtype != np.uint8:
        mend = "astype('uint8') if it is 0 to 255"
        if x.dtype.kind == "f":
            mend = "(255 * x).round().astype('uint8') if it is 0 to 1"
        yield f"{key} must be uint8, but is {x.dtype}: save {mend}."
    if axes not in (3, 4) or (axes == 4 and x.shape[3] != 3):
        mend = "images with 3 color channels, or grayscale without the last axis"
        if axes == 4 and x.shape[1] == 3:
            mend = "x.transpose(0, 2, 3, 1)"
        if axes == 2:
            mend = "x.reshape(len(x), HEIGHT, WIDTH, 3), as it was before it was flattened"
        rule = f"{key} must be [N, H, W, 3] or [N, H, W]"
        yield f"{rule}, but has shape {list(x.shape)}: save {mend}."
    elif 0 in x.shape:
        yield f"{key} must not be empty, but has shape {list(x.shape)}: add images."
