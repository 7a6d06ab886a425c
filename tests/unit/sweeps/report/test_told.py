"""What MLflow is told of a sweep's comparisons and of the spread of its scores."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.findings import Findings, find
from sweeps.report.runs import read_run, records
from sweeps.report.spread import spread_of
from sweeps.report.told import metrics_of, tags_of


def test_each_comparison_is_told_with_its_interval_and_parts(found_in_turn: Findings) -> None:
    told = metrics_of(found_in_turn)
    parts = ("low", "high", "of_seeds", "of_recipes", "of_images")
    names = {"tricks": "tricks", "depth, linear trend": "depth_ linear trend"}
    for row in records(found_in_turn.planned):
        name = f"comparison/{names[row['name']]}"
        assert told[name] == row["estimate"]
        assert [told[f"{name}/{part}"] for part in parts] == [row[part] for part in parts]
    spread = spread_of(found_in_turn)
    assert spread
    for name, value in asdict(spread).items():
        assert told[f"spread/{name}"] == value
    assert len(told) == 2 * 6 + 5


def test_each_verdict_is_a_tag(found_in_turn: Findings) -> None:
    assert tags_of(found_in_turn) == {
        "sweep.verdict.tricks": "better",
        "sweep.verdict.depth_ linear trend": "cannot tell",
    }


@pytest.mark.parametrize("seeds", [(), (0, 1)])
def test_what_is_not_known_is_not_told(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    arms = ("resnet18/plain", "resnet18/tricks")
    told = metrics_of(find(read_run(make(tmp_path, arms=arms, trials=4, images=40, seeds=seeds))))
    assert all(math.isfinite(value) for value in told.values())
    assert ("comparison/tricks" in told) == bool(seeds)
    assert "comparison/tricks/low" not in told
