"""The champion's mistakes: its confusions, and the test images of which it is most wrongly sure."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sweeps.report.blocks import (
    Block,
    Matrix,
    Picture,
    Pictures,
    Row,
    Table,
    Text,
    number_columns,
    text_columns,
)
from sweeps.report.decoded import decoded, named_classes
from sweeps.report.figures import hover, label
from sweeps.report.finalists import Group, Seed
from sweeps.report.findings import Findings
from sweeps.report.formats import percent, seeds
from sweeps.report.runs import Run
from trainables.data.thumbnails import thumbnail_png

MOST_CLASSES = 24  # of a confusion matrix that can be read
MOST_PAIRS = 8
MOST_PICTURES = 24
SIDE = 72  # pixels of a thumbnail, at most: some 15 kB


def confusion(findings: Findings) -> Block:
    """Return the champion's confusion matrix over all its seeds.

    Of many classes, it shows those that are confused most.
    """
    title = "Confusion matrix of the champion"
    champion = predicting(findings)
    if champion is None:
        return Text(f"{title}: there are no predictions of a champion.")
    names = class_names(findings.run, champion)
    counts = confusions(champion, len(names))

    # The classes with most mistakes, both ways, in the order of all classes.
    wrong = counts.sum(axis=1) + counts.sum(axis=0) - 2 * np.diag(counts)
    kept = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CLASSES])
    shown = [label(names[at]) for at in kept]
    totals = np.maximum(counts.sum(axis=1), 1)
    shares = (counts / totals[:, None])[np.ix_(kept, kept)]  # [kept, kept]
    cells = _cells(shares, counts[np.ix_(kept, kept)], shown)
    # What its rows add up to.
    rows = "rows add up to 100"
    if len(kept) < len(names):
        rows = f"of {len(names):,} classes the {len(kept)} that are confused most"
    trained = seeds(len(champion.predicted))
    return Matrix(
        down="true",
        across="predicted",
        names=shown,
        cells=cells,
        caption=(
            f"A row per true class, a column per predicted class: percent of the row's class, over "
            f"{trained} of {champion.name}; {rows}."
        ),
        title=title,
    )


def confused_pairs(findings: Findings) -> Table | None:
    """Return the confusions that cost the champion most.

    None where it makes none, or there are two classes.
    """
    champion = predicting(findings)
    if champion is None:
        return None
    names = class_names(findings.run, champion)
    if len(names) < 3:
        return None
    # Off the diagonal, the largest counts first, [true, predicted].
    counts = confusions(champion, len(names))
    totals = counts.sum(axis=1)
    off = counts * ~np.eye(len(names), dtype=bool)
    rows = []
    for at in np.argsort(-off, axis=None, kind="stable")[:MOST_PAIRS]:
        i, j = divmod(int(at), len(names))
        if off[i, j]:
            shares = (percent(off[i, j] / totals[i]), percent(off[i, j] / off.sum()))
            rows.append(Row((names[i], names[j], *shares)))
    if not rows:
        return None
    columns = [
        *text_columns(["true", "predicted as"]),
        *number_columns(["of its class, %", "of all mistakes, %"]),
    ]
    return Table(columns=columns, rows=rows, title="Most frequent confusions")


def worst(findings: Findings) -> Block:
    """Return the test images with the highest log loss, mean over the champion's seeds."""
    title = "Worst mistakes of the champion"
    champion = predicting(findings)
    if champion is None:
        return Text(f"{title}: there are no predictions of a champion.")

    # Over seeds: each image's mean log loss, and how often it is wrong, [N] both.
    trained = champion.predicted
    losses = np.mean([seed.losses for seed in trained], axis=0)
    wrong = np.mean([~seed.right for seed in trained], axis=0)
    order = np.argsort(-losses, kind="stable")[:MOST_PICTURES]
    order = order[wrong[order] > 0]
    if not len(order):
        return Text(f"{title}: it makes none.")
    images = decoded(findings.run, "test", trained[0].labels).images
    if images is None:
        return Text(
            f"{title}: the decoded images are no longer in the cache, so there is nothing to show."
        )

    # A picture per image with what was said of it.
    names = class_names(findings.run, champion)
    pictures = []
    for at in order.tolist():
        lines = _mistake(trained, at, names, losses[at])
        pictures.append(Picture(data_uri(thumbnail(images[at])), lines))
    first = "The test image" if len(order) == 1 else f"The {len(order)} test images"
    caption = (
        f"{first} of highest log loss, mean over {seeds(len(trained))}: the true class, what was "
        "predicted instead and by how many seeds, and the probability that the true class got, "
        f"their geometric mean (guessing: {100 / len(names):.2g}%). Check these for wrong "
        f"labels and bad crops. {percent(float(wrong.mean()))}% of test images are misclassified."
    )
    return Pictures(pictures, caption, title)


def predicting(findings: Findings) -> Group | None:
    """Return the champion, where its predictions are there."""
    champion = findings.champion
    if champion is None or not champion.predicted:
        return None
    return champion


def class_names(run: Run, group: Group) -> list[str]:
    """Return the names of all classes that a group's labels and predictions name.

    Their numbers where the sweep does not say.
    """
    trained = group.predicted
    largest = max(int(max(seed.labels.max(), seed.said.max())) for seed in trained)
    return named_classes(run, largest + 1)


def confusions(group: Group, classes: int) -> NDArray[np.int64]:
    """Return images by true and by predicted class, [classes, classes], over all seeds."""
    trained = group.predicted
    labels = np.concatenate([seed.labels for seed in trained])
    said = np.concatenate([seed.said for seed in trained])
    counts = np.bincount(labels * classes + said, minlength=classes**2)
    return counts.reshape(classes, classes).astype(np.int64)


def thumbnail(image: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """Return an image [H, W, 3] at most `side` pixels per side, each the mean of a block."""
    # Blocks of whole pixels: the edge that does not fill one is cut off.
    step = -(-max(image.shape[:2]) // side)
    height, width = (length // step * step for length in image.shape[:2])
    blocks = image[:height, :width].reshape(height // step, step, width // step, step, 3)
    small: NDArray[np.uint8] = blocks.mean(axis=(1, 3)).round().astype(np.uint8)
    return small


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return a picture of uint8 [H, W, 3] as a data URI, a PNG of the same size."""
    return f"data:image/png;base64,{base64.b64encode(thumbnail_png(image)).decode()}"


def _cells(
    shares: NDArray[np.float64], counts: NDArray[np.int64], names: Sequence[str]
) -> list[list[tuple[float, str]]]:
    """Return the cells of a confusion matrix, which say their numbers."""
    cells = []
    for i, true in enumerate(names):
        row = []
        for j, said in enumerate(names):
            share = float(shares[i, j])
            number = f"{percent(share)}% ({counts[i, j]:,})"
            row.append((share, hover(f"true {true}", f"predicted {said}", number)))
        cells.append(row)
    return cells


def _mistake(trained: Sequence[Seed], at: int, names: Sequence[str], loss: float) -> list[str]:
    """Return `9`, `predicted 5 (both seeds)`, `0.02% for 9`."""
    # The class that most of the wrong seeds predicted.
    votes = [int(seed.said[at]) for seed in trained if not seed.right[at]]
    said = int(np.bincount(votes, minlength=len(names)).argmax())
    true = names[int(trained[0].labels[at])]
    # A mean log loss is the log of a geometric mean.
    share = math.exp(-loss)
    likely = "< 0.01"
    if share >= 0.0001:
        likely = percent(share, 2)
    return [
        true,
        f"predicted {names[said]} ({_of_seeds(votes.count(said), len(trained))})",
        f"{likely}% for {true}",
    ]


def _of_seeds(count: int, every: int) -> str:
    """Return `both seeds`, `all 5 seeds`, `3 of 5 seeds`, `1 seed`."""
    if count < every:
        return f"{count} of {seeds(every)}"
    if every == 2:
        return "both seeds"
    return "1 seed" if every == 1 else f"all {seeds(every)}"
