"""The champion by class: how many images each has, and how it does on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sweeps.report.blocks import Row, Table, number_columns, text_columns
from sweeps.report.findings import Findings
from sweeps.report.formats import percent, seeds
from sweeps.report.mistakes import MOST_CLASSES, class_names, confusions, predicting
from trainables.problems import counted


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassRow:
    """A class of the test split.

    Attributes:
        name: Its own.
        images: Test images.
        precision: Share of the images predicted as it that are of it; NaN where there are none.
        recall: Share of its images that are recognized.
        taken_for: The class that its other images are most often taken for; empty where all are
            recognized.
        taken: Share of its images that are taken for that.
    """

    name: str
    images: int
    precision: float
    recall: float
    taken_for: str = ""
    taken: float = 0.0


def by_class(findings: Findings) -> list[ClassRow]:
    """Return the champion's classes over all its seeds, the lowest recall first.

    Classes without test images are left out.
    """
    champion = predicting(findings)
    if champion is None:
        return []
    names = class_names(findings.run, champion)
    counts = confusions(champion, len(names))  # [true, predicted]
    trained = len(champion.predicted)
    right = np.diag(counts)
    images = counts.sum(axis=1)
    predicted = counts.sum(axis=0)
    # Counts are over all seeds, which see the same test images.
    rows = []
    for at in np.flatnonzero(images):
        precision = float("nan")
        if predicted[at]:
            precision = float(right[at] / predicted[at])
        wrong = counts[at].copy()
        wrong[at] = 0
        other = int(wrong.argmax())
        row = ClassRow(
            name=names[at],
            images=int(images[at]) // trained,
            precision=precision,
            recall=float(right[at] / images[at]),
            taken_for=names[other] if wrong[other] else "",
            taken=float(wrong[other] / images[at]),
        )
        rows.append(row)
    return sorted(rows, key=lambda row: row.recall)


def weakest(findings: Findings) -> str:
    """Return `Weakest class: deer. Of its 100 test images 41% are recognized, 12% taken for horse.`

    Empty where nothing is known of classes, or the champion makes no mistake.
    """
    rows = by_class(findings)
    if not rows or rows[0].recall == 1:
        return ""
    low = rows[0]
    images = counted(low.images, "test image")
    return (
        f"Weakest class: {low.name}. Of its {images}, {percent(low.recall, 0)}% are recognized and "
        f"{percent(low.taken, 0)}% taken for {low.taken_for}."
    )


def classes_table(findings: Findings) -> Table | None:
    """Return all classes, folded where there are many; None where nothing is known of them."""
    champion = predicting(findings)
    rows = by_class(findings)
    if champion is None or not rows:
        return None
    shown = []
    for row in rows:
        cells = (row.name, f"{row.images:,}", percent(row.precision), percent(row.recall))
        shown.append(Row(cells))
    numbers = ("test images", "precision, %", "recall, %")
    columns = [*text_columns(["class"]), *number_columns(numbers)]
    caption = (
        f"Over {seeds(len(champion.seeds))} of {champion.name}, the lowest recall first. Recall: "
        "the share of the class's images that are recognized. Precision: the share of images "
        "predicted as the class that are of it. Balanced accuracy is the mean of the recalls."
    )
    return Table(
        columns=columns,
        rows=shown,
        caption=caption,
        title="Class by class",
        folded=len(rows) > MOST_CLASSES,
    )
