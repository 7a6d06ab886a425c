"""Which file of a folder is its table of labels: by name and, where there are several, by what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from trainables.data.table_ids import Files
from trainables.data.table_names import split_of
from trainables.data.tables import Table, read_table

MEANT = "labels"  # a table of this name wins over all others
SAMPLE = 200  # rows that tell whether a table is of the images here
MOST_TABLES = 20  # files of a folder that are read to find its table, the likeliest first

_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
_LIKELY = frozenset(
    (
        *(
            "label",
            "labels",
            "train",
            "training",
            "annotation",
            "annotations",
            "metadata",
            "truth",
            "groundtruth",
        ),
        *(
            "target",
            "targets",
            "val",
            "valid",
            "validation",
            "trainval",
            "test",
            "testing",
            "list",
            "images",
        ),
    )
)
_OTHER_KINDS = {  # by the end of the name: what it is, and how it becomes a table
    ".xlsx": ("an Excel workbook", "save it as {name}.csv (CSV UTF-8)"),
    ".xls": ("an Excel workbook", "save it as {name}.csv (CSV UTF-8)"),
    ".ods": ("a spreadsheet", "save it as {name}.csv"),
    ".json": ("JSON", "write its images and labels as {name}.csv with the header id,label"),
    ".jsonl": ("JSON", "write its images and labels as {name}.csv with the header id,label"),
    ".parquet": ("a parquet file", "save it as {name}.csv"),
    ".csv.zip": ("packed", "unpack it with unzip"),
    ".csv.gz": ("packed", "unpack it with gunzip"),
}
_ANSWERS = frozenset(("submission", "submissions", "requirements", "readme", "license"))


def is_table(name: str) -> bool:
    """Whether a file of this name may be a table of labels; a .txt only where its name says so."""
    path = PurePosixPath(name)
    words = _words(name)
    if path.suffix.lower() not in _SUFFIXES or name.startswith(".") or _ANSWERS & set(words):
        return False
    return path.suffix.lower() != ".txt" or bool(_LIKELY & set(words))


def tables_in(names: Iterable[str], images: Iterable[str] = ()) -> tuple[str, ...]:
    """The files of a folder that may be tables of labels, the likeliest `MOST_TABLES` of them first.

    Args:
        names: The names of its files.
        images: Names of images beside them: a .txt called like one (a caption, boxes) is of that image alone.
    """
    stems = {PurePosixPath(image).stem for image in images}
    found = [
        name
        for name in names
        if is_table(name) and not (name.lower().endswith(".txt") and name[:-4] in stems)
    ]
    return tuple(
        sorted(found, key=lambda name: (not _is_meant(name), not _is_likely(name), name))[
            :MOST_TABLES
        ]
    )


def find_table(
    folder: Path,
    names: Sequence[str],
    *,
    columns: tuple[str, str] | None = None,
    group: str | None = None,
    files: Sequence[str] = (),
) -> Table | None:
    """Read the table of labels of a folder.

    Where several files may be it, it is the one that has labels of the images; `train`, `val` and `test` of one
    name are one table with splits. None where no file is a table that has anything to do with the images.

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
    index = Files(files)
    if _is_meant(candidates[0]):
        return read_table(folder / candidates[0], columns=columns, group=group, files=index)
    tables = {
        name: read_table(folder / name, columns=columns, group=group, files=index)
        for name in candidates
    }
    usable = [name for name, table in tables.items() if not table.problems and _is_of(table, index)]
    if not usable:
        return _nearly(tables) or _other_kind(folder, names)
    others = [name for name in candidates if name not in usable]
    notes = (f"tables that are not used: {', '.join(map(repr, others[:5]))}",) if others else ()
    chosen = (
        tables[usable[0]]
        if len(usable) == 1
        else _joined(folder, {name: tables[name] for name in usable})
    )
    return replace(chosen, notes=(*chosen.notes, *notes))


def _words(name: str) -> list[str]:
    """`ISIC_2019_Training_GroundTruth.csv` as isic, 2019, training, ground, truth."""
    stem = PurePosixPath(name).stem
    return [
        word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[^\W\d_]+", stem)
    ]


def _is_meant(name: str) -> bool:
    return (
        PurePosixPath(name).stem.lower() == MEANT and PurePosixPath(name).suffix.lower() != ".txt"
    )


def _is_likely(name: str) -> bool:
    return bool(_LIKELY & set(_words(name)))


def _is_of(table: Table, files: Files) -> bool:
    """Whether a table's ids name images that are here."""
    sample = table.ids[:: max(1, len(table.ids) // SAMPLE)]
    return not files.files or any(map(files.find, sample))


def _nearly(tables: Mapping[str, Table]) -> Table | None:
    """The likeliest table, to say what is wrong with it; none where no name is a table's."""
    likely = [name for name in tables if _is_likely(name) and not name.lower().endswith(".txt")]
    learned = [name for name in likely if _split(name) != "test"]
    return tables[(learned or likely)[0]] if likely else None


def _other_kind(folder: Path, names: Sequence[str]) -> Table | None:
    """A file with a table's name that is no text of columns, refused for what it is."""
    for name in sorted(names):
        for end, (kind, mend) in _OTHER_KINDS.items():
            if name.lower().endswith(end) and _is_likely(
                name.removesuffix(".zip").removesuffix(".gz")
            ):
                stem = name[: -len(end)]
                line = f"{folder / name} must be a table of labels in CSV, but is {kind}: {mend.format(name=stem)}."
                return Table(path=folder / name, columns={}, problems=(line,))
    return None


def _split(name: str) -> str | None:
    return next(filter(None, map(split_of, _words(name))), None)


def _joined(folder: Path, tables: Mapping[str, Table]) -> Table:
    """Tables of the same name but for train, val and test as one; others are refused."""
    splits = {name: _split(name) for name in tables}
    rests = {tuple(word for word in _words(name) if not split_of(word)) for name in tables}
    # a test table of one label only is filled with it
    splits = {
        name: split
        for name, split in splits.items()
        if split == "train" or len(set(tables[name].labels)) > 1
    }
    names = sorted(splits, key=lambda name: ("train", "val", "test", None).index(splits[name]))
    family = (
        len(rests) == 1 and "train" in splits.values() and len(set(splits.values())) == len(splits)
    )
    if not family or any(table.splits for table in tables.values()):
        return _refused(folder, tables)
    if len(names) == 1:
        return tables[names[0]]
    parts = [tables[name] for name in names]
    groups = [table.groups for table in parts]
    return Table(
        path=parts[0].path,
        more=tuple(table.path for table in parts[1:]),
        ids=tuple(name for table in parts for name in table.ids),
        labels=tuple(label for table in parts for label in table.labels),
        lines=tuple(f"{line} of {table.path.name}" for table in parts for line in table.lines),
        splits=tuple(splits[table.path.name] or "" for table in parts for _ in table.ids),
        groups=None if None in groups else tuple(cell for cells in groups for cell in cells or ()),
        columns=parts[0].columns,
        header=parts[0].header,
        notes=tuple(note for table in parts for note in table.notes),
    )


def _refused(folder: Path, tables: Mapping[str, Table]) -> Table:
    names = list(tables)
    shown = ", ".join(map(repr, names[:5])) + (
        f" and {len(names) - 5} more" if len(names) > 5 else ""
    )
    line = f"{folder} must have one table of labels, but {shown} could be it: rename the one that is meant to labels.csv."
    return Table(path=folder / names[0], columns={}, problems=(line,))
