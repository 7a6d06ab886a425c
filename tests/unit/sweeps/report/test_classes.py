"""The champion by class, the weakest first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from benchmarks.synthetic_sweep import make
from sweeps.report.blocks import Table, Text
from sweeps.report.classes import blocks, by_class, weakest
from sweeps.report.finalists import Group
from sweeps.report.findings import Findings, find
from sweeps.report.runs import read_run

ONE = ("resnet18/plain",)


def test_precision_and_recall_are_scikit_learns_over_all_seeds(found: Findings) -> None:
    champion = found.champion
    assert champion is not None
    labels, said = (
        np.concatenate([getattr(seed, part) for seed in champion.seeds])
        for part in ("labels", "said")
    )
    precision, recall, _, images = precision_recall_fscore_support(labels, said)
    expected = dict(
        zip(
            ("plane", "car", "bird", "cat", "deer"),
            zip(precision, recall, images, strict=True),
            strict=True,
        )
    )
    rows = by_class(found)
    assert [row.recall for row in rows] == sorted(recall)
    for row in rows:
        assert (row.precision, row.recall) == pytest.approx(expected[row.name][:2])
        assert row.images * len(champion.seeds) == expected[row.name][2]


def test_the_weakest_class_is_said_in_a_line_before_the_table(found: Findings) -> None:
    line, table = blocks(found)
    assert isinstance(line, Text)
    assert isinstance(table, Table)
    low = by_class(found)[0]
    assert line.text == weakest(found) == (
        f"Weakest class: {low.name} (recall {100 * low.recall:.0f}% on {low.images} test images)."
    )  # fmt: skip
    assert table.rows[0].cells[0] == low.name
    assert not table.folded


def test_of_many_classes_the_table_is_folded(tmp_path: Path) -> None:
    names = [f"breed {at}" for at in range(40)]
    found = find(
        read_run(make(tmp_path, arms=ONE, trials=4, images=120, seeds=(0, 1), classes=names))
    )
    _, table = blocks(found)
    assert isinstance(table, Table)
    assert table.folded
    assert len(table.rows) == len({*found.groups[0].seeds[0].labels.tolist()})


def test_a_champion_without_mistakes_has_no_weakest_class_and_one_without_predictions_no_table(
    found: Findings,
) -> None:
    champion = found.champion
    assert champion is not None
    seeds = tuple(
        replace(seed, said=seed.labels, right=seed.labels == seed.labels) for seed in champion.seeds
    )
    perfect = with_champion(found, replace(champion, seeds=seeds))
    assert weakest(perfect) == ""
    assert [type(block) for block in blocks(perfect)] == [Table]
    empty = np.zeros(0, np.int64)
    seeds = tuple(
        replace(seed, said=empty, labels=empty, right=empty.astype(bool)) for seed in champion.seeds
    )
    assert blocks(with_champion(found, replace(champion, seeds=seeds))) == []


def with_champion(found: Findings, champion: Group) -> Findings:
    assert found.choice is not None
    return replace(found, choice=replace(found.choice, champion=champion))
