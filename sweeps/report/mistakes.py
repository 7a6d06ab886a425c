"""What the champion gets wrong: its confusions, and the test images of which it is most wrongly sure."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.report.blocks import Block, Column, Picture, Pictures, Plot, Row, Table, Text
from sweeps.report.decoded import decoded, named_classes
from sweeps.report.figures import figure, hover, label
from sweeps.report.finalists import Group
from sweeps.report.findings import Findings
from sweeps.report.formats import fixed, percent, seeds
from sweeps.report.runs import Run
from trainables.data.thumbnails import thumbnail_png

MOST_CLASSES = 24  # of a confusion matrix that can be read
MOST_PAIRS = 8
MOST_PICTURES = 24
SIDE = 72  # pixels of a thumbnail, at most: some 15 kB


def confusion(findings: Findings) -> Block:
    """The champion's confusion matrix over all its seeds; of many classes those that it confuses most."""
    title = "Confusion matrix of the champion"
    champion = predicting(findings)
    if champion is None:
        return Text(f"{title}: there are no predictions of a champion.")
    names = class_names(findings.run, champion)
    counts = confusions(champion, len(names))
    wrong = counts.sum(axis=1) + counts.sum(axis=0) - 2 * np.diag(counts)
    kept = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CLASSES])
    shown_names = [label(names[at]) for at in kept]
    totals = np.maximum(counts.sum(axis=1), 1)
    shares = 100 * counts / totals[:, None]
    part = shares[np.ix_(kept, kept)]
    text = [
        [
            hover(
                f"true {label(names[i])}",
                f"predicted {label(names[j])}",
                f"{shares[i, j]:.1f}% ({counts[i, j]})",
            )
            for j in kept
        ]
        for i in kept
    ]
    few = len(kept) <= 12
    cells: dict[str, Any] = {
        "type": "heatmap",
        "z": [[round(float(value), 1) for value in row] for row in part],
        "text": text,
        "hovertemplate": "%{text}<extra></extra>",
        "colorscale": [[0, "rgba(63,127,191,0)"], [1, "rgba(63,127,191,1)"]],
        "zmin": 0,
        "zmax": 100,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }
    places = {
        "tickmode": "array",
        "tickvals": list(range(len(kept))),
        "ticktext": shown_names,
        "showgrid": False,
    }
    layout: dict[str, Any] = {
        "xaxis": {**places, "tickangle": -40 if max(map(len, shown_names)) > 3 else 0},
        "yaxis": {**places, "autorange": "reversed"},
    }
    if few:
        layout["annotations"] = [
            {"x": j, "y": i, "text": f"{part[i, j]:.0f}", "showarrow": False, "font": {"size": 11}}
            for i in range(len(kept))
            for j in range(len(kept))
            if part[i, j] >= 0.5
        ]
    shown = figure([cells], "predicted", "true", height=min(640, 150 + 34 * len(kept)), **layout)
    part_of = f"of {len(names):,} classes the {len(kept)} that are confused most"
    rows = part_of if len(kept) < len(names) else "rows add up to 100"
    trained = seeds(len(_with_predictions(champion)))
    caption = f"Percent of each true class, over {trained} of {champion.name}; {rows}."
    return Plot(name="confusion", figure=shown, caption=caption, title=title, narrow=True)


def confused_pairs(findings: Findings) -> Table | None:
    """The confusions that cost the champion most; None where it makes none, or there are two classes."""
    champion = predicting(findings)
    if champion is None or len(names := class_names(findings.run, champion)) < 3:
        return None
    counts = confusions(champion, len(names))
    totals, off = counts.sum(axis=1), counts * ~np.eye(len(names), dtype=bool)
    order = [
        int(at) for at in np.argsort(-off, axis=None, kind="stable")[:MOST_PAIRS] if off.flat[at]
    ]
    if not order:
        return None
    rows = []
    for i, j in (divmod(at, len(names)) for at in order):
        shares = (percent(off[i, j] / totals[i]), percent(off[i, j] / off.sum()))
        rows.append(Row((names[i], names[j], *shares)))
    columns = [
        Column("true", number=False),
        Column("predicted as", number=False),
        Column("of its class, %"),
        Column("of all mistakes, %"),
    ]
    return Table(columns=columns, rows=rows, title="Most frequent confusions")


def worst(findings: Findings) -> Block:
    """The test images with the highest log loss, mean over the champion's seeds, as thumbnails."""
    title = "Worst mistakes of the champion"
    champion = predicting(findings)
    if champion is None:
        return Text(f"{title}: there are no predictions of a champion.")
    trained = _with_predictions(champion)
    losses, labels = np.mean([seed.losses for seed in trained], axis=0), trained[0].labels
    often = np.mean([~seed.right for seed in trained], axis=0)
    order = [int(at) for at in np.argsort(-losses, kind="stable")[:MOST_PICTURES] if often[at] > 0]
    if not order:
        return Text(f"{title}: it makes none.")
    images = decoded(findings.run, "test", labels).images
    if images is None:
        return Text(
            f"{title}: the decoded images are no longer in the cache, so there is nothing to show."
        )
    names, pictures = class_names(findings.run, champion), []
    for at in order:
        votes = np.bincount(
            [int(seed.said[at]) for seed in trained if not seed.right[at]], minlength=len(names)
        )
        wrong = int(sum(not seed.right[at] for seed in trained))
        lines = [
            f"{names[int(labels[at])]}",
            f"said {names[int(votes.argmax())]}, {wrong} of {len(trained)}",
            f"loss {losses[at]:.1f}",
        ]
        pictures.append(Picture(data_uri(thumbnail(images[at])), lines))
    first = "The test image" if len(order) == 1 else f"The {len(order)} test images"
    caption = (
        f"{first} of highest log loss, mean over {seeds(len(trained))}: the true class, what was "
        "said instead and by how many seeds, and the loss; "
        f"{fixed(float(np.log(len(names))), 1)} would be a guess. Wrong labels and crops that miss "
        "the object gather here. "
        f"{percent(float(1 - np.mean([seed.right for seed in trained])))}% of all test images are "
        "wrong."
    )
    return Pictures(pictures, caption, title)


def predicting(findings: Findings) -> Group | None:
    """The champion, where its predictions are there."""
    return findings.champion if findings.champion and _with_predictions(findings.champion) else None


def class_names(run: Run, group: Group) -> list[str]:
    """Of all classes that a group's labels and predictions name; their numbers where the sweep does not say."""
    most = (
        max(int(max(seed.labels.max(), seed.said.max())) for seed in _with_predictions(group)) + 1
    )
    return named_classes(run, most)


def confusions(group: Group, classes: int) -> NDArray[np.int64]:
    """Images by true and by predicted class, [classes, classes], over all seeds."""
    labels, said = (
        np.concatenate([getattr(seed, part) for seed in _with_predictions(group)])
        for part in ("labels", "said")
    )
    return (
        np.bincount(labels * classes + said, minlength=classes**2)
        .reshape(classes, classes)
        .astype(np.int64)
    )


def thumbnail(image: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """An image [H, W, 3] at most `side` pixels per side, each the mean of a block."""
    step = -(-max(image.shape[:2]) // side)
    height, width = (length // step * step for length in image.shape[:2])
    blocks = image[:height, :width].reshape(height // step, step, width // step, step, 3)
    small: NDArray[np.uint8] = blocks.mean(axis=(1, 3)).round().astype(np.uint8)
    return small


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return a picture of uint8 [H, W, 3] as a data URI, a PNG of the same size."""
    return f"data:image/png;base64,{base64.b64encode(thumbnail_png(image)).decode()}"


def _with_predictions(group: Group) -> Sequence[Any]:
    return [seed for seed in group.seeds if len(seed.labels)]
