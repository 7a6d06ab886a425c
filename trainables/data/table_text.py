"""The cells of a table's file: its encoding, separator, quotes and comments."""

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

# The first of those that fit equally well is taken, spaces only after all others.
SEPARATORS = ("\t", ",", ";", "|", " ")
# Records that show which separator is meant.
SAMPLE = 300

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # UTF-32 before UTF-16, whose mark begins like it.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# First bytes, what has them, and what helps.
_OTHER_KINDS = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive", "save the table as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save the table as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed by gzip", "decompress it with gunzip"),
    (b"PAR1", "a parquet file", "save the table as CSV in UTF-8"),
    (b"%PDF", "a PDF", "save the table as CSV in UTF-8"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself with git lfs pull"),
    (b"<!doctype", "a web page", "download the table itself"),
    (b"<html", "a web page", "download the table itself"),
    (b"<?xml", "an XML file", "save the table as CSV in UTF-8"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cells:
    """The rows of a table's file without comments and blank ones, a header (if any) first.

    Attributes:
        rows: Cells without outer spaces; rows may differ in length.
        lines: The line of the file, from 1, in which each row begins.
    """

    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]


def read_cells(path: Path, known: Callable[[str], bool]) -> Cells:
    """Read a table's cells, separated by `,` `;` `|`, tabs or (where nothing else fits) spaces.

    The encoding is UTF-8, or UTF-16 or 32 with a mark. Lines that begin with `#` are comments,
    unless all do or they have the header's names.

    Args:
        path: The file.
        known: Returns whether a name is one that headers have; this tells the separator, and a
            header inside a comment.

    Raises:
        DataError: A file that is no such text, a quote that is not closed, or no rows.
    """
    lines = list(io.StringIO(_text(path), newline=""))
    first, remark, separator = _start(lines)
    if separator is None:
        separator = _separator(lines[first:], known)

    # Rows that are not blank, and the lines in which they begin.
    rows: list[tuple[str, ...]] = []
    numbers: list[int] = []
    try:
        for number, row in _records(lines[first:], separator):
            if any(row):
                rows.append(row)
                numbers.append(first + number)
    except csv.Error as error:
        line = numbers[-1] + 1 if numbers else first + 1
        raise DataError(
            [
                f"{path} must quote its cells correctly, but does not from line {line} on "
                f"({reason(error)}): close or remove the quote."
            ]
        ) from error
    if not rows:
        raise DataError([no_rows(path)])

    width = len(rows[0])
    hidden = _hidden_header(remark, separator, width, known)
    if hidden and not any(map(known, rows[0])):
        rows.insert(0, hidden)
        numbers.insert(0, first)

    # A comment below the header has other cells than a row.
    kept_rows: list[tuple[str, ...]] = []
    kept_lines: list[int] = []
    for row, line in zip(rows, numbers, strict=True):
        if not kept_rows or len(row) == width or not row[0].startswith("#"):
            kept_rows.append(row)
            kept_lines.append(line)
    return Cells(rows=tuple(kept_rows), lines=tuple(kept_lines))


def no_rows(path: Path) -> str:
    """Return the line for a table without rows."""
    return f"{path} must have lines of id and label below its header, but has none: add them."


def _text(path: Path) -> str:
    """Return the file as text; any other kind of file is named for what it is."""
    rule = f"{path} must be text of columns in UTF-8"
    try:
        if not path.is_file():
            raise DataError([f"{rule}, but is not a file: remove or replace it."])
        content = path.read_bytes()
    except OSError as error:
        raise DataError([f"{rule}, but {reason(error)}: make it readable."]) from error
    for start, kind, mend in _OTHER_KINDS:
        if content[:32].lstrip().lower().startswith(start.lower()):
            raise DataError([f"{rule}, but is {kind}: {mend}."])

    # Without a mark, only UTF-8 is certain.
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    mend = "save it as UTF-8 (Excel: CSV UTF-8)"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"{content[error.start]:#04x}"
        raise DataError([f"{rule}, but line {line} has the byte {byte}: {mend}."]) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError([f"{rule}, but line {line} has a byte 0: {mend}."])
    return text


def _start(lines: Sequence[str]) -> tuple[int, str, str | None]:
    """Find where the table begins.

    Returns:
        The index of its first line, the last comment before it, and the separator that Excel's
        `sep=;` names.
    """
    excel = re.fullmatch(r'"?sep=([,;|\t])"?', lines[0].strip("\r\n ")) if lines else None
    if excel:
        return 1, "", excel[1]
    remark = ""
    for number, line in enumerate(lines):
        if line.lstrip().startswith("#"):
            remark = line
        elif line.strip():
            return number, remark, None
    # Where all lines are comments, they are the table.
    return 0, "", None


def _separator(lines: Sequence[str], known: Callable[[str], bool]) -> str:
    """Return the separator that fits the lines best.

    Under it the first row has names that headers have, and most rows as many cells as the first.
    """

    def fit(separator: str) -> tuple[bool, int, float]:
        rows = _sample(lines, separator)
        width = _width(rows[0]) if rows else 0
        if width < 2 or (separator == " " and _is_prose(rows)):
            return False, 0, 0.0
        names = min(sum(map(known, rows[0])), 2)
        even = list(map(_width, rows)).count(width) / len(rows)
        return separator != " ", names, even

    # `max` takes the first of equals.
    return max(SEPARATORS, key=fit)


def _sample(lines: Sequence[str], separator: str) -> list[tuple[str, ...]]:
    """Return the first rows that are not blank."""
    rows: list[tuple[str, ...]] = []
    try:
        for _, row in _records(lines, separator):
            if any(row):
                rows.append(row)
            if len(rows) == SAMPLE:
                break
    except csv.Error:
        # The reading proper names it with its line.
        pass
    return rows


def _is_prose(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether lines differ in their number of words.

    The first may, as R names the rows but not their column.
    """
    widths = Counter(map(len, rows[1:] or rows))
    return widths.most_common(1)[0][1] < len(rows[1:])


def _width(row: Sequence[str]) -> int:
    """Return the number of cells up to the last that is not empty."""
    return max((n for n, cell in enumerate(row, 1) if cell), default=0)


def _records(lines: Sequence[str], separator: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the number of the first line (from 1) and the cells of each record."""
    if separator == " ":
        for number, line in enumerate(lines, 1):
            words = re.findall(r'"[^"]*"|\S+', line)
            yield number, tuple(word.strip('"') for word in words)
        return
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    number = 1
    for row in reader:
        yield number, tuple(map(str.strip, row))
        number = reader.line_num + 1


def _hidden_header(
    remark: str, separator: str, width: int, known: Callable[[str], bool]
) -> tuple[str, ...]:
    """Return the names of a header that was written as a comment, as numpy.savetxt does.

    Empty where there is none.
    """
    rows = _sample([remark.lstrip().lstrip("#")], separator)
    names = rows[0] if rows else ()
    plausible = len(names) == width and all(re.fullmatch(r"[\w .-]*", name) for name in names)
    return names if plausible and sum(map(known, names)) > 1 else ()
