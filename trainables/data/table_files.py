"""The rows of a table of labels and the images beside it: which row is of which file."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainables.data.table_ids import Files, Found, parts, suffix
from trainables.data.table_names import split_of
from trainables.data.tables import Table
from trainables.problems import one_line

# Ids named in one line.
EXAMPLES = 3
# Files among which the nearest to a missing one is looked for.
SEARCHED = 500

FOLDERS = "ids are in other folders than the files: {id!r} is {file!r}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Matched:
    """The rows of a table, each with its file.

    Attributes:
        rows: Indices of rows, one per usable row, ascending.
        files: The index of each row's file, no file twice.
        notes: Lines to show.
        problems: Lines that forbid using the rows, one per cause.
    """

    rows: tuple[int, ...]
    files: tuple[int, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]


def match(table: Table, files: Sequence[str]) -> Matched:
    """Match the rows of a table with files, given by relative posix paths.

    A path or name as written wins; else the first rule that finds a file (`table_ids.RULES`), and
    each rule that was used is a note. An id that may be of several files, an image with several ids
    or labels, and ids without an image are problems.
    """
    index = Files(files)
    found = _of_known_folders(list(map(index.find, table.ids)))
    notes: list[str] = []
    chosen = _in_split_folders(table, index, found, notes)

    # Each row is of one file, of none or of several.
    lacking: list[int] = []
    unclear: list[int] = []
    rows_of: dict[int, list[int]] = {}
    named: set[int] = set()
    for row, files_of in enumerate(chosen):
        named.update(files_of)
        if len(files_of) == 1:
            rows_of.setdefault(files_of[0], []).append(row)
        elif files_of:
            unclear.append(row)
        else:
            lacking.append(row)
    problems = [*_lacking(table, files, lacking), *_unclear(table, files, chosen, unclear)]

    # Each file is of one row, or of rows that say the same.
    several = {file: rows for file, rows in rows_of.items() if len(rows) > 1}
    problems += _contradictions(table, files, several)
    repeats = sum(map(len, several.values())) - len(several)
    if repeats and not problems:
        notes.append(f"{table.path.name}: lines that repeat another are left out: {repeats}")

    notes += _assumed(table, files, found, rows_of)
    rest = len(files) - len(named)
    if rest == 1:
        notes.append("1 file without a label is left out")
    elif rest:
        notes.append(f"{rest} files without a label are left out")
    pairs = sorted((rows[0], file) for file, rows in rows_of.items())
    return Matched(
        rows=tuple(row for row, _ in pairs),
        files=tuple(file for _, file in pairs),
        notes=tuple(map(one_line, notes)),
        problems=tuple(map(one_line, problems)),
    )


def _of_known_folders(found: list[Found | None]) -> list[Found | None]:
    """Leave out files in other folders than their ids say, unless all ids' folders are unknown."""
    if not any(one.folders and not one.strange for one in found if one):
        return found
    return [None if one and one.strange else one for one in found]


def _in_split_folders(
    table: Table, index: Files, found: Sequence[Found | None], notes: list[str]
) -> list[tuple[int, ...]]:
    """Return the files of each row.

    Of equally named ones these are those in the folder of the row's split, without splits in train.
    """
    chosen = []
    used: dict[str, int] = {}
    for row, one in enumerate(found):
        files = one.files if one else ()
        if len(files) > 1:
            split = table.splits[row] if table.splits else "train"
            inside = tuple(file for file in files if split in map(split_of, index.folders(file)))
            if len(inside) == 1:
                files = inside
                used[split] = used.get(split, 0) + 1
        chosen.append(files)
    for split, count in used.items():
        notes.append(
            f"{table.path.name}: names found in several folders are taken from {split}: {count}"
        )
    return chosen


def _lacking(table: Table, files: Sequence[str], rows: Sequence[int]) -> list[str]:
    """Return a line for all ids without an image, with what nearly fits."""
    if not rows:
        return []
    some = ", ".join(repr(table.ids[row]) for row in rows[:EXAMPLES])
    first = table.ids[rows[0]]
    # The nearest name shows best what is different.
    name = (parts(first) or [first])[-1]
    names = [file.rpartition("/")[2] for file in files[:SEARCHED]]
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        there = f"the nearest file is {near[0]!r}"
    elif files:
        there = f"files are named like {files[0]!r}"
    else:
        there = "there are no images at all, neither beside it nor in a folder such as train/"
    return [
        f"Each id of {table.path} must have an image in {table.path.parent}, but {len(rows)} have "
        f"none, such as {some} (line {table.lines[rows[0]]}; {len(table.ids)} ids in all); {there}:"
        f" add the files or remove the lines."
    ]


def _unclear(
    table: Table, files: Sequence[str], chosen: Sequence[tuple[int, ...]], rows: Sequence[int]
) -> list[str]:
    """Return a line for all ids that may be of several images."""
    if not rows:
        return []
    first = rows[0]
    both = " and ".join(repr(files[file]) for file in chosen[first][:2])
    count = _of_several(len(rows), "ids")
    return [
        f"An id of {table.path} must have one image in {table.path.parent}, but "
        f"{table.ids[first]!r} has {len(chosen[first])}, {both}{count}: write the paths of the "
        f"images as ids, or remove all but one."
    ]


def _of_several(count: int, what: str) -> str:
    return f" ({count} such {what})" if count > 1 else ""


def _contradictions(
    table: Table, files: Sequence[str], several: Mapping[int, Sequence[int]]
) -> list[str]:
    """Return a line per cause for images that several rows are of, unless these say the same."""
    columns = {"id": table.ids, "label": table.labels}
    if table.splits:
        columns["split"] = table.splits
    if table.groups:
        columns["group"] = table.groups

    # An image counts for the first column in which its rows differ.
    causes: dict[str, list[str]] = {}
    for file, rows in several.items():
        for what, values in columns.items():
            different = sorted({values[row] for row in rows})
            if len(different) > 1:
                said = " and ".join(map(repr, different[:EXAMPLES]))
                where = " and ".join(table.lines[row] for row in rows[:EXAMPLES])
                name = files[file].rpartition("/")[2]
                causes.setdefault(what, []).append(f"{name!r} has {said} (lines {where})")
                break

    # One example per cause; the others are counted.
    problems = []
    for what in columns:
        lines = causes.get(what, [])
        if lines:
            count = _of_several(len(lines), "images")
            problems.append(
                f"An image must have one {what} in {table.path}, but {lines[0]}{count}: "
                f"remove all lines but one."
            )
    return problems


def _assumed(
    table: Table,
    files: Sequence[str],
    found: Sequence[Found | None],
    rows_of: Mapping[int, Sequence[int]],
) -> list[str]:
    """Return a note for each rule that was needed, with an example and how many ids needed it."""
    first: dict[str, str] = {}
    count: Counter[str] = Counter()
    for file, rows in rows_of.items():
        for row in rows:
            one = found[row]
            assert one is not None
            assumed = [one.rule.said] if one.rule.said else []
            if one.strange:
                assumed.append(FOLDERS)
            for said in assumed:
                count[said] += 1
                if said not in first:
                    path = files[file]
                    first[said] = said.format(id=table.ids[row], file=path, suffix=suffix(path))
    # Each rule that was used is told with its first example.
    notes = []
    for said, text in first.items():
        notes.append(f"{table.path.name}: {text} ({count[said]} of {len(table.ids)} ids)")
    return notes
