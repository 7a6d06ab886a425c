"""The champion by class, the weakest first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from benchmarks.synthetic_sweep import make
from sweeps.report.classes import by_class, classes_table, weakest
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


def test_the_weakest_class_is_said_with_what_it_is_taken_for(found: Findings) -> None:
    champion = found.champion
    assert champion is not None
    low = by_class(found)[0]
    names = ("plane", "car", "bird", "cat", "deer")
    of_class = [seed.said[seed.labels == names.index(low.name)] for seed in champion.seeds]
    counts = np.bincount(np.concatenate(of_class), minlength=5)
    shares = counts / counts.sum()
    taken = max((at for at in range(5) if names[at] != low.name), key=lambda at: shares[at])
    assert low.taken_for == names[taken]
    assert weakest(found) == (
        f"Weakest class: {low.name}. Of its {low.images} test images, {100 * low.recall:.0f}% are "
        f"recognized and {100 * shares[taken]:.0f}% taken for {names[taken]}."
    )


def test_the_table_begins_with_the_weakest_class(found: Findings) -> None:
    table = classes_table(found)
    assert table is not None
    assert table.rows[0].cells[0] == by_class(found)[0].name
    assert not table.folded


def test_of_many_classes_the_table_is_folded(tmp_path: Path) -> None:
    names = [f"breed {at}" for at in range(40)]
    found = find(
        read_run(make(tmp_path, arms=ONE, trials=4, images=120, seeds=(0, 1), classes=names))
    )
    table = classes_table(found)
    assert table is not None
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
    assert classes_table(perfect) is not None
    empty = np.zeros(0, np.int64)
    seeds = tuple(
        replace(seed, said=empty, labels=empty, right=empty.astype(bool)) for seed in champion.seeds
    )
    assert classes_table(with_champion(found, replace(champion, seeds=seeds))) is None


def with_champion(found: Findings, champion: Group) -> Findings:
    assert found.choice is not None
    return replace(found, choice=replace(found.choice, champion=champion))
