"""A table of labels: the images that it names, with their labels, splits and groups."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.problems import DataError
from trainables.data.table_columns import Body, Columns, find_columns, listed
from trainables.data.table_ids import Files, suffix
from trainables.data.table_labels import read_labels
from trainables.data.table_names import is_known, names_image, plain, split_of
from trainables.data.table_text import Cells, no_rows, read_cells
from trainables.problems import one_line


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Labels by the names of images, as one file gives them.

    Attributes:
        path: The file.
        more: Further files, where several are one table: train.csv and val.csv.
        ids: The names of images as written, one per row that has a label.
        labels: Their labels, without outer spaces.
        lines: Where each row begins, for messages: "2", or "2 of val.csv".
        splits: Their splits, each train, val or test; None without a column of splits.
        groups: The cells of the column asked for as group; None where there is no such column.
        columns: The header's name of the column for "image", "label", "split" and "group" as far as
            there are; a number from 1 where there is no header, several with commas for a one-hot
            table.
        header: All names of the header; empty where there is none.
        notes: Lines to show, first what was understood.
        problems: Lines that forbid using it. Rows are then missing.
    """

    path: Path
    more: tuple[Path, ...] = ()
    ids: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    splits: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    columns: Mapping[str, str]
    header: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read_table(
    path: Path,
    *,
    columns: tuple[str, str] | None = None,
    group: str | None = None,
    files: Files | None = None,
) -> Table:
    """Read a table of labels. Nothing is raised: what forbids using it is among its problems.

    Args:
        path: A file of columns.
        columns: The names (or numbers from 1) of the columns of images and labels; found where
            None.
        group: The name of the column of groups. A name that the header lacks gives no groups and no
            problem.
        files: The images beside it: they tell which column names images, and a first line that is
            no header.
    """
    try:
        cells = read_cells(path, is_known)
    except DataError as error:
        return Table(path=path, columns={}, problems=error.problems)
    index = files or Files(())
    headed = _has_header(cells.rows[0], index, columns)
    names, rows, lines = _body(cells, headed)
    header = tuple(names) if headed else ()
    if not rows:
        return Table(path=path, columns={}, header=names, problems=(no_rows(path),))

    # Rows are cut or filled to the header's width; what that would hide is a problem.
    width = len(names)
    even = [(*row, *[""] * (width - len(row)))[:width] for row in rows]
    found = find_columns(names, even, index, title=str(path), asked=columns, group=group)
    ragged = _ragged(path, names, rows, lines, found)
    if ragged:
        return Table(path=path, columns={}, header=header, problems=(ragged,))
    return _table(path, names, even, lines, found, headed)


def _has_header(first: Sequence[str], files: Files, asked: tuple[str, str] | None) -> bool:
    """Return whether the first row names columns, and no image."""
    if asked:
        wanted = set(map(plain, asked))
        if not any(map(str.isdecimal, asked)) and wanted <= set(map(plain, first)):
            return True
    if any(cell in files.places for cell in first):
        return False
    if any(names_image(cell) and is_known(cell) for cell in first):
        return True
    if all(map(str.isdecimal, first)):
        return False
    return not any(files.fits(cell) or suffix(cell) for cell in first)


def _body(cells: Cells, headed: bool) -> tuple[tuple[str, ...], list[tuple[str, ...]], list[int]]:
    """Return the names of the columns, the rows below them and their lines."""
    first = 1 if headed else 0
    rows = list(cells.rows[first:])
    lines = list(cells.lines[first:])
    widths = Counter(map(len, rows))
    width = widths.most_common(1)[0][0] if widths else 0
    if not headed:
        return tuple(map(str, range(1, width + 1))), rows, lines
    names = cells.rows[0]
    # R's write.table names the rows, but not their column.
    if width == len(names) + 1 and all(row[0] == str(number) for number, row in enumerate(rows, 1)):
        names = ("", *names)
    return names, rows, lines


def _ragged(
    path: Path, names: Sequence[str], rows: Body, lines: Sequence[int], found: Columns
) -> str:
    """Return a line for rows that lack a cell of a column in use, or have more than the header.

    Empty cells do not count.
    """
    if len(names) < 2:
        return (
            f"{path} must have columns, separated by , ; | or tabs, but line {lines[0]} is "
            f"{reprlib.repr(list(rows[0]))}: add them."
        )
    needed = max(_used(found), default=-1)
    wrong = [n for n, row in enumerate(rows) if len(row) <= needed or any(row[len(names) :])]
    if not wrong:
        return ""
    first = rows[wrong[0]]
    count = f"{len(wrong)} of {len(rows)} have others; " if len(wrong) > 1 else ""
    return (
        f"{path} must have {len(names)} cells in each line, but {count}line {lines[wrong[0]]} is "
        f"{reprlib.repr(list(first))}: fill it, or quote a cell that holds the separator."
    )


def _used(found: Columns) -> list[int]:
    """Return the columns that have a meaning."""
    columns = (found.image, *found.label, found.split, found.group)
    return [column for column in columns if column is not None]


def _table(
    path: Path,
    names: Sequence[str],
    rows: Body,
    lines: Sequence[int],
    found: Columns,
    headed: bool,
) -> Table:
    """Return the rows that have a label, by the columns that were found."""
    # What was understood comes first among the notes.
    problems = list(found.problems)
    notes = [_understood(path, names, found, headed)]
    notes += [f"{path.name}: {note}" for note in found.notes]
    kept: list[int] = []
    labels: list[str] = []
    if found.image is not None and found.label:
        of_rows = read_labels(path, names, rows, lines, found)
        kept = of_rows.rows
        labels = of_rows.labels
        notes += of_rows.notes
        problems += of_rows.problems
    return Table(
        path=path,
        ids=_cells(rows, kept, found.image) or (),
        labels=tuple(labels),
        lines=tuple(str(lines[n]) for n in kept),
        splits=_splits(names, rows, kept, found),
        groups=_cells(rows, kept, found.group),
        columns=_roles(names, found),
        header=tuple(names) if headed else (),
        notes=tuple(map(one_line, notes)),
        problems=tuple(map(one_line, problems)),
    )


def _cells(rows: Body, kept: Sequence[int], column: int | None) -> tuple[str, ...] | None:
    """Return some rows' cells of a column; None where there is no column."""
    if column is None:
        return None
    return tuple(rows[n][column] for n in kept)


def _splits(
    names: Sequence[str], rows: Body, kept: Sequence[int], found: Columns
) -> tuple[str, ...] | None:
    if found.split is None:
        return None
    name = names[found.split]
    return tuple(split_of(rows[n][found.split], name) or "" for n in kept)


def _roles(names: Sequence[str], found: Columns) -> dict[str, str]:
    """Return the names of the columns by what they hold."""
    roles = {"image": found.image, "split": found.split, "group": found.group}
    by_role = {role: names[column] for role, column in roles.items() if column is not None}
    if found.label:
        by_role["label"] = ",".join(names[column] for column in found.label)
    return by_role


def _understood(path: Path, names: Sequence[str], found: Columns, headed: bool) -> str:
    """Return a line: which column is what."""

    def called(column: int) -> str:
        return f"column {names[column]!r}" if headed else f"column {names[column]}"

    said = []
    if found.image is not None:
        said.append(f"images by {called(found.image)}")
    if len(found.label) == 1:
        said.append(f"labels by {called(found.label[0])}")
    elif found.label:
        said.append(f"labels by the 1 in {len(found.label)} columns {listed(names, found.label)}")
    if found.split is not None:
        said.append(f"splits by {called(found.split)}")
    if found.group is not None:
        said.append(f"groups by {called(found.group)}")
    start = path.name if headed else f"{path.name} has no header"
    line = f"{start}: {', '.join(said) or 'not understood'}"
    # Other columns are named, as one of them may be the right one.
    used = _used(found)
    rest = [c for c, name in enumerate(names) if c not in used and name.strip()]
    if rest and found.label:
        return f"{line}; left out: {listed(names, rest)}"
    return line
