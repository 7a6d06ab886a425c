"""The rows of a table of labels and the images beside it: which row is of which file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainables.data.table_ids import Files, Found, parts, suffix
from trainables.data.table_names import split_of
from trainables.data.tables import Table
from trainables.problems import one_line

EXAMPLES = 3  # ids named in one line
FOLDERS = "ids are in other folders than the files: {id!r} is {file!r}"
SEARCHED = 500  # files among which the nearest to a missing one is looked for


@dataclass(frozen=True, kw_only=True, slots=True)
class Matched:
    """Which row of a table is of which file.

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

    A path or name as written wins; else the first rule that finds a file (`table_ids.RULES`), and each rule that was
    used is a note. An id that may be of several files, an image with several ids or labels, and ids without an image
    are problems.
    """
    index = Files(files)
    found = [index.find(written) for written in table.ids]
    found = _of_known_folders(found)
    notes: list[str] = []
    chosen = _in_split_folders(table, index, found, notes)
    lacking = [row for row, files_of in enumerate(chosen) if not files_of]
    unclear = [row for row, files_of in enumerate(chosen) if len(files_of) > 1]
    problems = [*_lacking(table, files, lacking), *_unclear(table, files, chosen, unclear)]

    # one row per file
    rows_of: dict[int, list[int]] = {}
    for row, files_of in enumerate(chosen):
        if len(files_of) == 1:
            rows_of.setdefault(files_of[0], []).append(row)
    several = {file: rows for file, rows in rows_of.items() if len(rows) > 1}
    problems += _contradictions(table, files, several)
    repeats = sum(map(len, several.values())) - len(several)
    if repeats and not problems:
        notes.append(f"{table.path.name}: lines that repeat another are left out: {repeats}")

    notes += _assumed(table, files, found, rows_of)
    rest = len(files) - len({file for files_of in chosen for file in files_of})
    if rest:
        notes.append(
            f"{rest} {'files' if rest > 1 else 'file'} without a label {'are' if rest > 1 else 'is'} left out"
        )
    pairs = sorted((rows[0], file) for file, rows in rows_of.items())
    return Matched(
        rows=tuple(row for row, _ in pairs),
        files=tuple(file for _, file in pairs),
        notes=tuple(map(one_line, notes)),
        problems=tuple(map(one_line, problems)),
    )


def _of_known_folders(found: Sequence[Found | None]) -> list[Found | None]:
    """Without files in other folders than their ids say, unless the folders of all ids are unknown here."""
    if any(one.folders and not one.strange for one in found if one):
        return [one if one and not one.strange else None for one in found]
    return list(found)


def _in_split_folders(
    table: Table, index: Files, found: Sequence[Found | None], notes: list[str]
) -> list[tuple[int, ...]]:
    """The files of each row: of equally named ones those in the folder of the row's split, without splits in train."""
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
            f"{table.path.name}: names that several folders have are of the {split} folder: {count}"
        )
    return chosen


def _lacking(table: Table, files: Sequence[str], rows: Sequence[int]) -> list[str]:
    """One line for all ids without an image, with what nearly fits."""
    if not rows:
        return []
    some = ", ".join(repr(table.ids[row]) for row in rows[:EXAMPLES])
    first = table.ids[rows[0]]
    near = difflib.get_close_matches(
        (parts(first) or [first])[-1], [file.rpartition("/")[2] for file in files[:SEARCHED]], n=1
    )
    if near:
        there = f"the nearest file is {near[0]!r}"
    elif files:
        there = f"files there are such as {files[0]!r}"
    else:
        there = "there is no image at all, neither beside it nor in a folder such as train/"
    return [
        f"Each id of {table.path} must have an image in {table.path.parent}, but {len(rows)} have none, such as {some} (line "
        f"{table.lines[rows[0]]}; {len(table.ids)} ids in all); {there}: add the files or remove the lines."
    ]


def _unclear(
    table: Table, files: Sequence[str], chosen: Sequence[tuple[int, ...]], rows: Sequence[int]
) -> list[str]:
    """One line for all ids that may be of several images."""
    if not rows:
        return []
    first = rows[0]
    both = " and ".join(repr(files[file]) for file in chosen[first][:2])
    count = f" ({len(rows)} such ids)" if len(rows) > 1 else ""
    return [
        f"An id of {table.path} must have one image in {table.path.parent}, but {table.ids[first]!r} has "
        f"{len(chosen[first])}, {both}{count}: write the paths of the images as ids, or remove all but one."
    ]


def _contradictions(
    table: Table, files: Sequence[str], several: Mapping[int, Sequence[int]]
) -> list[str]:
    """A line per cause for images that several rows are of, unless the rows say the same."""
    causes: dict[str, list[str]] = {"id": [], "label": [], "split": [], "group": []}
    for file, rows in several.items():
        where = " and ".join(table.lines[row] for row in rows[:EXAMPLES])
        for what, values in (
            ("id", table.ids),
            ("label", table.labels),
            ("split", table.splits),
            ("group", table.groups),
        ):
            different = sorted({values[row] for row in rows}) if values else ()
            if len(different) > 1:
                said = " and ".join(map(repr, different[:EXAMPLES]))
                causes[what].append(
                    f"{files[file].rpartition('/')[2]!r} has {said} (lines {where})"
                )
                break
    problems = []
    for what, lines in causes.items():
        if lines:
            count = f" ({len(lines)} such images)" if len(lines) > 1 else ""
            problems.append(
                f"An image must have one {what} in {table.path}, but {lines[0]}{count}: remove all lines but one."
            )
    return problems


def _assumed(
    table: Table,
    files: Sequence[str],
    found: Sequence[Found | None],
    rows_of: Mapping[int, Sequence[int]],
) -> list[str]:
    """A note for each rule that was needed, with one example and how many ids needed it."""
    first: dict[str, str] = {}
    count: dict[str, int] = {}
    for file, rows in rows_of.items():
        for row in rows:
            one = found[row]
            assert one is not None
            example = {"id": table.ids[row], "file": files[file], "suffix": suffix(files[file])}
            for said in filter(None, (one.rule.said, FOLDERS if one.strange else "")):
                first.setdefault(said, said.format(**example))
                count[said] = count.get(said, 0) + 1
    total = len(table.ids)
    return [
        f"{table.path.name}: {text} ({count[said]} of {total} ids)" for said, text in first.items()
    ]
