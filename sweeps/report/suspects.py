"""Images of val and test whose labels are likely wrong, by all finalists; `suspects.csv`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweeps.report.confident_learning import Labels, Probabilities, suspects
from sweeps.report.decoded import decoded, named_classes
from sweeps.report.finalists import Group, Seed, predictions
from sweeps.report.runs import Run
from trainables.files import write_whole

SUSPECTS = "suspects.csv"
COLUMNS = {
    "rank": "from 1, the most suspicious first",
    "file": (
        "what the image is called in your data; `test image 12`, counted from 0, where its name is "
        "not known"
    ),
    "split": "val or test",
    "given": "the class that your data give it",
    "suggested": "the class that is likeliest",
    "probability_given": "of the given class, weighted mean of all finalist runs, 0 to 1",
    "probability_suggested": "of the suggested class",
    "score": "1 minus probability_given: higher is more suspicious",
}
"""Columns of `suspects.csv`, each with what it says."""

DIGITS = 4  # of probabilities in the file

# Beginnings of what a spreadsheet runs, as OWASP lists them.
FORMULA = ("=", "+", "-", "@", "\t", "\r")

Tested = Literal["val", "test"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SuspectImage:
    """An image whose label is likely wrong.

    `row` is its number in the split, the others are as in `COLUMNS`.
    """

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
        test: Given labels [N] of the test images.
    """

    images: tuple[SuspectImage, ...]
    runs: int
    agreed: float
    val: Labels = field(repr=False)
    test: Labels = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Mean:
    """What finalist runs say together.

    Attributes:
        probabilities: [val and test, classes], the weighted mean.
        val: Given labels [N] of the validation images.
        test: Given labels [N] of the test images.
        runs: How many they are.
    """

    probabilities: Probabilities
    val: Labels
    test: Labels
    runs: int


def suspected(run: Run, groups: Sequence[Group], problems: list[str]) -> Suspected:
    """Return the images whose labels are likely wrong.

    Args:
        run: The sweep.
        groups: Its finalists.
        problems: Gets a line for each file of predictions that cannot be used.
    """
    mean = _mean(run, groups, problems)
    if not mean.runs:
        return Suspected(images=(), runs=0, agreed=float("nan"), val=mean.val, test=mean.test)
    # One ranking over both splits.
    labels = np.concatenate([mean.val, mean.test])
    probabilities = mean.probabilities
    classes = named_classes(run, probabilities.shape[1])
    of_val = decoded(run, "val", mean.val).names
    of_test = decoded(run, "test", mean.test).names
    names = [*of_val, *of_test]
    images = []
    for rank, suspect in enumerate(suspects(probabilities, labels), start=1):
        # Rows count on from val to test.
        split: Tested = "val"
        row = suspect.row
        if row >= len(mean.val):
            split = "test"
            row -= len(mean.val)
        image = SuspectImage(
            rank=rank,
            file=names[suspect.row],
            split=split,
            row=row,
            given=classes[suspect.given],
            suggested=classes[suspect.suggested],
            probability_given=float(probabilities[suspect.row, suspect.given]),
            probability_suggested=float(probabilities[suspect.row, suspect.suggested]),
            score=suspect.score,
        )
        images.append(image)
    agreed = float((probabilities.argmax(axis=1) == labels).mean())
    return Suspected(
        images=tuple(images), runs=mean.runs, agreed=agreed, val=mean.val, test=mean.test
    )


def write_suspects(folder: Path, images: Sequence[SuspectImage]) -> Path:
    """Write the list into a sweep's folder, whole or not at all.

    A head alone where nothing is suspicious.

    Raises:
        OSError: The folder cannot be written.
    """
    table = pd.DataFrame(map(asdict, images), columns=list(COLUMNS)).round(DIGITS)
    for name in ("file", "given", "suggested"):
        table[name] = [_as_text(value) for value in table[name]]
    # Quoted: a file's name may hold anything, a lone carriage return too.
    return write_whole(folder / SUSPECTS, table.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC))


def trust(told: Probabilities, labels: Labels) -> float:
    """Return the weight of a run among others: the share of given labels that it misses, to the -4.

    Of the powers 0, -2 and -4 it finds most planted labels in `benchmarks/suspects.py`; a run that
    learned nothing does not drown the others.
    """
    missed = float((told.argmax(axis=1) != labels).mean())
    return float(max(missed, 1 / len(labels)) ** -4)


def _as_text(value: str) -> str:
    """Keep spreadsheets from running a name as a formula.

    A quote mark before it says that it is text.
    """
    return f"'{value}" if value.startswith(FORMULA) else value


def _mean(run: Run, groups: Sequence[Group], problems: list[str]) -> _Mean:
    """Return the weighted mean of all finalist runs.

    Ablations are left out, and runs that were scored on other images than the first.
    """
    total: NDArray[np.float32] = np.zeros((0, 0), np.float32)
    known: tuple[Labels, Labels] = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    runs = 0
    weights = 0.0
    for seed in _seeds(groups):
        predicted = predictions(run, seed.trial_id, ["val", "test"], problems)
        if predicted is None:
            continue
        (val, val_labels), (test, test_labels) = predicted
        if val.shape[1] != test.shape[1]:
            continue
        labels = (val_labels, test_labels)
        # Probabilities [val and test, classes]; rounding may have left some above 1.
        told = np.exp(np.minimum(np.concatenate([val, test]), 0))
        if runs == 0:
            total = np.zeros_like(told)
            known = labels
        # Runs that saw other images cannot be averaged with the first.
        if told.shape == total.shape and all(map(np.array_equal, labels, known)):
            weight = trust(told, np.concatenate(labels))
            total += weight * told
            weights += weight
            runs += 1
    val_labels, test_labels = known
    return _Mean(
        probabilities=total / (weights or 1.0), val=val_labels, test=test_labels, runs=runs
    )


def _seeds(groups: Sequence[Group]) -> Iterator[Seed]:
    """Yield the finalist runs whose predictions are there, but for ablations."""
    for group in groups:
        if not group.without:
            yield from group.predicted
