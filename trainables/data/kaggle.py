"""A folder as Kaggle's competitions give it: a table of labels and train/ with a file for each id."""

from __future__ import annotations

import csv
import reprlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trainables.data.folders import file_source, is_image
from trainables.data.listing import Listing, Source
from trainables.data.problems import DataError, reason, shortened

TABLES = ("labels.csv", "trainLabels.csv")


@dataclass
class Table:
    """Labels by id, as one file gives them, and what is wrong with it."""

    labels: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def kaggle(root: Path) -> Source | None:
    """A flat set from `labels.csv` (id, label, below a header) and `train/<id>.<ext>`; None where these are not.

    Raises:
        DataError: A table that cannot be read or has no lines below its header.
    """
    path = next((root / name for name in TABLES if (root / name).is_file()), None)
    train = root / "train"
    if path is None or not train.is_dir():
        return None
    files: dict[str, list[Path]] = {}
    for file in sorted(train.iterdir(), key=lambda file: file.name):
        if file.is_file() and is_image(file):
            files.setdefault(file.stem, []).append(file)
            files.setdefault(file.name, []).append(file)  # some tables write the extension
    table = _read(path, files)
    classes = tuple(sorted(set(table.labels.values())))
    number = {name: index for index, name in enumerate(classes)}
    found = {name: files[name][0] for name in sorted(table.labels) if name in files}
    listing = Listing(
        classes=classes,
        labels={"train": np.array([number[table.labels[name]] for name in found], np.int64)},
        places={"train": str(path)},
        notes=_unlabelled(files, set(found.values())),
        problems=(*table.problems, *_file_problems(path, train, table, files)),
    )
    stat = path.stat()
    return file_source(root, list(found.values()), listing, ["kaggle", path.name, stat.st_size, stat.st_mtime_ns])


def _read(path: Path, files: dict[str, list[Path]]) -> Table:
    table, bad_lines, conflicts = Table(), [], []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            if header and header[0].strip() in files:
                table.problems.append(
                    f"{path} must begin with a header, but begins with {reprlib.repr(header)}: add the line id,label."
                )
            for line in filter(None, lines):
                name, label = (cell.strip() for cell in (*line, "")[:2])
                if not name or not label:
                    bad_lines.append(
                        f"{path} must have an id and a label in each line, but line {lines.line_num} is "
                        f"{reprlib.repr(line)}: fill it."
                    )
                elif table.labels.setdefault(name, label) != label:
                    both = f"{table.labels[name]!r} and {label!r}"
                    conflicts.append(f"{path} must give an id one label, but gives {name!r} {both}: remove one line.")
    except (OSError, ValueError, csv.Error) as error:
        raise DataError([f"{path} must be comma-separated text in UTF-8, but {reason(error)}: save it again."]) from error
    table.problems += [*shortened(bad_lines, "lines are incomplete"), *shortened(conflicts, "lines contradict others")]
    if not table.labels:
        raise DataError([*table.problems, f"{path} must have lines of id and label below its header, but has none: add them."])
    return table


def _file_problems(path: Path, train: Path, table: Table, files: dict[str, list[Path]]) -> list[str]:
    problems = []
    if lacking := sorted(table.labels.keys() - files.keys()):
        some = ", ".join(map(repr, lacking[:3]))
        problems.append(
            f"Each id of {path} must have an image in {train}, but {len(lacking)} have none, such as {some}: add the files or "
            "remove the lines."
        )
    ids: dict[Path, list[str]] = {}
    for name in sorted(table.labels.keys() & files.keys()):
        ids.setdefault(files[name][0], []).append(name)
    problems += shortened(
        [
            f"An image must have one id in {path}, but {file.name!r} has {' and '.join(map(repr, names))}: remove one line."
            for file, names in ids.items()
            if len(names) > 1
        ],
        "images have several ids",
    )
    twice = [name for name in sorted(table.labels) if len(files.get(name, [])) > 1]
    problems += shortened(
        [f"An id must have one image in {train}, but {name!r} has {len(files[name])}: remove all but one." for name in twice],
        "ids have several images",
    )
    return problems


def _unlabelled(files: dict[str, list[Path]], labelled: set[Path]) -> tuple[str, ...]:
    rest = {file for several in files.values() for file in several} - labelled
    return (
        (f"{len(rest)} {'files' if len(rest) > 1 else 'file'} without a label {'are' if len(rest) > 1 else 'is'} left out",)
        if rest
        else ()
    )
