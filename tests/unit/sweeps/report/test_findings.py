"""What a sweep comes to: planted effects are found, and nothing is compared that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report import effects
from sweeps.report.finalists import paired
from sweeps.report.findings import Findings, difference, find, interval
from sweeps.report.runs import read_run
from sweeps.report.variance import crossed, over_seeds


def test_the_planted_effect_is_found_and_the_absent_one_is_not(found: Findings) -> None:
    rows = found.planned.set_index("name")
    assert rows.loc["tricks", "significant"]
    assert 0.01 < rows.loc["tricks", "low"] < rows.loc["tricks", "high"] < 0.07
    assert not rows.loc["depth, linear trend", "significant"]


def test_contrasts_and_pairs_are_of_the_best_recipes_image_by_image(found: Findings) -> None:
    values = {
        arm: np.stack([seed.right for seed in group.seeds]).astype(float)
        for arm, group in found.best.items()
    }
    expected = effects.planned(found.run.described["contrasts"], values)
    assert found.planned["estimate"].tolist() == pytest.approx(expected["estimate"].tolist())
    assert len(found.pairs) == 15
    assert (found.pairs["difference"] >= 0).all()


def test_a_contrast_is_left_out_where_an_arm_of_it_has_no_finalist(tmp_path: Path) -> None:
    lost = [f"resnet50/plain/{number:03d}/s{seed}" for number in range(5) for seed in range(3)]
    found = find(read_run(make(tmp_path, trials=5, seeds=(0, 1, 2), images=50, lost=lost)))
    assert "resnet50/plain" not in found.best
    assert found.planned.empty
    assert found.untested == ("tricks", "depth, linear trend")
    assert len(found.pairs) == 10


def test_an_interval_is_for_new_seeds_and_images_or_without_predictions_for_new_seeds_alone(
    tmp_path: Path,
) -> None:
    folder = make(tmp_path, trials=5, images=80, arms=("resnet18/plain",), ablations=False)
    group = find(read_run(folder)).best["resnet18/plain"]
    assert interval(group, "accuracy") == crossed(
        np.stack([seed.right for seed in group.seeds]).astype(float)
    )
    for file in (folder / "predictions").iterdir():
        file.unlink()
    bare = find(read_run(folder))
    assert interval(bare.best["resnet18/plain"], "loss") == over_seeds(
        [seed.loss for seed in group.seeds]
    )
    assert bare.pairs.empty
    assert bare.planned.empty


def test_a_difference_is_paired_over_the_seeds_of_both(tmp_path: Path) -> None:
    lost = ("resnet18/plain/000/s0",)
    found = find(
        read_run(
            make(
                tmp_path, trials=5, images=80, arms=("resnet18/plain", "resnet18/tricks"), lost=lost
            )
        )
    )
    a, b = found.best["resnet18/tricks"], found.default["resnet18/plain"]
    apart = difference(a, b, "accuracy")
    assert apart is not None
    expected = np.mean([s.right.mean() for s in a.seeds[1:]]) - np.mean(
        [s.right.mean() for s in b.seeds]
    )
    assert apart.value == pytest.approx(expected)
    assert len(paired({"a": a, "b": b}, "accuracy")["a"]) == 4


@pytest.mark.parametrize(
    "contrasts",
    [None, 3, [3], [{"name": "x"}], [{"name": "x", "weights": {"*": "much"}}], [{"weights": {}}]],
)
def test_contrasts_that_make_no_sense_are_left_out(tmp_path: Path, contrasts: object) -> None:
    folder = make(
        tmp_path, trials=5, images=30, arms=("resnet18/plain",), described={"contrasts": contrasts}
    )
    assert find(read_run(folder)).planned.empty
    assert json.loads((folder / "sweep.json").read_text())["contrasts"] == contrasts
