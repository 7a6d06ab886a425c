"""The cells of a table's file: its encoding, separator, quotes and comments, before any column has a meaning."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.problems import DataError
from trainables.problems import reason

SEPARATORS = (
    "\t",
    ",",
    ";",
    "|",
    " ",
)  # the first of those that fit equally well is taken, spaces only after all others
SAMPLE = 300  # records that show which separator is meant

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins like it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_KINDS = (  # first bytes, what has them, and what helps
    (b"PK\x03\x04", "an Excel workbook or a zip archive", "save the table as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save the table as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it with gunzip"),
    (b"PAR1", "a parquet file", "save the table as CSV in UTF-8"),
    (b"%PDF", "a PDF", "save the table as CSV in UTF-8"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself with git lfs pull"),
    (b"<!doctype", "a web page", "download the table itself"),
    (b"<html", "a web page", "download the table itself"),
    (b"<?xml", "an XML file", "save the table as CSV in UTF-8"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cells:
    """What a table's file holds: its rows without comments and blank ones, the header (if there is one) first.

    Attributes:
        rows: Cells without outer spaces; rows may differ in length.
        lines: The line of the file, from 1, in which each row begins.
    """

    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]


def read_cells(path: Path, known: Callable[[str], bool]) -> Cells:
    """Read a table's cells, separated by `,` `;` `|`, tabs or (where nothing else fits) spaces.

    UTF-8, and UTF-16 and 32 with a mark. Lines that begin with `#` are comments, unless all do or they have the
    header's names.

    Args:
        path: The file.
        known: Whether a name is one that headers have; tells the separator and a header inside a comment.

    Raises:
        DataError: A file that is no such text, a quote that is not closed, or no rows.
    """
    lines = list(io.StringIO(_text(path), newline=""))
    first, remark, separator = _start(lines)
    separator = separator or _separator(lines[first:], known)
    rows, numbers = [], []
    try:
        for number, row in _records(lines[first:], separator):
            if any(row):
                rows.append(row)
                numbers.append(first + number)
    except csv.Error as error:
        line = numbers[-1] + 1 if numbers else first + 1
        rule = f"{path} must have cells without quotes or within closed ones"
        raise DataError(
            [
                f"{rule}, but from line {line} on has not ({reason(error)}): close or remove the quote."
            ]
        ) from error
    if not rows:
        raise DataError(
            [f"{path} must have lines of id and label below its header, but has none: add them."]
        )
    width = len(rows[0])
    hidden = _hidden_header(remark, separator, width, known)
    if hidden and not any(map(known, rows[0])):
        rows.insert(0, hidden)
        numbers.insert(0, first)
    kept = [
        n for n, row in enumerate(rows) if n == 0 or len(row) == width or not row[0].startswith("#")
    ]
    return Cells(rows=tuple(rows[n] for n in kept), lines=tuple(numbers[n] for n in kept))


def _text(path: Path) -> str:
    """The file as text; any other kind of file is named for what it is."""
    rule = f"{path} must be text of columns in UTF-8"
    try:
        if not path.is_file():
            raise DataError([f"{rule}, but is no file: remove or replace it."])
        content = path.read_bytes()
    except OSError as error:
        raise DataError([f"{rule}, but {reason(error)}: make it readable."]) from error
    for start, kind, mend in _OTHER_KINDS:
        if content[:32].lstrip().lower().startswith(start.lower()):
            raise DataError([f"{rule}, but is {kind}: {mend}."])
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            [
                f"{rule}, but line {line} has the byte {content[error.start]:#04x}: save it as UTF-8 (Excel: CSV UTF-8)."
            ]
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            [f"{rule}, but line {line} has a byte 0: save it as UTF-8 (Excel: CSV UTF-8)."]
        )
    return text


def _start(lines: Sequence[str]) -> tuple[int, str, str | None]:
    """Where the table begins, the last comment before it, and the separator that Excel's `sep=;` names."""
    if lines and (excel := re.fullmatch(r'"?sep=([,;|\t])"?', lines[0].strip("\r\n "))):
        return 1, "", excel[1]
    content = [
        n for n, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")
    ]
    if not content:
        return 0, "", None
    remarks = [line for line in lines[: content[0]] if line.strip()]
    return content[0], remarks[-1] if remarks else "", None


def _separator(lines: Sequence[str], known: Callable[[str], bool]) -> str:
    """The separator under which the first row has names that headers have, and most rows as many cells as it."""

    def fit(separator: str) -> tuple[bool, int, float]:
        rows = _sample(lines, separator)
        width = _width(rows[0]) if rows else 0
        if width < 2 or (separator == " " and _is_prose(rows)):
            return False, 0, 0.0
        names = sum(map(known, rows[0]))
        return (
            separator != " ",
            min(names, 2),
            sum(_width(row) == width for row in rows) / len(rows),
        )

    return max(SEPARATORS, key=fit)  # of equals the first


def _sample(lines: Sequence[str], separator: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    try:
        for _, row in _records(lines, separator):
            if any(row):
                rows.append(row)
            if len(rows) == SAMPLE:
                break
    except csv.Error:
        pass  # named with its line by the reading proper
    return rows


def _is_prose(rows: Sequence[Sequence[str]]) -> bool:
    """Whether lines differ in their number of words; the first may, as R names the rows but not their column."""
    widths = Counter(map(len, rows[1:] or rows))
    return widths.most_common(1)[0][1] < len(rows[1:])


def _width(row: Sequence[str]) -> int:
    """The number of cells up to the last that is not empty."""
    return max((n for n, cell in enumerate(row, 1) if cell), default=0)


def _records(lines: Sequence[str], separator: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The number of the first line (from 1) and the cells of each record."""
    if separator == " ":
        for number, line in enumerate(lines, 1):
            yield number, tuple(cell.strip('"') for cell in re.findall(r'"[^"]*"|\S+', line))
        return
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    number = 1
    for row in reader:
        yield number, tuple(map(str.strip, row))
        number = reader.line_num + 1


def _hidden_header(
    remark: str, separator: str, width: int, known: Callable[[str], bool]
) -> tuple[str, ...]:
    """The names of a header that was written as a comment (numpy.savetxt does); empty where there is none."""
    rows = _sample([remark.lstrip().lstrip("#")], separator)
    names = rows[0] if rows else ()
    plausible = len(names) == width and all(re.fullmatch(r"[\w .-]*", name) for name in names)
    return names if plausible and sum(map(known, names)) > 1 else ()
