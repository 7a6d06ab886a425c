"""Which column of a table names the images, which their labels, splits and groups.

Only what is certain is decided.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

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

# Names of columns in one line.
SHOWN = 8
# Rows whose cells are looked up among the files.
SAMPLE = 500
# Different cells of a column of splits.
MOST_WORDS = 20
# A column of images names a file in at least this share of the rows.
HALF = 0.5

# The rows below the header, all as long as it.
Body = Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The columns by what they hold.

    Attributes:
        image: The column that names the images; None where that is not certain.
        label: The column of labels, or of a one-hot table all of them; empty where that is not
            certain.
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
    # What does not look like a name is a pattern, for paths.
    grouped = None
    if group and re.fullmatch(r"[^\W\d][\w -]*", group):
        grouped = _position(names, group)
    if asked:
        return _asked(names, rows, title, asked, grouped)

    # The column of splits, of what neither counts the rows nor names groups.
    notes: list[str] = []
    problems: list[str] = []
    free = _without(range(len(names)), grouped)
    free = [c for c in free if not _counts(names[c], _cells(rows, c))]
    split = _split(names, rows, free, title, notes, problems)
    free = _without(free, split)

    # The column of images, whose names may tell their groups, too.
    possible = free if grouped is None else sorted({*free, grouped})
    images = _images(names, rows, possible, files)
    images = _without(images, grouped) or images
    image = images[0] if len(images) == 1 else None

    # The columns of labels, of what is left.
    labels: list[int] = []
    if image is None:
        problems.append(_not_certain("names of images", names, images, free, title))
    else:
        others = [c for c in _without(free, image) if not _is_unnamed(names[c])]
        named = _named_labels(names, rows, others, notes)
        labels = named or _unnamed_labels(names, rows, others)
        if grouped is not None and names_label(names[grouped]) and not named:
            problems.append(
                f"--group must name another column of {title} than that of labels, but names "
                f"{names[grouped]!r}: name that of patients or videos, or leave it out."
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
    """Return the columns that the user names."""
    # Names that are unknown, or one that is given twice.
    notes: list[str] = []
    problems: list[str] = []
    positions = []
    for name in asked:
        position = _position(names, name)
        positions.append(position)
        if position is None:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" did you mean {near[0]!r}?" if near else ""
            known = listed(names, range(len(names)))
            problems.append(f"unknown column {name!r} in {title}:{hint} it has {known}.")
    image, label = positions
    if image is not None and image == label:
        problems.append(
            f"--columns must name two columns of {title}, but names {asked[0]!r} twice: "
            f"give IMAGE,LABEL."
        )
        label = None
    # Splits may be in any other column.
    free = _without(range(len(names)), image, label, group)
    return Columns(
        image=image,
        label=() if label is None else (label,),
        split=_split(names, rows, free, title, notes, problems),
        group=group,
        notes=tuple(notes),
        problems=tuple(problems),
    )


def _position(names: Sequence[str], name: str) -> int | None:
    """Return a column by its name, as written or nearly so, or by its number from 1."""
    if name in names:
        return names.index(name)
    meant = plain(name)
    alike = [c for c, other in enumerate(names) if meant and plain(other) == meant]
    if len(alike) == 1:
        return alike[0]
    if name.isdecimal() and len(name) < 10 and 1 <= int(name) <= len(names):
        return int(name) - 1
    return None


def _without(columns: Iterable[int], *others: int | None) -> list[int]:
    return [column for column in columns if column not in others]


def _called(columns: Iterable[int], names: Sequence[str], test: Callable[[str], bool]) -> list[int]:
    """Return the columns whose names pass a test."""
    return [column for column in columns if test(names[column])]


def _cells(rows: Body, column: int) -> list[str]:
    return [row[column] for row in rows]


def _is_unnamed(name: str) -> bool:
    """Return whether a column has no name, which pandas writes as `Unnamed: 0`."""
    return not name.strip() or plain(name).startswith("unnamed")


def _counts(name: str, cells: Sequence[str]) -> bool:
    """Return whether a column only counts the rows, as pandas and R write it: 0, 1, 2 ..."""
    if plain(name) not in ("", "index", "rownames", "x") and not _is_unnamed(name):
        return False
    if not cells or not all(cell.isdecimal() and len(cell) < 10 for cell in cells):
        return False
    numbers = list(map(int, cells))
    start = numbers[0]
    return start in (0, 1) and numbers == list(range(start, start + len(numbers)))


def _split(
    names: Sequence[str],
    rows: Body,
    free: Sequence[int],
    title: str,
    notes: list[str],
    problems: list[str],
) -> int | None:
    """Return the column of splits: one with a split's name whose cells are splits."""
    splits: list[int] = []
    for column in free:
        name = names[column]
        # Only a name that says so, or cells that all are splits, make a column one.
        words = sorted(set(_cells(rows, column)))
        if len(words) > MOST_WORDS and not names_split(name):
            continue
        strange = [word for word in words if split_of(word, name) is None]
        plainly = len(words) > 1 and not strange and not names_label(name)
        if not plainly and not names_split(name):
            continue
        if not strange:
            splits.append(column)
            continue
        # Cells of other meanings are a problem only where some are splits, or the name is clear.
        some = ", ".join(map(repr, strange[:3]))
        if len(strange) > 3:
            some += ", ..."
        if len(strange) < len(words) or plain(name).startswith("split"):
            problems.append(
                f"column {name!r} of {title} must be train, val or test in each row, but has "
                f"{some}: write these, or rename the column."
            )
        elif all(map(str.isdecimal, strange)):
            notes.append(
                f"column {name!r} ({some}) is not used as a split: "
                f"it does not say train, val or test"
            )
    if not splits:
        return None
    # Of several that agree, the first is taken.
    if _disagree(names, rows, splits):
        both = " and ".join(repr(names[column]) for column in splits)
        problems.append(
            f"{title} must have one column of splits, but has {both}, which differ: "
            f"rename all but one."
        )
    return splits[0]


def _disagree(names: Sequence[str], rows: Body, splits: Sequence[int]) -> bool:
    """Return whether columns of splits give one row different splits."""
    return any(len({split_of(row[c], names[c]) for c in splits}) > 1 for row in rows)


def _images(names: Sequence[str], rows: Body, free: Sequence[int], files: Files) -> list[int]:
    """Return the column that names the images; several, or none, where that is not certain."""
    named = _called(free, names, names_image)
    # `id` and `name` may be those of persons where another column names images more clearly.
    clearly = [c for c in named if plain(names[c]) not in ("id", "name")] or named
    if not files.files:
        return clearly

    # The files tell which column names them.
    sample = rows[:: max(1, len(rows) // SAMPLE)]
    merit = {c: _merit(_cells(sample, c), files) for c in free}
    fitting = [c for c in free if merit[c][0] >= HALF]
    fitting = [c for c in fitting if c in named] or fitting
    if not fitting:
        # Which files are missing is said when rows are matched.
        return [c for c in named if merit[c][0] > 0] or clearly
    most = max(merit[c] for c in fitting)
    best = [c for c in fitting if merit[c] == most]
    if all(_keys(sample, c) == _keys(sample, best[0]) for c in best[1:]):
        return best[:1]
    return best


def _merit(cells: Sequence[str], files: Files) -> tuple[float, int, int]:
    """Return the share of cells that name a file, how well they do, and how many are different."""
    degrees = list(map(files.fits, cells))
    share = sum(map(bool, degrees)) / max(1, len(cells))
    return share, sum(degrees), len(set(cells))


def _keys(rows: Body, column: int) -> list[str]:
    """Return a column's names of files without folders and suffix."""
    return [bare((parts(cell) or [cell])[-1]) for cell in _cells(rows, column)]


def _named_labels(
    names: Sequence[str], rows: Body, others: Sequence[int], notes: list[str]
) -> list[int]:
    """Return the column with a label's name, or the several of different meaning."""
    named = _called(others, names, names_label)
    # Beside x, a y is no label.
    if any(plain(names[c]) in ("x", "x1", "xmin") for c in others):
        named = _without(named, *_called(named, names, names_box))
    if len(named) < 2 or not _same_classes(rows, named):
        return named
    # Of numbers and names of the same classes, names are better to read.
    words = [c for c in named if not all(map(_is_number, _cells(rows, c)))]
    chosen = (words or named)[0]
    rest = listed(names, _without(named, chosen))
    notes.append(f"column {names[chosen]!r} gives the labels; {rest} would give the same classes")
    return [chosen]


def _unnamed_labels(names: Sequence[str], rows: Body, others: Sequence[int]) -> list[int]:
    """Return the columns of a one-hot table, or the only one beside the images."""
    plausible = [c for c in others if not _is_never_a_label(names[c])]
    hot = [c for c in plausible if _is_hot(_cells(rows, c))]
    # Without a header there are no names for the classes.
    headed = any(name != str(number) for number, name in enumerate(names, 1))
    if len(hot) > 1 and headed:
        return hot
    return plausible if len(others) == 1 else []


def _is_never_a_label(name: str) -> bool:
    """Return whether a name tells other things: 0, 1 and 2 of `partition` are no classes."""
    return names_box(name) or names_tags(name) or names_split(name)


def _is_hot(cells: Sequence[str]) -> bool:
    """Return whether cells may be one column of a one-hot table."""
    flags = ("", "0", "1", "0.0", "1.0", "-1", "true", "false")
    return any(cells) and all(cell.lower() in flags for cell in cells)


def _same_classes(rows: Body, columns: Sequence[int]) -> bool:
    """Return whether columns tell the same classes apart, such as numbers and names of them."""
    together = set(zip(*(_cells(rows, c) for c in columns), strict=True))
    return all(len(set(_cells(rows, c))) == len(together) for c in columns)


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
    """Return a line: which columns could be meant, and what to type."""
    state = f"has {listed(names, free)}"
    if candidates:
        state = f"{listed(names, candidates)} could be it"
    mend = "choose one with --columns IMAGE,LABEL"
    plausible = candidates or free
    plausible = _without(plausible, *_called(plausible, names, names_box))
    if image is not None and plausible:
        typed = f"{_typed(names, image)},{_typed(names, plausible[0])}"
        mend += f", such as --columns {shlex.quote(typed)}"
    return f"{title} must have one column of {what}, but {state}: {mend}."


def _typed(names: Sequence[str], column: int) -> str:
    """Return what to type for a column: its number where its name has a comma or is not unique."""
    name = names[column]
    if name.strip() and "," not in name and names.count(name) == 1:
        return name
    return str(column + 1)


def listed(names: Sequence[str], columns: Sequence[int]) -> str:
    """Return the names of the first `SHOWN` columns, and how many more there are."""
    shown = ", ".join(repr(names[c]) for c in columns[:SHOWN])
    rest = len(columns) - SHOWN
    if rest > 0:
        return f"{shown} and {rest} more"
    return shown or "none"
