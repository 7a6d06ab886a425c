"""A file's probabilities as a person reads them, and as a program does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from rich.table import Table
from rich.text import Text

from sweeps.predict.model import Probabilities
from trainables.problems import one_line

TOP = ("class", "second", "third")
SHORTEST = 20  # columns of a file's name that stay, however narrow the terminal


def table(answered: Iterable[tuple[Path, Probabilities]], classes: Sequence[str]) -> Table:
    """Return a row per file: its three most probable classes, each with its probability in percent.

    Args:
        answered: Files with their probabilities, float32 [classes].
        classes: Their names, in the order of the probabilities.
    """
    shown = TOP[: len(classes)]
    rows = Table()
    rows.add_column("file", overflow="fold", min_width=SHORTEST)
    for name in shown:
        rows.add_column(name, overflow="fold")
        rows.add_column("%", justify="right", no_wrap=True)
    for path, probabilities in answered:
        # Of equally probable classes the first one leads.
        best = np.argsort(-probabilities, kind="stable")[: len(shown)]
        cells = [one_line(str(path))]
        for number in best:
            cells += [one_line(classes[number]), f"{100 * probabilities[number]:.1f}"]
        rows.add_row(*map(Text, cells))
    return rows


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
