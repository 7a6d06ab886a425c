"""The label of each row of a table: from one column, or from the 1 of a one-hot table."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.table_columns import Body, Columns, listed

# Labels named in one line.
EXAMPLES = 3

_MISSING = frozenset(
    ("", "?", "NaN", "nan", "NAN", "<NA>", "NA", "N/A", "n/a", "#N/A", "null", "NULL")
)
_ON = frozenset(("1", "1.0", "true"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """The labels of a table.

    Attributes:
        rows: Indices of the rows that have a label.
        labels: The label of each of them.
        notes: Lines to show.
        problems: Lines that forbid using them, one per cause.
    """

    rows: list[int]
    labels: list[str]
    notes: list[str]
    problems: list[str]


def read_labels(
    path: Path, names: Sequence[str], rows: Body, lines: Sequence[int], columns: Columns
) -> Labels:
    """Read the labels.

    Rows without one are left out with a note: they are a competition's test images.
    """
    problems: list[str] = []
    of_rows = _one_per_row(path, names, rows, lines, columns, problems)
    kept = [n for n, label in enumerate(of_rows) if label]
    labels = _whole_numbers(list(filter(None, of_rows)))
    return Labels(
        rows=kept,
        labels=labels,
        notes=_unlabelled(path, rows, lines, kept, columns),
        problems=problems or _row_problems(path, rows, lines, kept, labels, columns),
    )


def _one_per_row(
    path: Path,
    names: Sequence[str],
    rows: Body,
    lines: Sequence[int],
    columns: Columns,
    problems: list[str],
) -> list[str]:
    """Return the label of each row; empty where it has none."""
    if len(columns.label) == 1:
        (column,) = columns.label
        return [_present(row[column]) for row in rows]

    # A one-hot table; a row without any cell has no label.
    labels: list[str] = []
    none: list[int] = []
    several: list[int] = []
    for row, line in zip(rows, lines, strict=True):
        on = [c for c in columns.label if row[c].lower() in _ON]
        labels.append(names[on[0]] if len(on) == 1 else "")
        if len(on) > 1:
            several.append(line)
        elif not on and any(row[c] for c in columns.label):
            none.append(line)
    if none or several:
        line = (several or none)[0]
        problems.append(
            f"{path} must have a single 1 per row in {listed(names, columns.label)}, but has "
            f"several in {len(several)} and none in {len(none)}, such as line {line}: an image has "
            f"one label here; remove such rows, or name the column of labels with "
            f"--columns IMAGE,LABEL."
        )
    return labels


def _present(cell: str) -> str:
    return "" if cell in _MISSING else cell


def _whole_numbers(labels: Sequence[str]) -> list[str]:
    """Return labels without the `.0` that pandas adds to numbers where a cell is missing.

    That is so if all labels are numbers, or if a label is there in both forms.
    """
    short_of = {label: label.removesuffix(".0") for label in set(labels)}
    numbers = all(short.removeprefix("-").isdecimal() for short in short_of.values())
    if not numbers:
        for label, short in short_of.items():
            short_of[label] = short if short in short_of else label
    return [short_of[label] for label in labels]


def _unlabelled(
    path: Path, rows: Body, lines: Sequence[int], kept: Sequence[int], columns: Columns
) -> list[str]:
    """Return a note on rows that have no label, as a competition's test images."""
    lacking = sorted(set(range(len(rows))) - set(kept))
    if not lacking or not kept or len(columns.label) > 1:
        return []
    (column,) = columns.label
    cells = ", ".join(sorted({repr(rows[n][column]) for n in lacking}))
    example = f"such as line {lines[lacking[0]]}"
    return [f"{path.name}: rows without a label ({cells}) are left out: {len(lacking)}, {example}"]


def _row_problems(
    path: Path,
    rows: Body,
    lines: Sequence[int],
    kept: Sequence[int],
    labels: Sequence[str],
    columns: Columns,
) -> list[str]:
    """Return a line per cause for which rows cannot be used."""
    assert columns.image is not None
    # A competition leaves some rows without labels, but not most.
    problems = []
    if 2 * len(kept) < len(rows):
        unlabelled = len(rows) - len(kept)
        problems.append(
            f"{path} must have labels, but {unlabelled} of {len(rows)} rows have none: "
            f"fill or remove these rows."
        )

    # A row with a label must say which image, and which group if asked.
    needed = {"an image": columns.image}
    if columns.group is not None:
        needed["a group"] = columns.group
    for what, column in needed.items():
        lacking = [n for n in kept if not rows[n][column]]
        if lacking:
            count = f"{len(lacking)} rows have none, such as" if len(lacking) > 1 else "none is in"
            problems.append(
                f"{path} must name {what} in each row, but {count} line {lines[lacking[0]]}: "
                f"fill or remove it."
            )

    # Labels that are all different are ids, or file names.
    if len(labels) > EXAMPLES and len(set(labels)) == len(labels) and len(columns.label) == 1:
        some = ", ".join(map(reprlib.repr, labels[:EXAMPLES]))
        problems.append(
            f"{path} must have labels that several images share, but all {len(labels)} are "
            f"different, such as {some}: give the column of labels with --columns IMAGE,LABEL."
        )
    return problems
