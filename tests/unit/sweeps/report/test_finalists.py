"""Which recipes were trained again, which of them is the champion, and what can be paired."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.finalists import Group, best_trial, champion_of, groups_of, paired
from sweeps.report.runs import read_run
from tests.unit.sweeps.journals import ended, started

ARMS = ("resnet18/plain", "resnet18/tricks")


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
        assert set().union(*kinds) == {"best", "default"}
    assert [group.without for group in found if "ablation" in group.kinds] == ["scheduler"]
    assert all([seed.seed for seed in group.seeds] == [0, 1, 2, 3, 4] for group in found)


def test_the_best_trial_is_the_runners_best(sweep: Path) -> None:
    run = read_run(sweep)
    for arm in run.arms:
        rows = run.rows("trial", arm)
        completed = rows[rows["outcome"] == "completed"]
        assert (
            best_trial(run, arm)
            == max(completed.itertuples(), key=lambda row: (row.score, -row.number)).trial_id
        )


def test_an_arm_with_nothing_tuned_has_its_default_as_its_best(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(
        '{"arms": ["one"], "definition": {"one": {"fixed": {}, "tuned": {}}}}'
    )
    assert best_trial(read_run(tmp_path), "one") == "one/000"


def test_what_predictions_say_is_what_the_end_of_a_finalist_says(groups: Any) -> None:
    for group in groups()[0]:
        for seed in group.seeds:
            assert seed.right.mean() == pytest.approx(seed.accuracy)
            assert seed.losses.mean() == pytest.approx(seed.loss, rel=1e-5)


def test_the_champion_has_most_seeds_and_then_the_best_mean_on_val(groups: Any) -> None:
    whole = groups()[0]
    champion = champion_of(whole, ARMS)
    able = [group for group in whole if not group.without]
    assert champion is not None
    assert champion.score == max(group.score for group in able)
    assert champion_of([], ARMS) is None


def test_a_champion_that_lost_a_seed_gives_way_to_a_recipe_with_all(
    groups: Any, tmp_path: Path
) -> None:
    first = champion_of(groups()[0], ARMS)
    assert first is not None
    again = make(tmp_path, "two", arms=ARMS, trials=5, images=60, lost=(f"{first.name}/s3",))
    other = champion_of(groups_of(read_run(again), []), ARMS)
    assert other is not None
    assert other.name != first.name
    assert len(other.seeds) == 5


def test_a_finalist_of_an_earlier_best_is_no_champion(groups: Any) -> None:
    def extended(folder: Path) -> None:
        with (folder / "trials.jsonl").open("a") as journal:
            for arm in ARMS:
                for line in (started(arm, 99), ended(f"{arm}/099", score=0.99)):
                    journal.write(json.dumps(line) + "\n")

    found = groups(extended)[0]
    assert "earlier" in set().union(*(group.kinds for group in found))
    champion = champion_of(found, ARMS)
    assert champion is not None
    assert champion.kinds == {"default"}


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


def test_pairs_have_the_seeds_that_all_have_in_the_same_rows(groups: Any) -> None:
    found, _, _ = groups(lost=("resnet18/plain/000/s1",))
    values = paired({group.name: group for group in found if not group.without}, "accuracy")
    assert {array.shape for array in values.values()} == {(4, 60)}
    for group in found:
        if not group.without:
            rows = [seed.right for seed in group.seeds if seed.seed != 1]
            assert np.array_equal(values[group.name], rows)
    assert next(group.failed for group in found if group.name == "resnet18/plain/000") == (
        "resnet18/plain/000/s1",
    )
