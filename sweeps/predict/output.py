"""A file's probabilities as a person reads them, and as a program does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from sweeps.predict.model import Probabilities
from sweeps.terminal.grid import Column, Grid
from trainables.problems import one_line

TOP = ("class", "second", "third")


def table(answered: Iterable[tuple[Path, Probabilities]], classes: Sequence[str]) -> Grid:
    """Return a row per file: its three most probable classes, each with its probability in percent.

    Args:
        answered: Files with their probabilities, float32 [classes].
        classes: Their names, in the order of the probabilities.
    """
    shown = TOP[: len(classes)]
    columns = [Column(title="file", folds=True)]
    for rank, name in enumerate(shown):
        columns.append(Column(title=name, folds=True, rank=rank))
        columns.append(Column(title="%", number=True, rank=rank))
    rows = []
    for path, probabilities in answered:
        # Of equally probable classes the first one leads.
        best = np.argsort(-probabilities, kind="stable")[: len(shown)]
        cells = [one_line(str(path))]
        for number in best:
            cells += [one_line(classes[number]), f"{100 * probabilities[number]:.1f}"]
        rows.append(cells)
    return Grid(columns=columns, rows=rows, elsewhere="a wider terminal, or --json, shows")


def json_line(path: Path, probabilities: Probabilities, classes: Sequence[str]) -> str:
    """Return one JSON object: `file`, `class`, and `probabilities` by class name.

    Each number is the shortest that float32 gives back.
    """
    by_class = {name: float(str(value)) for name, value in zip(classes, probabilities, strict=True)}
    answer = {
        "file": str(path),
        "class": classes[int(probabilities.argmax())],
        "probabilities": by_class,
    }
    return json.dumps(answer)
