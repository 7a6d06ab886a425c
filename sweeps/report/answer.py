"""The first screen: one table, the weakest class, how far the champion can be trusted, images."""

from __future__ import annotations

import math

import numpy as np

from sweeps.records.results import Outcome
from sweeps.records.score import headed
from sweeps.report.blocks import Block, Row, Strips, Table, Text, number_columns, text_columns
from sweeps.report.calibration import how_sure
from sweeps.report.classes import weakest
from sweeps.report.decoded import decoded
from sweeps.report.finalists import Group
from sweeps.report.findings import Findings, interval
from sweeps.report.formats import MISSING, fixed, percent
from sweeps.report.mistakes import class_names, data_uri, predicting, thumbnail
from sweeps.report.runs import number
from sweeps.report.tables import with_interval
from trainables.problems import counted

MOST_CLASSES = 12  # with a row of images
OF_CLASS = 8  # images in a row
SIDE = 48  # pixels of an image, at most: some 9 kB


def blocks(findings: Findings) -> list[Block]:
    """Return what stands below the verdict."""
    said = " ".join(filter(None, [weakest(findings), how_sure(findings)]))
    table = answer_table(findings)
    return [table, Text(said)] if said else [table]


def answer_table(findings: Findings) -> Table:
    """Return the champion, and each arm: test, val, and what it costs to use."""
    if not findings.arms:
        return _searched(findings)
    score = findings.run.score
    rows = []
    if findings.champion:
        cells = _cells(findings, findings.champion)
        rows.append(Row((f"{findings.champion.name} (this model)", *cells), strong=True))
    for arm in findings.run.arms:
        group = findings.arms.get(arm)
        cells = _cells(findings, group) if group else (MISSING,) * 4
        rows.append(Row((arm, *cells)))
    titles = (
        headed("test", score),
        headed("val", score),
        "size, MB",
        "ms per image",
    )
    return Table(
        columns=[*text_columns(["arm"]), *number_columns(titles)],
        rows=rows,
        caption=_caption(findings),
        name="The answer in numbers",
    )


def ordinary(findings: Findings) -> Strips | None:
    """Return some test images of each class; None where the cache no longer has them."""
    champion = predicting(findings)
    if champion is None:
        return None
    labels = champion.predicted[0].labels
    images = decoded(findings.run, "test", labels).images
    if images is None:
        return None
    names = class_names(findings.run, champion)
    present = np.unique(labels).tolist()
    strips = []
    for at in present[:MOST_CLASSES]:
        rows = np.flatnonzero(labels == at)[:OF_CLASS].tolist()
        strips.append((names[at], [data_uri(thumbnail(images[row], SIDE)) for row in rows]))
    caption = f"The first test images of each class, up to {OF_CLASS}, as they were decoded."
    if len(present) > MOST_CLASSES:
        caption = f"{caption} The first {MOST_CLASSES} of {counted(len(present), 'class')}."
    return Strips(strips, caption, "Ordinary images")


def _cells(findings: Findings, group: Group) -> tuple[str, ...]:
    """Return a recipe's or an arm's test, val, size and time."""
    cost = group.cost
    return (
        with_interval(interval(group, findings.run.score)),
        percent(group.score),
        fixed(cost.megabytes, 1),
        fixed(cost.ms, 2),
    )


def _caption(findings: Findings) -> str:
    recipes = findings.design.recipes
    said = "Means over seeds, on test with 95% intervals. " if findings.tested else "Means. "
    if recipes > 1:
        said += (
            f"An arm is the mean of its {recipes} best recipes in turn; this model is one recipe."
        )
    else:
        said += "An arm is shown by its best recipe."
    return said


def _searched(findings: Findings) -> Table:
    """Return the arms of a sweep that has no finalists yet."""
    run = findings.run
    rows = []
    for arm in run.arms:
        trials = run.rows("trial", arm)
        ended = trials[trials["outcome"] == Outcome.COMPLETED.value]
        best = number(ended["score"].max())
        shown = MISSING if math.isnan(best) else percent(best)
        rows.append(Row((arm, str(len(ended)), shown)))
    titles = ("completed trials", headed("best val", run.score))
    return Table(
        columns=[*text_columns(["arm"]), *number_columns(titles)],
        rows=rows,
        name="The arms so far",
    )
