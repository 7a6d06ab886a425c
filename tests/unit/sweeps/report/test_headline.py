"""The headline in sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.findings import Findings, find
from sweeps.report.formats import percent, points
from sweeps.report.headline import equal_trials, headline, luck, recipe_line, winners_luck
from sweeps.report.runs import read_run

TWO = ("resnet18/plain", "resnet18/tricks")


def findings(storage: Path, **asked: Any) -> Findings:
    return find(read_run(make(storage, **{"trials": 5, "images": 80, **asked})))


def test_the_first_sentence_has_the_champion_its_accuracy_and_what_the_best_other_arm_lacks(
    found: Findings,
) -> None:
    champion = found.champion
    assert champion is not None
    first, second = headline(found)
    assert first.startswith(
        f"Ship {champion.arm}: {percent(sum(s.right.mean() for s in champion.seeds) / 5)}% of the "
        "test images"
    )
    assert "95% interval" in first
    assert "5 seeds" in first
    assert "points (" in first
    assert "against the best other arm, resnet" in first
    row = found.planned.iloc[0]
    assert second.startswith(f"Tricks: {points(row['estimate'])} points (")
    assert "Holm p 0.001)" in second
    assert "no difference shown; " in second
    assert "is the smallest that 5 seeds would likely have shown" in second
    assert champion.name in recipe_line(found)


def test_under_three_seeds_there_are_values_without_intervals_and_no_test(tmp_path: Path) -> None:
    first, second = headline(findings(tmp_path, seeds=(0, 1)))
    assert "(mean of 2 seeds)" in first
    assert "interval" not in first
    assert "p " not in second.split(". ")[0]
    assert second.endswith(
        "With 2 seeds there are no intervals and nothing is tested: 3 or more are needed."
    )


def test_one_seed_is_no_mean_of_seeds(tmp_path: Path) -> None:
    assert "1 seed)" in headline(findings(tmp_path, seeds=(0,), arms=TWO))[0]


def test_one_arm_is_compared_with_its_own_other_recipe(tmp_path: Path) -> None:
    only = headline(findings(tmp_path, arms=TWO[:1], trials=6))
    assert len(only) == 1
    assert only[0].endswith(
        ("against the best recipe of the search.", "against the default recipe.")
    )


def test_a_sweep_without_finalists_says_the_best_so_far_and_warns(tmp_path: Path) -> None:
    first, second = headline(findings(tmp_path, seeds=(), finish=None, arms=TWO))
    assert first.startswith("The best of 4 completed trials is resnet18/tricks/")
    assert "on val" in first
    assert second.startswith("Do not rank the arms yet: nothing has been retrained.")
    assert "resnet18/plain" in second


def test_a_sweep_in_which_nothing_completed_says_so(tmp_path: Path) -> None:
    assert headline(find(read_run(tmp_path))) == [
        "No trial has completed: there is nothing to compare yet."
    ]


def test_where_predictions_are_gone_the_sentence_still_has_the_means(tmp_path: Path) -> None:
    said = headline(findings(tmp_path, predictions=False))
    assert "95% interval" in said[0]
    assert "points against" in said[0]
    assert said[1:] == ["Nothing is tested: fewer than 3 seeds have predictions in all arms."]


def test_trials_are_equal_or_it_says_which_are_not(tmp_path: Path, found: Findings) -> None:
    assert equal_trials(found.run) == "Equal trials: 6 in each arm."
    folder = make(tmp_path, trials=4, arms=TWO, seeds=())
    lines = (folder / "trials.jsonl").read_text().splitlines(keepends=True)
    (folder / "trials.jsonl").write_text(
        "".join(line for line in lines if "resnet18/plain/003" not in line)
    )
    said = equal_trials(read_run(folder))
    assert (
        said == "Trials are not equal, so arms are not compared equally: resnet18/plain 3, "
        "resnet18/tricks 4."
    )


def test_the_winners_luck_is_the_best_score_less_the_mean_of_the_same_recipe(
    found: Findings,
) -> None:
    group = found.best["resnet34/tricks"]
    score = found.run.trials.set_index("trial_id").loc[group.name, "score"]
    assert winners_luck(found, group) == pytest.approx(
        score - sum(seed.score for seed in group.seeds) / 5
    )
    assert "luckiest" in luck(found)


def test_without_finalists_there_is_no_luck_to_speak_of(tmp_path: Path) -> None:
    assert luck(findings(tmp_path, seeds=())) == ""
