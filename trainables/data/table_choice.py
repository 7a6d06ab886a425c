"""Which file of a folder is its table of labels: by name and, of several, by what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from trainables.data.table_ids import Files
from trainables.data.table_names import split_of
from trainables.data.tables import Table, read_table

# A table of this name wins over all others.
MEANT = "labels"
# Rows that tell whether a table is of the images here.
SAMPLE = 200
# Files of a folder that are read to find its table, the likeliest first.
MOST_TABLES = 20

_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
_LIKELY = frozenset((
    "label", "labels", "train", "training", "annotation", "annotations", "metadata", "truth",
    "groundtruth", "target", "targets", "val", "valid", "validation", "trainval", "test",
    "testing", "list", "images",
))  # fmt: skip
# By the end of the name: what it is, and how it becomes a table.
_OTHER_KINDS = {
    ".xlsx": ("an Excel workbook", "save it as {name}.csv (CSV UTF-8)"),
    ".xls": ("an Excel workbook", "save it as {name}.csv (CSV UTF-8)"),
    ".ods": ("a spreadsheet", "save it as {name}.csv"),
    ".json": ("JSON", "write its images and labels as {name}.csv with the header id,label"),
    ".jsonl": ("JSON", "write its images and labels as {name}.csv with the header id,label"),
    ".parquet": ("a parquet file", "save it as {name}.csv"),
    ".csv.zip": ("compressed", "decompress it with unzip"),
    ".csv.gz": ("compressed", "decompress it with gunzip"),
}
_ANSWERS = frozenset(("submission", "submissions", "requirements", "readme", "license"))


def is_table(name: str) -> bool:
    """Return whether a file may be a table of labels; a .txt only where its name says so."""
    suffix = _suffix(name)
    if suffix not in _SUFFIXES or name.startswith(".") or _ANSWERS & set(_words(name)):
        return False
    return suffix != ".txt" or _is_likely(name)


def tables_in(names: Iterable[str], images: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the files of a folder that may be tables of labels, the likeliest first.

    There are `MOST_TABLES` of them at most.

    Args:
        names: The names of its files.
        images: Names of images beside them: a .txt called like one (a caption, boxes) is of that
            image alone.
    """
    stems = {PurePosixPath(image).stem for image in images}

    def is_of_an_image(name: str) -> bool:
        return name.lower().endswith(".txt") and name[:-4] in stems

    tables = [name for name in names if is_table(name) and not is_of_an_image(name)]
    tables.sort(key=lambda name: (not _is_meant(name), not _is_likely(name), name))
    return tuple(tables[:MOST_TABLES])


def find_table(
    folder: Path,
    names: Sequence[str],
    *,
    columns: tuple[str, str] | None = None,
    group: str | None = None,
    files: Sequence[str] = (),
) -> Table | None:
    """Read the table of labels of a folder.

    Where several files may be it, it is the one that has labels of the images; `train`, `val` and
    `test` of one name are one table with splits. None where no file is a table that has anything
    to do with the images.

    Args:
        folder: Where the tables are.
        names: The names of its files.
        columns: As for `read_table`; tables that lack them are not meant.
        group: As for `read_table`.
        files: Paths of the images, relative to the folder.
    """
    candidates = tables_in(names, [file for file in files if "/" not in file])
    if not candidates:
        return _other_kind(folder, names)
    # A table called labels needs no other sign.
    index = Files(files)
    if _is_meant(candidates[0]):
        return read_table(folder / candidates[0], columns=columns, group=group, files=index)

    # Only what the files hold tells which of them is meant.
    tables: dict[str, Table] = {}
    usable: dict[str, Table] = {}
    for name in candidates:
        table = read_table(folder / name, columns=columns, group=group, files=index)
        tables[name] = table
        if not table.problems and _is_of(table, index):
            usable[name] = table
    if not usable:
        return _nearly(tables) or _other_kind(folder, names)
    chosen = next(iter(usable.values()))
    if len(usable) > 1:
        chosen = _joined(folder, usable)
    others = [name for name in candidates if name not in usable]
    if not others:
        return chosen
    note = f"tables that are not used: {', '.join(map(repr, others[:5]))}"
    return replace(chosen, notes=(*chosen.notes, note))


def _words(name: str) -> list[str]:
    """Split `ISIC_2019_Training_GroundTruth.csv` into isic, 2019, training, ground, truth."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[^\W\d_]+", PurePosixPath(name).stem)
    return list(map(str.lower, words))


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _is_meant(name: str) -> bool:
    return PurePosixPath(name).stem.lower() == MEANT and _suffix(name) != ".txt"


def _is_likely(name: str) -> bool:
    return bool(_LIKELY & set(_words(name)))


def _is_of(table: Table, files: Files) -> bool:
    """Return whether a table's ids name images that are here."""
    sample = table.ids[:: max(1, len(table.ids) // SAMPLE)]
    return not files.files or any(map(files.find, sample))


def _nearly(tables: Mapping[str, Table]) -> Table | None:
    """Return the likeliest table, to say what is wrong with it; None where no name is a table's."""
    likely = [name for name in tables if _is_likely(name) and not name.lower().endswith(".txt")]
    if not likely:
        return None
    learned = [name for name in likely if _split(name) != "test"]
    return tables[(learned or likely)[0]]


def _other_kind(folder: Path, names: Sequence[str]) -> Table | None:
    """Return a file with a table's name that is no text of columns, refused for what it is."""
    for name in sorted(names):
        if not _is_likely(name.removesuffix(".zip").removesuffix(".gz")):
            continue
        for end, (kind, mend) in _OTHER_KINDS.items():
            if name.lower().endswith(end):
                rule = f"{folder / name} must be a table of labels in CSV"
                line = f"{rule}, but is {kind}: {mend.format(name=name[: -len(end)])}."
                return Table(path=folder / name, columns={}, problems=(line,))
    return None


def _split(name: str) -> str | None:
    """Return the split that a file's name tells, if any."""
    return next(filter(None, map(split_of, _words(name))), None)


def _joined(folder: Path, tables: Mapping[str, Table]) -> Table:
    """Join tables of the same name but for train, val and test; refuse others."""
    splits: dict[str, str | None] = {}
    rests: set[tuple[str, ...]] = set()
    for name, table in tables.items():
        rests.add(tuple(word for word in _words(name) if not split_of(word)))
        split = _split(name)
        # A test table of one label only is filled with it.
        if split == "train" or len(set(table.labels)) > 1:
            splits[name] = split

    # One train, and at most one of each other split.
    different = set(splits.values())
    family = len(rests) == 1 and "train" in different and len(different) == len(splits)
    if not family or any(table.splits for table in tables.values()):
        return _refused(folder, tables)
    names = sorted(splits, key=lambda name: ("train", "val", "test", None).index(splits[name]))
    if len(names) == 1:
        return tables[names[0]]
    return _concatenated({splits[name] or "": tables[name] for name in names})


def _concatenated(by_split: Mapping[str, Table]) -> Table:
    """Return one table of several, each of which is one split."""
    parts = list(by_split.values())
    # Rows keep the order of the parts: train, val, test.
    ids: list[str] = []
    labels: list[str] = []
    lines: list[str] = []
    split_of_row: list[str] = []
    groups: list[str] = []
    notes: list[str] = []
    for split, part in by_split.items():
        ids += part.ids
        labels += part.labels
        lines += [f"{line} of {part.path.name}" for line in part.lines]
        split_of_row += [split] * len(part.ids)
        groups += part.groups or ()
        notes += part.notes
    # Groups are of use only where each row has one.
    grouped = all(part.groups is not None for part in parts)
    return Table(
        path=parts[0].path,
        more=tuple(part.path for part in parts[1:]),
        ids=tuple(ids),
        labels=tuple(labels),
        lines=tuple(lines),
        splits=tuple(split_of_row),
        groups=tuple(groups) if grouped else None,
        columns=parts[0].columns,
        header=parts[0].header,
        notes=tuple(notes),
    )


def _refused(folder: Path, tables: Mapping[str, Table]) -> Table:
    names = list(tables)
    shown = ", ".join(map(repr, names[:5]))
    if len(names) > 5:
        shown += f" and {len(names) - 5} more"
    line = (
        f"{folder} must have one table of labels, but {shown} could be it: "
        f"rename the right one to labels.csv."
    )
    return Table(path=folder / names[0], columns={}, problems=(line,))
