"""What a sweep comes to: planted effects are found, and nothing is compared that cannot be."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.records.design import Design
from sweeps.report import effects
from sweeps.report.finalists import paired
from sweeps.report.findings import (
    Findings,
    compare,
    difference,
    find,
    gap,
    interval,
    undecided,
)
from sweeps.report.runs import read_run
from sweeps.report.variance import crossed, over_seeds

TWO = ("resnet18/plain", "resnet18/tricks")


def edited(folder: Path, keep: Callable[[Mapping[str, Any]], bool]) -> Path:
    """Leave out lines of a sweep's journal."""
    journal = folder / "trials.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if keep(json.loads(line))))
    return folder


def turned(storage: Path, **asked: Any) -> Path:
    """Write a sweep of two arms by three recipes each over six seeds."""
    made = {"arms": TWO, "trials": 6, "outcomes": (), "images": 80, "ablations": False}
    return make(storage, **{**made, "recipes": 3, "seeds": range(40, 46), **asked})


def test_the_planted_effect_is_found_and_the_absent_one_is_not(found_in_turn: Findings) -> None:
    rows = found_in_turn.planned.set_index("name")
    assert rows.loc["tricks", "verdict"] == "better"
    assert 0.01 < rows.loc["tricks", "low"] < rows.loc["tricks", "high"] < 0.07
    assert rows.loc["depth, linear trend", "verdict"] == "cannot tell"
    assert rows.loc["depth, linear trend", "low"] < 0 < rows.loc["depth, linear trend", "high"]


@pytest.mark.parametrize("name", ["found", "found_in_turn"])
def test_contrasts_and_pairs_are_of_the_arms_image_by_image(
    request: pytest.FixtureRequest, name: str
) -> None:
    found: Findings = request.getfixturevalue(name)
    values = {}
    for arm, group in found.arms.items():
        values[arm] = {seed.index: seed.right.astype(float) for seed in group.seeds}
    contrasts = found.run.described["contrasts"]
    expected = effects.planned(contrasts, values, found.design, found.reached)
    assert found.planned.equals(expected)
    assert len(found.pairs) == 15
    assert (found.pairs["difference"] >= 0).all()
    assert (found.pairs["n"] == found.reached).all()


def test_an_arm_is_its_recipes_in_turn_and_not_what_a_contender_had_besides(
    found_in_turn: Findings,
) -> None:
    found = found_in_turn
    for arm, group in found.arms.items():
        names = found.run.history.recipes[arm]
        assert len(names) == 3
        assert [seed.trial_id for seed in group.seeds] == [
            f"{names[seed % 3]}/s{seed}" for seed in range(9)
        ]
        assert (group.name, group.kinds, group.turn) == (arm, {"arm"}, 3)
        assert group.luck == found.design.luck > 1.0
    whole = {group.name: len(group.seeds) for group in found.groups if not group.without}
    assert whole["resnet34/tricks/001"] == whole["resnet34/tricks/007"] == 9
    assert whole["resnet18/tricks/001"] == 3


def test_an_arm_shows_the_recipe_that_was_best_in_its_search(found_in_turn: Findings) -> None:
    scores = found_in_turn.run.trials.set_index("trial_id")["score"]
    for arm, group in found_in_turn.arms.items():
        names = found_in_turn.run.history.recipes[arm]
        best = max(names, key=lambda name: scores[name])
        (own,) = (g for g in found_in_turn.groups if g.name == best and not g.without)
        assert group.recipe == own.recipe


def test_the_design_is_what_the_sweep_says_and_of_earlier_versions_the_best_alone(
    found_in_turn: Findings, found: Findings
) -> None:
    assert found_in_turn.design == Design(recipes=3, seeds=9, worth=0.01, searched=12)
    # Of its six trials one failed.
    assert found.design == Design(recipes=1, seeds=5, worth=0.01, searched=5, once=True)
    assert {group.turn for group in found.arms.values()} == {1}
    assert {group.luck for group in found.arms.values()} == {1.0}


@pytest.mark.parametrize(("worth", "expected"), [(2.5, 0.025), (0, 0.01), ("much", 0.01)])
def test_what_matters_is_in_points_and_one_of_them_where_it_is_not_said(
    tmp_path: Path, worth: object, expected: float
) -> None:
    folder = turned(tmp_path, described={"worth": worth})
    assert find(read_run(folder)).design.worth == expected


def test_no_more_recipes_take_turns_than_there_were_seeds(tmp_path: Path) -> None:
    found = find(read_run(turned(tmp_path, seeds=(7, 8))))
    assert found.design.recipes == 2
    for arm, group in found.arms.items():
        names = found.run.history.recipes[arm]
        assert [seed.trial_id for seed in group.seeds] == [f"{names[0]}/s0", f"{names[1]}/s1"]


def test_seeds_are_reached_when_the_runs_in_turn_of_all_arms_are_over(tmp_path: Path) -> None:
    folder = turned(tmp_path)
    names = read_run(folder).history.recipes["resnet18/plain"]
    assert find(read_run(folder)).reached == 6
    # A default that still runs, though it is not its turn, is not what arms are compared by.
    default = "resnet18/plain/000"
    late = {f"{default}/s{seed}" for seed in range(6) if names[seed % 3] != default}
    edited(folder, lambda line: line.get("trial_id") not in late or line["event"] != "end")
    assert find(read_run(folder)).reached == 6


def test_verdicts_wait_for_the_seed_whose_runs_are_not_all_over(tmp_path: Path) -> None:
    folder = turned(tmp_path)
    names = read_run(folder).history.recipes["resnet18/plain"]
    late = f"{names[4 % 3]}/s4"
    edited(folder, lambda line: line.get("trial_id") != late or line["event"] != "end")
    found = find(read_run(folder))
    assert found.reached == 4
    whole = compare(found.run, [], until=3).planned.iloc[0]
    row = found.planned.iloc[0]
    assert (row["p_holm"], row["verdict"]) == (whole["p_holm"], whole["verdict"])
    assert row["n"] == 5, "the estimate is of all that is there"


def test_an_arm_that_was_decided_sooner_keeps_nobody_waiting(tmp_path: Path) -> None:
    found = find(read_run(turned(tmp_path, stopped={"resnet18/plain": 3})))
    assert found.reached == 6
    assert len(found.arms["resnet18/plain"].seeds) == 3
    assert len(found.arms["resnet18/tricks"].seeds) == 6
    assert found.planned.iloc[0]["n"] == 3
    assert found.seeds == 3


def test_an_arm_that_failed_too_often_keeps_nobody_waiting(tmp_path: Path) -> None:
    """It is left alone after its first round, of which most was chosen and never began."""
    arms = ("resnet18/plain", "resnet50/plain", "resnet34/plain")
    folder = turned(tmp_path, arms=arms)

    def given_up(line: Mapping[str, Any]) -> bool:
        name = str(line.get("trial_id", ""))
        seed = name.rpartition("/s")[2]
        return not name.startswith("resnet34/") or "/s" not in name or seed == "0"

    journal = edited(folder, given_up) / "trials.jsonl"
    with journal.open("a") as file:
        # The next round, of the arms that are left.
        line = {"event": "finalists", "trial_ids": ["resnet18/plain/000/s0"], "time": 9}
        file.write(json.dumps(line) + "\n")
    found = find(read_run(folder))
    (depth,) = (row for row in found.planned.itertuples() if row.name.startswith("depth"))
    assert depth.n == 6
    assert not math.isnan(depth.p_holm)


def test_arms_are_open_while_a_contrast_of_theirs_is(found_in_turn: Findings) -> None:
    found = compare(found_in_turn.run, [], until=3)
    contrasts = found_in_turn.run.described["contrasts"]
    assert undecided(found, contrasts) == {
        *("resnet18/plain", "resnet18/tricks", "resnet50/plain", "resnet50/tricks")
    }
    decided = found.planned.assign(verdict="better")
    assert undecided(replace(found, planned=decided), contrasts) == set()
    alone = [{"name": "tricks", "weights": {"resnet34/*": 1, "resnet18/*": 0, "resnet50/*": -1}}]
    table = found.planned.assign(verdict="cannot tell")
    assert undecided(replace(found, planned=table), alone) == {
        *("resnet34/plain", "resnet34/tricks", "resnet50/plain", "resnet50/tricks")
    }
    assert undecided(replace(found, planned=table), None) == set()


@pytest.mark.parametrize("until", [0, 2, 3, 5, 6, 9, 20])
def test_until_some_seeds_verdicts_are_those_of_the_looks_up_to_them(
    found_in_turn: Findings, until: int
) -> None:
    found = compare(found_in_turn.run, [], until=until)
    assert found.reached == min(until, 9)
    decided = found.planned.set_index("name").loc["tricks", "decided"]
    assert decided == (3 if until >= 3 else 0)
    assert found.pairs.equals(found_in_turn.pairs)


def test_a_contrast_is_left_out_where_an_arm_of_it_has_no_finalist(tmp_path: Path) -> None:
    lost = [f"resnet50/plain/{number:03d}/s{seed}" for number in range(5) for seed in range(3)]
    found = find(read_run(make(tmp_path, trials=5, seeds=(0, 1, 2), images=50, lost=lost)))
    assert "resnet50/plain" not in found.arms
    assert found.planned.empty
    assert found.untested == ("tricks", "depth, linear trend")
    assert len(found.pairs) == 10


def test_an_interval_is_for_new_seeds_and_images_or_without_predictions_for_new_seeds_alone(
    tmp_path: Path,
) -> None:
    folder = make(tmp_path, trials=5, images=80, arms=("resnet18/plain",), ablations=False)
    group = find(read_run(folder)).arms["resnet18/plain"]
    assert interval(group, "accuracy") == crossed(
        np.stack([seed.right for seed in group.seeds]).astype(float)
    )
    for file in (folder / "predictions").iterdir():
        file.unlink()
    bare = find(read_run(folder))
    assert interval(bare.arms["resnet18/plain"], "loss") == over_seeds(
        [seed.loss for seed in group.seeds]
    )
    assert bare.pairs.empty
    assert bare.planned.empty


def test_an_interval_of_an_arm_is_for_other_recipes_of_such_a_search_too(
    found_in_turn: Findings,
) -> None:
    group = found_in_turn.arms["resnet50/plain"]
    rights = np.stack([seed.right for seed in group.seeds]).astype(float)
    expected = crossed(rights, recipes=[0, 1, 2] * 3, luck=found_in_turn.design.luck)
    assert interval(group, "accuracy") == expected
    champion = found_in_turn.champion
    assert champion
    of_model = np.stack([seed.right for seed in champion.seeds]).astype(float)
    assert interval(champion, "accuracy") == crossed(of_model), "a model is one recipe"


def test_no_interval_of_a_share_leaves_0_to_1_and_none_of_a_loss_falls_below_0(
    found: Findings,
) -> None:
    group = found.arms["resnet18/plain"]
    images = np.arange(4)
    low, high = [], []
    for at, right in enumerate((0, 1, 2)):
        changed = {"right": images < right, "labels": images, "losses": images * 0.1 * at}
        low.append(replace(group.seeds[at], **changed))
        high.append(replace(group.seeds[at], **{**changed, "right": images >= right}))
    for seeds in (low, high):
        whole = interval(replace(group, seeds=tuple(seeds)), "accuracy")
        assert whole
        assert (whole.low == 0.0) is (seeds is low)
        assert (whole.high == 1.0) is (seeds is high)
    loss = interval(replace(group, seeds=tuple(low)), "loss")
    assert loss
    assert loss.low == 0.0
    assert loss.high is not None
    assert loss.high > 0.1


def test_the_gap_of_an_arm_and_a_recipe_is_nested_in_the_arms_turns(
    found_in_turn: Findings,
) -> None:
    arm = found_in_turn.arms["resnet50/plain"]
    default = found_in_turn.default["resnet50/plain"]
    apart = difference(arm, default, "accuracy")
    assert apart
    rows = zip(arm.seeds, default.seeds, strict=True)
    gaps = np.stack([a.right.astype(float) - b.right for a, b in rows])
    expected = crossed(gaps, recipes=[0, 1, 2] * 3, luck=found_in_turn.design.luck)
    assert (apart.value, apart.low, apart.high) == (expected.mean, expected.low, expected.high)


def test_without_predictions_a_gap_is_that_of_the_means_without_an_interval(
    tmp_path: Path,
) -> None:
    found = find(read_run(turned(tmp_path, predictions=False)))
    a, b = (found.default[arm] for arm in TWO)
    assert difference(a, b, "accuracy") is None
    apart = gap(a, b, "accuracy")
    assert apart.value == pytest.approx(np.mean(a.test("accuracy")) - np.mean(b.test("accuracy")))
    assert math.isnan(apart.low)
    assert math.isnan(apart.high)


def test_a_difference_is_paired_over_the_seeds_of_both(tmp_path: Path) -> None:
    lost = ("resnet18/plain/000/s0",)
    found = find(
        read_run(
            make(
                tmp_path, trials=5, images=80, arms=("resnet18/plain", "resnet18/tricks"), lost=lost
            )
        )
    )
    a, b = found.arms["resnet18/tricks"], found.default["resnet18/plain"]
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
