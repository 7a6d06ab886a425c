"""Images of val and test whose labels are likely wrong, by what all finalists say of them; `suspects.csv`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweeps.report.confident_learning import Labels, Probabilities, suspects
from sweeps.report.decoded import decoded, named_classes
from sweeps.report.finalists import Group, predictions
from sweeps.report.runs import Run
from trainables.files import write_whole

SUSPECTS = "suspects.csv"
COLUMNS = {
    "rank": "from 1, the most suspicious first",
    "file": "what the image is called in your data; `test image 12`, counted from 0, where its name is not known",
    "split": "val or test",
    "given": "the class that your data give it",
    "suggested": "the class that is likeliest",
    "probability_given": "of the given class, weighted mean of all finalist runs, 0 to 1",
    "probability_suggested": "of the suggested class",
    "score": "1 minus probability_given: higher is more suspicious",
}
"""Columns of `suspects.csv`, each with what it says."""

DIGITS = 4  # of probabilities in the file

FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
)  # beginnings of what a spreadsheet runs, as OWASP lists them

Tested = Literal["val", "test"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SuspectImage:
    """An image whose label is likely wrong; `row` is its number in the split, the others are as in `COLUMNS`."""

    rank: int
    file: str
    split: Tested
    row: int
    given: str
    suggested: str
    probability_given: float
    probability_suggested: float
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspected:
    """What the finalists say of the given labels.

    Attributes:
        images: The most suspicious first.
        runs: Finalist runs whose weighted mean decides; 0 where no predictions are left.
        agreed: Share of all images whose given label is the likeliest.
        val: Given labels [N] of the validation images.
        test: Of the test images.
    """

    images: tuple[SuspectImage, ...]
    runs: int
    agreed: float
    val: Labels = field(repr=False)
    test: Labels = field(repr=False)


def suspected(run: Run, groups: Sequence[Group], problems: list[str]) -> Suspected:
    """Return the images whose labels are likely wrong; lines are added to `problems` for predictions that cannot be used."""
    probabilities, val, test, runs = _mean(run, groups, problems)
    labels = np.concatenate([val, test])
    if not runs:
        return Suspected(images=(), runs=0, agreed=float("nan"), val=val, test=test)
    classes = named_classes(run, probabilities.shape[1])
    names = [*decoded(run, "val", val).names, *decoded(run, "test", test).names]
    images = []
    for rank, suspect in enumerate(suspects(probabilities, labels), start=1):
        in_val = suspect.row < len(val)
        images.append(
            SuspectImage(
                rank=rank,
                file=names[suspect.row],
                split="val" if in_val else "test",
                row=suspect.row if in_val else suspect.row - len(val),
                given=classes[suspect.given],
                suggested=classes[suspect.suggested],
                probability_given=float(probabilities[suspect.row, suspect.given]),
                probability_suggested=float(probabilities[suspect.row, suspect.suggested]),
                score=suspect.score,
            )
        )
    agreed = float((probabilities.argmax(axis=1) == labels).mean())
    return Suspected(images=tuple(images), runs=runs, agreed=agreed, val=val, test=test)


def write_suspects(folder: Path, images: Sequence[SuspectImage]) -> Path:
    """Write the list into a sweep's folder, whole or not at all; a head alone where nothing is suspicious.

    Raises:
        OSError: The folder cannot be written.
    """
    rows = [{name: getattr(image, name) for name in COLUMNS} for image in images]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).round(DIGITS)
    for name in ("file", "given", "suggested"):
        table[name] = [_as_text(value) for value in table[name]]
    # quoted: a file's name may hold anything, a lone carriage return too
    return write_whole(folder / SUSPECTS, table.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC))


def _as_text(value: str) -> str:
    """Keep spreadsheets from running a name as a formula: a quote mark before it says that it is text."""
    return f"'{value}" if value.startswith(FORMULA) else value


def trust(told: Probabilities, labels: Labels) -> float:
    """Return the weight of a run among others: the share of given labels that it misses, to the power of -4.

    Of the powers 0, -2 and -4 it finds most planted labels in `benchmarks/suspects.py`; a run that learned nothing does not
    drown the others.
    """
    missed = float((told.argmax(axis=1) != labels).mean())
    return float(max(missed, 1 / len(labels)) ** -4)


def _mean(
    run: Run, groups: Sequence[Group], problems: list[str]
) -> tuple[Probabilities, Labels, Labels, int]:
    """Return the weighted mean probabilities [val and test, classes], labels of val and of test, and the number of runs.

    Ablations are left out, and runs that were scored on other images than the first.
    """
    total: NDArray[np.float32] = np.zeros((0, 0), np.float32)
    known: tuple[Labels, Labels] = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    runs, weights = 0, 0.0
    for seed in (
        seed for group in groups if not group.without for seed in group.seeds if len(seed.labels)
    ):
        predicted = predictions(run, seed.trial_id, ["val", "test"], problems)
        if predicted is None:
            continue
        (val, val_labels), (test, test_labels) = predicted
        labels = (val_labels, test_labels)
        if val.shape[1] != test.shape[1]:
            continue
        told = np.exp(np.minimum(np.concatenate([val, test]), 0))
        if runs == 0:
            total, known = np.zeros_like(told), labels
        if told.shape == total.shape and all(map(np.array_equal, labels, known)):
            weight = trust(told, np.concatenate(labels))
            total += weight * told
            weights += weight
            runs += 1
    return total / (weights or 1.0), *known, runs
