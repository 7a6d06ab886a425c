"""Which column of a table names the images, which their labels, splits and groups: only where it is certain."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from trainables.data.table_ids import Files, bare, parts
from trainables.data.table_names import (
    names_box,
    names_image,
    names_label,
    names_split,
    names_tags,
    plain,
    split_of,
)

SHOWN = 8  # names of columns in one line
SAMPLE = 500  # rows whose cells are looked up among the files
MOST_WORDS = 20  # different cells of a column of splits
HALF = 0.5  # a column of images names a file in at least so many rows

Body = Sequence[Sequence[str]]  # rows below the header, all as long as it


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The columns by what they hold.

    Attributes:
        image: The column that names the images; None where that is not certain.
        label: The column of labels, or of a one-hot table all of them; empty where that is not certain.
        split: The column of train, val and test.
        group: The column that was asked for as group.
        notes: What was decided otherwise than by name.
        problems: What was not decided, one line each.
    """

    image: int | None
    label: tuple[int, ...]
    split: int | None
    group: int | None
    notes: tuple[str, ...]
    problems: tuple[str, ...]


def find_columns(
    names: Sequence[str],
    rows: Body,
    files: Files,
    *,
    title: str,
    asked: tuple[str, str] | None = None,
    group: str | None = None,
) -> Columns:
    """Find the columns of a table by their names, and by their cells where names leave several.

    Args:
        names: The header's names; numbers from 1 where there is no header.
        rows: The rows below it.
        files: The images beside the table; none where they are not known.
        title: What messages call the table.
        asked: Names (or numbers from 1) of the columns of images and labels, from the user.
        group: The name of a column of groups; a name that the table lacks is no problem here.
    """
    grouped = (
        _position(names, group) if group and re.fullmatch(r"[^\W\d][\w -]*", group) else None
    )  # else a pattern
    if asked:
        return _asked(names, rows, title, asked, grouped)
    notes: list[str] = []
    problems: list[str] = []
    free = [
        c
        for c in range(len(names))
        if not _counts(names[c], [row[c] for row in rows]) and c != grouped
    ]
    split = _split(names, rows, free, title, notes, problems)
    free = [c for c in free if c != split]
    images = _images(names, rows, free if grouped is None else sorted({*free, grouped}), files)
    images = [
        c for c in images if c != grouped
    ] or images  # names of images may tell their groups, too
    image = images[0] if len(images) == 1 else None
    labels: list[int] = []
    if image is None:
        problems.append(_not_certain("names of images", names, images, free, title))
    else:
        others = [
            c
            for c in free
            if c != image and names[c].strip() and not plain(names[c]).startswith("unnamed")
        ]
        named = _named_labels(names, rows, others, notes)
        labels = named or _unnamed_labels(names, rows, others)
        if grouped is not None and names_label(names[grouped]) and not named:
            rule = f"--group must name another column of {title} than that of labels"
            problems.append(
                f"{rule}, but names {names[grouped]!r}: name that of patients or videos, or leave it out."
            )
        elif not labels or len(named) > 1:
            problems.append(_not_certain("labels", names, named, others, title, image))
            labels = []
    return Columns(
        image=image,
        label=tuple(labels),
        split=split,
        group=grouped,
        notes=tuple(notes),
        problems=tuple(problems),
    )


def _asked(
    names: Sequence[str], rows: Body, title: str, asked: tuple[str, str], group: int | None
) -> Columns:
    """The columns that the user names."""
    notes: list[str] = []
    problems: list[str] = []
    found = []
    for name in asked:
        position = _position(names, name)
        found.append(position)
        if position is None:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" did you mean {near[0]!r}?" if near else ""
            problems.append(
                f"unknown column {name!r} in {title}:{hint} it has {listed(names, range(len(names)))}."
            )
    image, label = found
    if image is not None and image == label:
        problems.append(
            f"--columns must name two columns of {title}, but names {asked[0]!r} twice: give IMAGE,LABEL."
        )
        label = None
    free = [c for c in range(len(names)) if c not in (image, label, group)]
    return Columns(
        image=image,
        label=() if label is None else (label,),
        split=_split(names, rows, free, title, notes, problems),
        group=group,
        notes=tuple(notes),
        problems=tuple(problems),
    )


def _position(names: Sequence[str], name: str) -> int | None:
    """A column by its name, as written or nearly so, or by its number from 1."""
    if name in names:
        return names.index(name)
    alike = [c for c, other in enumerate(names) if plain(other) == plain(name) != ""]
    if len(alike) == 1:
        return alike[0]
    if name.isdecimal() and len(name) < 10 and 1 <= int(name) <= len(names):
        return int(name) - 1
    return None


def _counts(name: str, cells: Sequence[str]) -> bool:
    """Whether a column only counts the rows, as pandas and R write it: 0, 1, 2 ... without a name."""
    if plain(name) not in ("", "index", "rownames", "x") and not plain(name).startswith("unnamed"):
        return False
    if not cells or not all(cell.isdecimal() and len(cell) < 10 for cell in cells):
        return False
    numbers = list(map(int, cells))
    return numbers[0] in (0, 1) and all(after == before + 1 for before, after in pairwise(numbers))


def _split(
    names: Sequence[str],
    rows: Body,
    free: Sequence[int],
    title: str,
    notes: list[str],
    problems: list[str],
) -> int | None:
    """The column of splits: one with a split's name whose cells are splits."""
    found: list[int] = []
    for column in free:
        words = sorted({row[column] for row in rows})
        if len(words) > MOST_WORDS and not names_split(names[column]):
            continue
        strange = [word for word in words if split_of(word, names[column]) is None]
        plainly = len(words) > 1 and not strange and not names_label(names[column])
        if not plainly and not names_split(names[column]):
            continue
        some = ", ".join(map(repr, strange[:3])) + (", ..." if len(strange) > 3 else "")
        if not strange:
            found.append(column)
        elif len(strange) < len(words) or plain(names[column]).startswith("split"):
            rule = f"column {names[column]!r} of {title} must be train, val or test in each row"
            problems.append(f"{rule}, but has {some}: write these, or rename the column.")
        elif all(word.isdecimal() for word in strange):
            notes.append(
                f"column {names[column]!r} ({some}) is no split, as it does not say train, val or test"
            )
    if any(len({split_of(row[c], names[c]) for c in found}) > 1 for row in rows):
        both = " and ".join(repr(names[c]) for c in found)
        problems.append(
            f"{title} must have one column of splits, but has {both}, which differ: rename all but one."
        )
    return found[0] if found else None


def _images(names: Sequence[str], rows: Body, free: Sequence[int], files: Files) -> list[int]:
    """The column that names the images; several, or none, where that is not certain."""
    named = [c for c in free if names_image(names[c])]
    if not files.files:
        return [c for c in named if plain(names[c]) not in ("id", "name")] or named
    sample = rows[:: max(1, len(rows) // SAMPLE)]
    merit = {c: _merit([row[c] for row in sample], files) for c in free}
    fitting = [c for c in named if merit[c][0] >= HALF] or [c for c in free if merit[c][0] >= HALF]
    if not fitting:  # which files are missing is said when rows are matched
        part = [c for c in named if merit[c][0] > 0]
        return part or [c for c in named if plain(names[c]) not in ("id", "name")] or named
    most = max(merit[c] for c in fitting)
    best = [c for c in fitting if merit[c] == most]
    same = all(_key(row[best[0]]) == _key(row[c]) for row in sample for c in best)
    return best[:1] if same else best


def _merit(cells: Sequence[str], files: Files) -> tuple[float, int, int]:
    """How many cells name a file, how well they do, and how many are different."""
    degrees = [files.fits(cell) for cell in cells]
    count = max(1, len(cells))
    return sum(map(bool, degrees)) / count, sum(degrees), len(set(cells))


def _key(cell: str) -> str:
    return bare((parts(cell) or [cell])[-1])


def _named_labels(
    names: Sequence[str], rows: Body, others: Sequence[int], notes: list[str]
) -> list[int]:
    """The column with a label's name, or the several of different meaning."""
    boxes = any(plain(names[c]) in ("x", "x1", "xmin") for c in others)  # beside x, a y is no label
    named = [c for c in others if names_label(names[c]) and not (boxes and names_box(names[c]))]
    if len(named) < 2 or not _same_classes(rows, named):
        return named
    words = [c for c in named if not all(_is_number(row[c]) for row in rows)]
    chosen = (words or named)[0]
    rest = listed(names, [c for c in named if c != chosen])
    notes.append(f"column {names[chosen]!r} gives the labels; {rest} would give the same classes")
    return [chosen]


def _unnamed_labels(names: Sequence[str], rows: Body, others: Sequence[int]) -> list[int]:
    """The columns of a one-hot table, or the only one beside the images."""
    never = (
        names_box,
        names_tags,
        names_split,
    )  # 0, 1 and 2 of a column `partition` are no classes
    plausible = [c for c in others if not any(names_so(names[c]) for names_so in never)]
    hot = [
        c
        for c in plausible
        if all(_is_flag(row[c]) for row in rows) and any(row[c] for row in rows)
    ]
    headed = any(name != str(number) for number, name in enumerate(names, 1))
    if len(hot) > 1 and headed:
        return hot
    return plausible if len(others) == 1 else []


def _same_classes(rows: Body, columns: Sequence[int]) -> bool:
    """Whether columns tell the same classes apart, such as numbers and names of them."""
    together = {tuple(row[c] for c in columns) for row in rows}
    return all(len({row[c] for row in rows}) == len(together) for c in columns)


def _is_flag(cell: str) -> bool:
    """Whether a cell may be of a one-hot table."""
    return cell.lower() in ("", "0", "1", "0.0", "1.0", "-1", "true", "false")


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[-+]?[0-9]*[.]?[0-9]*(e[-+]?[0-9]+)?", cell.lower()) is not None


def _not_certain(
    what: str,
    names: Sequence[str],
    candidates: Sequence[int],
    free: Sequence[int],
    title: str,
    image: int | None = None,
) -> str:
    """One line: which columns could be meant, and what to type."""
    found = (
        f"{listed(names, candidates)} could be it" if candidates else f"has {listed(names, free)}"
    )
    mend = "say which with --columns IMAGE,LABEL"
    plausible = [c for c in candidates or free if not names_box(names[c])]
    if image is not None and plausible:
        typed = f"{_typed(names, image)},{_typed(names, plausible[0])}"
        mend += f", such as --columns {shlex.quote(typed)}"
    return f"{title} must have one column of {what}, but {found}: {mend}."


def _typed(names: Sequence[str], column: int) -> str:
    """How a column is named on the command line: by its number where its name has a comma or is not the only one."""
    name = names[column]
    plainly = name.strip() and "," not in name and names.count(name) == 1
    return name if plainly else str(column + 1)


def listed(names: Sequence[str], columns: Sequence[int]) -> str:
    """The names of the first `SHOWN` columns, and how many more there are."""
    shown = ", ".join(repr(names[c]) for c in list(columns)[:SHOWN])
    rest = len(columns) - SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown or "none"
