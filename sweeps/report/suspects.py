"""Images of val and test whose labels are likely wrong, by all finalists; `suspects.csv`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweeps.report.confident_learning import Labels, Probabilities, suspects
from sweeps.report.decoded import Decoded, decoded, draw_of, named_classes
from sweeps.report.finalists import Group, Seed, predictions
from sweeps.report.runs import Run
from trainables.files import write_whole

SUSPECTS = "suspects.csv"
COLUMNS = {
    "rank": "from 1, the most suspicious first",
    "file": (
        "what the image is called in your data; where its name is not known, `test image 12`, "
        "counted from 0, or `val image 12 of draw 3`, of the val images that seed number 3 drew"
    ),
    "split": "val or test",
    "given": "the class that your data give it",
    "suggested": "the class that is likeliest",
    "probability_given": (
        "of the given class, weighted mean of all finalist runs scored on the image, 0 to 1"
    ),
    "probability_suggested": "of the suggested class",
    "score": "1 minus probability_given: higher is more suspicious",
}
"""Columns of `suspects.csv`, each with what it says."""

DIGITS = 4  # of probabilities in the file

# Beginnings of what a spreadsheet runs, as OWASP lists them.
FORMULA = ("=", "+", "-", "@", "\t", "\r")

Tested = Literal["val", "test"]
_Key = tuple[str | int | None, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class SuspectImage:
    """An image whose label is likely wrong.

    `row` is its number in the split. Of val, it is that in `draw`, the first one that has the image
    in val; None is the images of the search. The others are as in `COLUMNS`.
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
    draw: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspected:
    """What the finalists say of the given labels.

    Attributes:
        images: The most suspicious first.
        runs: Finalist runs whose weighted mean decides; 0 where no predictions are left.
        agreed: Share of all images whose given label is the likeliest.
        val: Given labels [N] of the validation images of all draws, each image once.
        test: Given labels [N] of the test images.
        draws: By draw, the given labels [N] of its validation images; None is the search's images.
    """

    images: tuple[SuspectImage, ...]
    runs: int
    agreed: float
    val: Labels = field(repr=False)
    test: Labels = field(repr=False)
    draws: Mapping[int | None, Labels] = field(repr=False)


@dataclass(kw_only=True, slots=True)
class _Total:
    """What runs that were scored on the same images say together.

    Attributes:
        labels: Given labels [N].
        probabilities: [N, classes], summed over the runs, each times its weight.
        weight: The sum of the weights.
    """

    labels: Labels
    probabilities: NDArray[np.float32]
    weight: float = 0.0

    def fits(self, told: Probabilities, labels: Labels) -> bool:
        """Return whether a run's probabilities [N, classes] are for images with these labels."""
        return told.shape == self.probabilities.shape and np.array_equal(labels, self.labels)

    def add(self, told: Probabilities, weight: float) -> None:
        """Add a run's probabilities [N, classes]."""
        self.probabilities += weight * told
        self.weight += weight


@dataclass(frozen=True, kw_only=True, slots=True)
class _Means:
    """Images, each once, with the weighted means of the runs that were scored on them.

    Attributes:
        probabilities: [N, classes].
        labels: Given labels [N].
        names: What the images are called.
        places: The first draw that has the image, and its row there.
    """

    probabilities: Probabilities
    labels: Labels
    names: Sequence[str]
    places: Sequence[tuple[int | None, int]]


def suspected(run: Run, groups: Sequence[Group], problems: list[str]) -> Suspected:
    """Return the images whose labels are likely wrong.

    Args:
        run: The sweep.
        groups: Its finalists.
        problems: Gets a line for each file of predictions that cannot be used.
    """
    draws, tested, runs = _totals(run, groups, problems)
    if tested is None:
        empty = np.zeros(0, np.int64)
        return Suspected(images=(), runs=0, agreed=float("nan"), val=empty, test=empty, draws={})
    val = _val(run, draws)
    test = _test(run, tested)
    # One ranking over both splits.
    labels = np.concatenate([val.labels, test.labels])
    probabilities = np.concatenate([val.probabilities, test.probabilities])
    classes = named_classes(run, probabilities.shape[1])
    images = []
    for rank, suspect in enumerate(suspects(probabilities, labels), start=1):
        # Rows count on from val to test.
        split: Tested = "val"
        means = val
        at = suspect.row
        if at >= len(val.labels):
            split = "test"
            means = test
            at -= len(val.labels)
        draw, row = means.places[at]
        image = SuspectImage(
            rank=rank,
            file=means.names[at],
            split=split,
            row=row,
            given=classes[suspect.given],
            suggested=classes[suspect.suggested],
            probability_given=float(probabilities[suspect.row, suspect.given]),
            probability_suggested=float(probabilities[suspect.row, suspect.suggested]),
            score=suspect.score,
            draw=draw,
        )
        images.append(image)
    return Suspected(
        images=tuple(images),
        runs=runs,
        agreed=float((probabilities.argmax(axis=1) == labels).mean()),
        val=val.labels,
        test=test.labels,
        draws={draw: total.labels for draw, total in draws.items()},
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


def _totals(
    run: Run, groups: Sequence[Group], problems: list[str]
) -> tuple[dict[int | None, _Total], _Total | None, int]:
    """Return what all finalist runs say of val, by draw, and of test, and how many runs they are.

    Ablations are left out, and runs that were scored on other test images than the first run, or on
    other validation images than the first of their draw. None of test where no run is left.
    """
    draws: dict[int | None, _Total] = {}
    tested: _Total | None = None
    runs = 0
    for seed in _seeds(groups):
        predicted = predictions(run, seed.trial_id, ["val", "test"], problems)
        if predicted is None:
            continue
        (val, val_labels), (test, test_labels) = predicted
        if val.shape[1] != test.shape[1]:
            continue
        # Probabilities [val and test, classes]; rounding may have left some above 1.
        told = np.exp(np.minimum(np.concatenate([val, test]), 0))
        of_val = told[: len(val)]
        of_test = told[len(val) :]
        draw = draw_of(run, seed.trial_id)
        own = draws.get(draw) or _Total(labels=val_labels, probabilities=np.zeros_like(of_val))
        if tested is None:
            tested = _Total(labels=test_labels, probabilities=np.zeros_like(of_test))
        # Runs that saw other images cannot be averaged with the first.
        if own.fits(of_val, val_labels) and tested.fits(of_test, test_labels):
            weight = trust(told, np.concatenate([val_labels, test_labels]))
            own.add(of_val, weight)
            tested.add(of_test, weight)
            draws[draw] = own
            runs += 1
    return draws, tested, runs


def _val(run: Run, draws: Mapping[int | None, _Total]) -> _Means:
    """Return the validation images of all draws.

    Those of two draws are one image where their names and given labels are the same. Runs whose
    draw had it in train are not asked: they were fitted to its label.
    """
    numbers: dict[_Key, int] = {}
    names: list[str] = []
    places: list[tuple[int | None, int]] = []
    numbered: list[NDArray[np.int64]] = []  # of each draw's images [N]
    for draw, total in draws.items():
        kept = decoded(run, "val", total.labels, draw)
        own = np.zeros(len(total.labels), np.int64)
        for row, key in enumerate(_keys(kept, total.labels, draw)):
            if key not in numbers:
                numbers[key] = len(numbers)
                names.append(kept.names[row])
                places.append((draw, row))
            own[row] = numbers[key]
        numbered.append(own)

    # A draw has an image once at most, so that none is lost in these sums. All is float32, or the
    # means of a sweep without draws would round otherwise than they did.
    classes = max(total.probabilities.shape[1] for total in draws.values())
    labels = np.zeros(len(numbers), np.int64)
    probabilities = np.zeros((len(numbers), classes), np.float32)
    weights = np.zeros((len(numbers), 1))
    for own, total in zip(numbered, draws.values(), strict=True):
        labels[own] = total.labels
        probabilities[own] += total.probabilities
        weights[own] += total.weight
    probabilities /= weights.astype(np.float32)
    return _Means(probabilities=probabilities, labels=labels, names=names, places=places)


def _keys(kept: Decoded, labels: Labels, draw: int | None) -> Sequence[_Key]:
    """Return what tells each image from all others: its name and label, or its draw and row."""
    if kept.named and len(set(kept.names)) == len(kept.names):
        return list(zip(kept.names, labels.tolist(), strict=True))
    return [(draw, row) for row in range(len(labels))]


def _test(run: Run, total: _Total) -> _Means:
    """Return the test images, which all draws share."""
    return _Means(
        probabilities=total.probabilities / total.weight,
        labels=total.labels,
        names=decoded(run, "test", total.labels).names,
        places=[(None, row) for row in range(len(total.labels))],
    )


def _seeds(groups: Sequence[Group]) -> Iterator[Seed]:
    """Yield the finalist runs whose predictions are there, but for ablations."""
    for group in groups:
        if not group.without:
            yield from group.predicted
