"""The first screen: the champion and the arms in one table, and ordinary images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.synthetic_sweep import make
from sweeps.report.answer import answer_table, blocks, ordinary
from sweeps.report.blocks import Text
from sweeps.report.calibration import how_sure
from sweeps.report.classes import weakest
from sweeps.report.findings import Findings, find, interval
from sweeps.report.formats import percent
from sweeps.report.runs import read_run
from sweeps.report.tables import with_interval
from trainables.data import dataset


def test_the_table_has_the_champion_first_and_then_the_arms(found_in_turn: Findings) -> None:
    table = answer_table(found_in_turn)
    champion = found_in_turn.champion
    assert champion is not None
    names = [row.cells[0] for row in table.rows]
    assert names == [f"{champion.name} (this model)", *found_in_turn.run.arms]
    assert [row.strong for row in table.rows] == [True] + [False] * 6
    assert [column.title for column in table.columns] == [
        "arm",
        "test %",
        "val %",
        "size, MB",
        "ms per image",
    ]
    groups = [champion, *(found_in_turn.arms[arm] for arm in found_in_turn.run.arms)]
    for row, group in zip(table.rows, groups, strict=True):
        test, val, size, ms = row.cells[1:]
        assert test == with_interval(interval(group, "accuracy"))
        assert val == percent(group.score)
        assert float(size) == round(group.cost.megabytes, 1)
        assert float(ms) == round(group.cost.ms, 2)
    assert "An arm is the mean of its 3 best recipes in turn" in table.caption


def test_below_it_are_the_weakest_class_and_how_sure_it_is(found: Findings) -> None:
    _, text = blocks(found)
    assert isinstance(text, Text)
    assert text.text == f"{weakest(found)} {how_sure(found)}"


def test_a_sweep_without_finalists_shows_its_arms_by_the_search(tmp_path: Path) -> None:
    searched = find(read_run(make(tmp_path, seeds=(), trials=5, arms=("resnet18/plain",))))
    (table,) = blocks(searched)
    best = searched.run.rows("trial")
    best = best[best["outcome"] == "completed"]["score"].max()
    assert [row.cells for row in table.rows] == [("resnet18/plain", "2", percent(best))]


def test_ordinary_images_are_the_first_test_images_of_each_class(tmp_path: Path) -> None:
    data = dataset.prepare(
        "digits",
        image_size=32,
        caps=dataset.Caps(train=20, val=30, test=30),
        seed=0,
        cache=tmp_path / "cache",
    )
    test = dataset.read(data.path, test=True).split("test")
    described = {"data": {"classes": list(data.classes), "path": str(data.path)}}
    folder = make(
        tmp_path,
        trials=2,
        arms=("resnet18/plain",),
        images=len(test.labels),
        labels=test.labels.tolist(),
        classes=data.classes,
        described=described,
    )
    shown = ordinary(find(read_run(folder)))
    assert shown is not None
    assert [name for name, _ in shown.strips] == list(data.classes)
    counts = np.bincount(test.labels)
    assert [len(uris) for _, uris in shown.strips] == [min(8, count) for count in counts]


def test_without_the_decoded_images_there_are_no_ordinary_ones(found: Findings) -> None:
    assert ordinary(found) is None
