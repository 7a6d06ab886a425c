"""The label of each row of a table, from one column or from the 1 of a one-hot table, and rows that have none."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.table_columns import Body, Columns, listed

EXAMPLES = 3  # labels named in one line

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
    path: Path, names: Sequence[str], rows: Body, lines: Sequence[int], found: Columns
) -> Labels:
    """Read the labels; rows without one are left out with a note, as they are a competition's test images."""
    problems: list[str] = []
    labels = _one_per_row(path, names, rows, lines, found, problems)
    kept = [n for n, label in enumerate(labels) if label]
    labels = _whole_numbers([labels[n] for n in kept])
    return Labels(
        rows=kept,
        labels=labels,
        notes=_unlabelled(path, rows, lines, kept, found),
        problems=problems or _row_problems(path, rows, lines, kept, labels, found),
    )


def _one_per_row(
    path: Path,
    names: Sequence[str],
    rows: Body,
    lines: Sequence[int],
    found: Columns,
    problems: list[str],
) -> list[str]:
    """The label of each row; empty where it has none."""
    if len(found.label) == 1:
        return [_present(row[found.label[0]]) for row in rows]
    labels: list[str] = []
    none: list[int] = []
    several: list[int] = []
    for n, row in enumerate(rows):
        on = [c for c in found.label if row[c].lower() in _ON]
        labels.append(names[on[0]] if len(on) == 1 else "")
        if len(on) > 1:
            several.append(n)
        elif not on and any(row[c] for c in found.label):
            none.append(n)
    if none or several:
        counts = f"several in {len(several)} and none in {len(none)}, such as line {lines[(several or none)[0]]}"
        mend = "an image has one label here; remove such rows, or name the column of labels with --columns IMAGE,LABEL"
        problems.append(
            f"{path} must have a single 1 per row in {listed(names, found.label)}, but has {counts}: {mend}."
        )
    return labels


def _present(cell: str) -> str:
    return "" if cell in _MISSING else cell


def _whole_numbers(labels: Sequence[str]) -> list[str]:
    """Labels without the `.0` that pandas adds to numbers where a cell is missing: if all are numbers, or both are there."""
    plainly = {label: label.removesuffix(".0") for label in set(labels)}
    if not all(label.removeprefix("-").isdecimal() for label in plainly.values()):
        plainly = {label: short if short in plainly else label for label, short in plainly.items()}
    return [plainly[label] for label in labels]


def _unlabelled(
    path: Path, rows: Body, lines: Sequence[int], kept: Sequence[int], found: Columns
) -> list[str]:
    """A note on rows that have no label, as a competition's test images."""
    lacking = sorted(set(range(len(rows))) - set(kept))
    if not lacking or not kept or len(found.label) > 1:
        return []
    cells = ", ".join(sorted({repr(rows[n][found.label[0]]) for n in lacking}))
    return [
        f"{path.name}: rows without a label ({cells}) are left out: {len(lacking)}, such as line {lines[lacking[0]]}"
    ]


def _row_problems(
    path: Path,
    rows: Body,
    lines: Sequence[int],
    kept: Sequence[int],
    labels: Sequence[str],
    found: Columns,
) -> list[str]:
    """Rows that cannot be used, a line per cause."""
    assert found.image is not None
    problems = []
    if 2 * len(kept) < len(rows):
        unlabelled = len(rows) - len(kept)
        problems.append(
            f"{path} must have labels, but {unlabelled} of {len(rows)} rows have none: fill or remove these rows."
        )
    for what, column in (("an image", found.image), ("a group", found.group)):
        lacking = [] if column is None else [n for n in kept if not rows[n][column]]
        if lacking:
            count = f"{len(lacking)} rows have none, such as" if len(lacking) > 1 else "none is in"
            problems.append(
                f"{path} must name {what} in each row, but {count} line {lines[lacking[0]]}: fill or remove it."
            )
    if len(labels) > EXAMPLES and len(set(labels)) == len(labels) and len(found.label) == 1:
        some = ", ".join(map(reprlib.repr, labels[:EXAMPLES]))
        problems.append(
            f"{path} must have labels that several images share, but all {len(labels)} are different, such as {some}: give the "
            "column of labels with --columns IMAGE,LABEL."
        )
    return problems
