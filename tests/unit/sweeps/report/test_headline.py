"""The headline in sentences."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.findings import Findings, find, gap
from sweeps.report.formats import percent, points, span
from sweeps.report.headline import (
    equal_trials,
    headline,
    mean_overstatement,
    overstatement,
    recipe_line,
    rival,
)
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
        f"Ship {champion.arm}: it classifies "
        f"{percent(sum(s.right.mean() for s in champion.seeds) / 5)}% of the test images correctly"
    )
    assert "95% interval" in first
    assert "5 seeds" in first
    assert "points (" in first
    assert "above the runner-up, resnet" in first
    row = found.planned.iloc[0]
    assert second.startswith(f"Tricks: {points(row['estimate'])} points (")
    assert "Holm p 0.001)" in second
    assert "no significant difference: with 5 seeds only differences above " in second
    assert second.endswith(" points would likely show.")
    assert champion.name in recipe_line(found)


def test_under_three_seeds_there_are_values_without_intervals_and_no_test(tmp_path: Path) -> None:
    first, second = headline(findings(tmp_path, seeds=(0, 1)))
    assert "(mean of 2 seeds)" in first
    assert "interval" not in first
    assert "p " not in second.split(". ")[0]
    assert second.endswith(
        "Two seeds are too few for confidence intervals and tests; use at least 3."
    )


def test_one_seed_is_no_mean_of_seeds(tmp_path: Path) -> None:
    assert "1 seed)" in headline(findings(tmp_path, seeds=(0,), arms=TWO))[0]


def test_one_arm_is_compared_with_its_own_other_recipe(tmp_path: Path) -> None:
    only = headline(findings(tmp_path, arms=TWO[:1], trials=6))
    assert len(only) == 1
    assert re.search(r" (above|below) the (best|default) recipe", only[0])


def test_a_sweep_without_finalists_says_the_best_so_far_and_warns(tmp_path: Path) -> None:
    first, second = headline(findings(tmp_path, seeds=(), finish=None, arms=TWO))
    assert first.startswith("The best of 4 completed trials is resnet18/tricks/")
    assert "on val" in first
    assert second.startswith("Do not rank the arms yet: nothing has been retrained. ")
    assert "resnet18/plain" in second


def test_a_sweep_in_which_nothing_completed_says_so(tmp_path: Path) -> None:
    assert headline(find(read_run(tmp_path))) == [
        "No trial has completed: there is nothing to compare yet."
    ]


def test_where_predictions_are_gone_the_sentence_still_has_the_means(tmp_path: Path) -> None:
    said = headline(findings(tmp_path, predictions=False))
    assert "95% interval" in said[0]
    assert "points above the runner-up" in said[0]
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
        said == "The arms are not compared evenly, since they differ in trials: resnet18/plain 3, "
        "resnet18/tricks 4."
    )


def test_a_search_overstates_by_its_best_score_less_the_mean_of_the_same_recipe(
    found: Findings,
) -> None:
    group = found.best["resnet34/tricks"]
    score = found.run.trials.set_index("trial_id").loc[group.name, "score"]
    assert overstatement(found, group) == pytest.approx(
        score - sum(seed.score for seed in group.seeds) / 5
    )


def test_without_finalists_there_is_nothing_that_the_search_overstated(tmp_path: Path) -> None:
    assert mean_overstatement(findings(tmp_path, seeds=())) == ""


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (0.02, "the same recipes scored 2.0 points lower on average."),
        (0.0001, "scored the same on average: it did not overstate them."),
        (-0.013, "scored 1.3 points higher on average: it did not overstate them."),
    ],
)
def test_the_mean_of_what_the_search_overstated_is_a_sentence(
    found: Findings, by: float, said: str
) -> None:
    trials = found.run.trials.copy()
    for group in found.best.values():
        trials.loc[trials["trial_id"] == group.name, "score"] = group.score + by
    changed = replace(found, run=replace(found.run, trials=trials))
    assert mean_overstatement(changed).endswith(said)


def test_a_champion_that_others_beat_on_test_is_below_them_with_the_interval_turned(
    found: Findings,
) -> None:
    champion = found.champion
    assert champion is not None
    other = rival(found, champion)
    assert other is not None
    said = headline(replace(found, champion=other))[0]
    apart = gap(champion, other, "accuracy")
    value, between = percent(apart.value), span(apart.low, apart.high)
    if apart.low <= 0:
        between += ", so there may be no difference"
    assert said.endswith(f", {value} points ({between}) below the runner-up, {champion.arm}.")
