"""What a file's probabilities look like to a person, and to a program."""

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
    """A row a file: the three most probable classes, each with its probability in percent."""
    shown = TOP[: len(classes)]
    rows = Table()
    rows.add_column("file", overflow="fold", min_width=SHORTEST)
    for name in shown:
        rows.add_column(name, overflow="fold")
        rows.add_column("%", justify="right", no_wrap=True)
    for path, probabilities in answered:
        best = np.argsort(-probabilities, kind="stable")[: len(shown)]
        cells = [
            cell
            for number in best
            for cell in (one_line(classes[number]), f"{100 * probabilities[number]:.1f}")
        ]
        rows.add_row(*map(Text, (one_line(str(path)), *cells)))
    return rows


def json_line(path: Path, probabilities: Probabilities, classes: Sequence[str]) -> str:
    """One JSON object: `file`, `class`, and `probabilities` by class name, each the shortest that float32 gives back."""
    by_class = {name: float(str(value)) for name, value in zip(classes, probabilities, strict=True)}
    return json.dumps(
        {
            "file": str(path),
            "class": classes[int(probabilities.argmax())],
            "probabilities": by_class,
        }
    )
