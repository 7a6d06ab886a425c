"""Which recipes were trained again, which of them is the champion, and what can be paired."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.records.champion import Bounds
from sweeps.report.finalists import Group, champion_of, groups_of, paired
from sweeps.report.findings import Findings
from sweeps.report.runs import read_run
from sweeps.report.turns import in_turn
from tests.unit.sweeps.journals import ended, started

ARMS = ("resnet18/plain", "resnet18/tricks")
NO_BOUNDS = Bounds()


@pytest.fixture
def groups(tmp_path: Path) -> Callable[..., tuple[list[Group], list[str], Path]]:
    def made(
        change: Callable[[Path], None] = lambda folder: None, **asked: Any
    ) -> tuple[list[Group], list[str], Path]:
        folder = make(tmp_path, **{"arms": ARMS, "trials": 5, "images": 60, **asked})
        change(folder)
        problems: list[str] = []
        return groups_of(read_run(folder), problems), problems, folder

    return made


def test_each_arm_has_its_best_and_its_default_and_the_champion_its_ablation(groups: Any) -> None:
    found, problems, _ = groups()
    assert problems == []
    for arm in ARMS:
        kinds = [group.kinds for group in found if group.arm == arm and not group.without]
        assert set().union(*kinds) == {"top", "default"}
    assert [group.without for group in found if "ablation" in group.kinds] == ["scheduler"]
    for group in found:
        assert [seed.seed for seed in group.seeds] == [0, 1, 2, 3, 4]
        assert [seed.index for seed in group.seeds] == [0, 1, 2, 3, 4]
        assert list(group.by_seed) == [0, 1, 2, 3, 4]
        assert {seed.group for seed in group.seeds} <= {
            *(group.name, f"{group.name}/without-{group.without}")
        }


def test_a_seed_is_numbered_by_its_place_in_the_sweep_and_not_by_what_it_is(groups: Any) -> None:
    found, _, _ = groups(seeds=(977, 12, 500), lost=("resnet18/plain/000/s1",))
    for group in found:
        lacking = group.name == "resnet18/plain/000" and not group.without
        assert [seed.index for seed in group.seeds] == ([0, 2] if lacking else [0, 1, 2])
        assert [seed.seed for seed in group.seeds] == [(977, 12, 500)[at] for at in group.by_seed]
        assert group.by_seed == {seed.index: seed.score for seed in group.seeds}
        assert sorted(group.images("accuracy")) == list(group.by_seed)


def test_recipes_in_turn_are_all_among_the_best_of_their_arm(found_in_turn: Findings) -> None:
    run = found_in_turn.run
    for arm in run.arms:
        names = in_turn(run, arm)
        assert names == tuple(run.history.recipes[arm])
        of_arm = [group for group in found_in_turn.groups if group.arm == arm and not group.without]
        top = {group.name for group in of_arm if "top" in group.kinds}
        assert top == set(names)
        default = {group.name for group in of_arm if "default" in group.kinds}
        assert default == {f"{arm}/000"}


def test_an_earlier_version_compared_the_best_trial_alone(sweep: Path) -> None:
    run = read_run(sweep)
    for arm in run.arms:
        rows = run.rows("trial", arm)
        completed = rows[rows["outcome"] == "completed"]
        best = max(completed.itertuples(), key=lambda row: (row.score, -row.number))
        assert in_turn(run, arm) == (best.trial_id,)


def test_an_arm_with_nothing_tuned_has_its_default_as_its_best(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(
        '{"arms": ["one"], "definition": {"one": {"fixed": {}, "tuned": {}}}}'
    )
    assert in_turn(read_run(tmp_path), "one") == ("one/000",)


def test_an_arm_of_which_no_trial_completed_has_no_recipe(tmp_path: Path) -> None:
    folder = make(tmp_path, arms=ARMS[:1], trials=4, seeds=(), outcomes=("failed",) * 3)
    run = read_run(folder)
    assert in_turn(run, ARMS[0]) == (f"{ARMS[0]}/000",)
    assert in_turn(run, "no such arm") == ("no such arm/000",)
    run.history.trials.clear()
    assert in_turn(run, ARMS[0]) == ()


def test_what_predictions_say_is_what_the_end_of_a_finalist_says(groups: Any) -> None:
    for group in groups()[0]:
        for seed in group.seeds:
            assert seed.right.mean() == pytest.approx(seed.accuracy)
            assert seed.losses.mean() == pytest.approx(seed.loss, rel=1e-5)


def test_the_champion_is_chosen_among_the_recipes_that_the_sweep_retrained_for_itself(
    groups: Any,
) -> None:
    whole = groups()[0]
    choice = champion_of(whole, ARMS, NO_BOUNDS)
    able = [group for group in whole if not group.without]
    assert choice
    assert choice.leader.score == max(group.score for group in able)
    assert choice.champion in choice.tied
    assert not any(group.without for group in choice.tied)
    assert champion_of([], ARMS, NO_BOUNDS) is None
    assert champion_of(whole, ARMS, Bounds(mb=1.0)) is None


def test_what_a_recipe_costs_is_that_of_its_network(groups: Any) -> None:
    for group in groups(arms=("resnet18/plain", "resnet50/plain"), ablations=False)[0]:
        small = group.arm.startswith("resnet18")
        assert group.cost.parameters == (11_181_642 if small else 23_528_522)
        assert group.cost.ms == pytest.approx(3.1 if small else 8.9)


def test_a_leader_with_too_few_seeds_gives_way_to_a_recipe_with_enough(
    groups: Any, tmp_path: Path
) -> None:
    first = champion_of(groups()[0], ARMS, NO_BOUNDS)
    assert first
    name = first.leader.name
    lost = tuple(f"{name}/s{seed}" for seed in (1, 2, 3))
    again = make(tmp_path, "two", arms=ARMS, trials=5, images=60, lost=lost)
    other = champion_of(groups_of(read_run(again), []), ARMS, NO_BOUNDS)
    assert other
    assert name not in {group.name for group in other.tied}
    assert len(other.champion.seeds) == 5
    # With three of five it is the leader all the same.
    three = make(tmp_path, "three", arms=ARMS, trials=5, images=60, lost=lost[:2])
    kept = champion_of(groups_of(read_run(three), []), ARMS, NO_BOUNDS)
    assert kept
    assert kept.leader.name == name


def test_a_finalist_of_an_earlier_best_is_no_champion(groups: Any) -> None:
    def extended(folder: Path) -> None:
        with (folder / "trials.jsonl").open("a") as journal:
            for arm in ARMS:
                for line in (started(arm, 99), ended(f"{arm}/099", score=0.99)):
                    journal.write(json.dumps(line) + "\n")

    found = groups(extended)[0]
    assert "earlier" in set().union(*(group.kinds for group in found))
    choice = champion_of(found, ARMS, NO_BOUNDS)
    assert choice
    assert choice.champion.kinds == {"default"}


def test_predictions_that_are_gone_or_odd_are_said_and_the_end_still_counts(groups: Any) -> None:
    def spoil(folder: Path) -> None:
        files = sorted((folder / "predictions").iterdir())
        files[0].unlink()
        files[1].write_bytes(b"PK no zip")
        np.savez(files[2], test=np.zeros((4, 2)), test_labels=np.array([0, 1, 2, 0]))

    found, problems, _ = groups(spoil)
    assert len(problems) == 3
    assert sum(len(seed.labels) == 0 for group in found for seed in group.seeds) == 3
    assert all(len(group.test("accuracy")) == 5 for group in found)


def test_a_run_that_was_tested_on_other_images_is_not_paired(groups: Any) -> None:
    def other(folder: Path) -> None:
        file = folder / "predictions" / "resnet18-plain-000-s2.npz"
        with np.load(file) as arrays:
            kept = dict(arrays)
        np.savez(file, **{**kept, "test_labels": kept["test_labels"][::-1]})

    found, problems, _ = groups(other)
    default = next(group for group in found if group.name == "resnet18/plain/000")
    assert "other images" in problems[0]
    assert sorted(default.images("accuracy")) == [0, 1, 3, 4]
    assert len(default.by_seed) == 5, "its score on val counts"


def test_pairs_have_the_seeds_that_all_have_in_the_same_rows(groups: Any) -> None:
    found, _, _ = groups(lost=("resnet18/plain/000/s1",))
    values = paired({group.name: group for group in found if not group.without}, "accuracy")
    for group in found:
        if not group.without:
            rows = {seed.index: seed.right for seed in group.seeds if seed.seed != 1}
            assert list(values[group.name]) == list(rows) == [0, 2, 3, 4]
            for at, row in rows.items():
                assert np.array_equal(values[group.name][at], row)
    assert next(group.failed for group in found if group.name == "resnet18/plain/000") == (
        "resnet18/plain/000/s1",
    )
