"""The headline in sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.findings import Findings, find
from sweeps.report.headline import (
    champion_recipe,
    equal_trials,
    headline,
    mean_overstatement,
    overstatement,
    recipe_line,
)
from sweeps.report.runs import read_run
from sweeps.report.shipping import shipped, unshipped
from sweeps.report.ways import absent, ways

TWO = ("resnet18/plain", "resnet18/tricks")


def findings(storage: Path, **asked: Any) -> Findings:
    return find(read_run(make(storage, **{"trials": 5, "images": 80, **asked})))


def test_first_comes_the_model_to_ship_and_then_what_is_known_of_each_comparison(
    found: Findings,
) -> None:
    champion = found.champion
    assert champion is not None
    first, certainty, *others = headline(found)
    assert [first, certainty] == shipped(found, champion)
    assert others == ways(found)
    assert f" classifies {100 * sum(s.right.mean() for s in champion.seeds) / 5:.1f}% " in first
    assert certainty.startswith("95% interval ")
    assert ", 5 seeds" in certainty
    assert others[0].startswith("Tricks: ")
    assert others[1].startswith("Depth, linear trend: ")


def test_the_planted_tricks_are_better_and_the_depth_that_buys_nothing_is_not(
    found_in_turn: Findings,
) -> None:
    _, _, tricks, depth, *_ = headline(found_in_turn)
    assert tricks.startswith("Tricks: better, by ")
    assert tricks.endswith("; decided after 3 seeds.")
    assert depth.startswith("Depth, linear trend: cannot tell, ")


def test_under_three_seeds_there_are_values_without_intervals_and_no_test(tmp_path: Path) -> None:
    first, *others = headline(findings(tmp_path, seeds=(0, 1)))
    assert others[0].startswith("Mean of 2 seeds. ")
    assert not [line for line in (first, *others) if "interval " in line]
    assert others[-1] == (
        "Two seeds are too few for confidence intervals and tests; use at least 3."
    )


def test_one_seed_is_no_mean_of_seeds(tmp_path: Path) -> None:
    assert headline(findings(tmp_path, seeds=(0,), arms=TWO))[1].startswith("Mean of 1 seed. ")


def test_one_arm_is_compared_with_its_own_other_recipe(tmp_path: Path) -> None:
    only = findings(tmp_path, arms=TWO[:1], trials=6)
    line = " ".join(headline(only)[:2])
    names = {group.name for group in only.groups if not group.without}
    assert len(names) == 2
    assert all(name in line for name in names)


def test_where_the_bounds_leave_no_champion_the_comparisons_are_told_all_the_same(
    tmp_path: Path,
) -> None:
    bounded = {"options": {"score": "accuracy", "max_mb": 1}}
    asked = findings(tmp_path, arms=TWO, described=bounded)
    assert asked.champion is None
    assert headline(asked) == [unshipped(asked), *ways(asked)]
    assert recipe_line(asked) == champion_recipe(asked) == ""


def test_a_sweep_without_finalists_says_the_best_so_far_and_warns(tmp_path: Path) -> None:
    first, second, third = headline(findings(tmp_path, seeds=(), finish=None, arms=TWO))
    assert first.startswith("No verdict yet: the best of 4 completed trials is resnet18/tricks/")
    assert first.endswith("% on val.")
    assert third.startswith("Its settings: top ")
    assert second.startswith("Do not rank the arms yet: nothing has been retrained. ")
    assert "resnet18/plain" in second


def test_a_sweep_in_which_nothing_completed_says_so(tmp_path: Path) -> None:
    assert headline(find(read_run(tmp_path))) == [
        "No trial has completed: there is nothing to compare yet."
    ]


def test_where_predictions_are_gone_the_sentence_still_has_the_means(tmp_path: Path) -> None:
    _, first, second = headline(findings(tmp_path, predictions=False))
    assert second == "Nothing is tested: fewer than 3 seeds have predictions in all arms."
    assert "95% interval" in first
    assert "on the test images they are " in first
    assert " points apart" in first


def test_of_the_embedded_digits_the_last_line_says_that_they_are_a_toy(tmp_path: Path) -> None:
    toy = findings(tmp_path, arms=TWO, described={"data": {"name": "digits"}})
    assert headline(toy)[-1] == (
        "This is a toy data set: it shows how the product works, not which network to choose."
    )


def test_comparisons_whose_arms_were_not_run_are_named_with_those_arms(tmp_path: Path) -> None:
    two = findings(tmp_path, arms=TWO)
    assert headline(two)[-1] == (
        "Not compared here: depth, linear trend, since resnet50 was not run."
    )


def test_where_all_arms_were_run_none_is_said_to_be_absent(found: Findings) -> None:
    assert found.absent == {}
    assert not [line for line in headline(found) if line.startswith("Not compared")]


def test_comparisons_that_lack_the_same_arms_share_a_reason(tmp_path: Path) -> None:
    contrasts = [
        {"name": "tricks", "weights": {"*/tricks": 1, "*/plain": -1}},
        {"name": "depth", "weights": {"resnet50/*": 1, "resnet18/*": -1}},
        {"name": "both", "weights": {"resnet50/tricks": 1, "resnet18/plain": -1}},
        {"name": "mixup", "weights": {"resnet18/mixup": 1, "resnet34/*": -1}},
    ]
    two = findings(tmp_path, arms=TWO, described={"contrasts": contrasts})
    assert absent(two) == [
        "Not compared here: depth and both, since resnet50 was not run; mixup, since "
        "resnet18/mixup and resnet34 were not run."
    ]


def test_the_recipe_is_named_with_what_was_tuned_and_a_default_as_one(found: Findings) -> None:
    champion = found.champion
    assert champion is not None
    assert found.choice
    assert recipe_line(found) == f"Recipe: {champion_recipe(found)}."
    assert champion_recipe(found).startswith(f"{champion.name} (top ")
    default = found.default["resnet34/plain"]
    other = replace(found, choice=replace(found.choice, champion=default))
    assert champion_recipe(other).startswith(
        "resnet34/plain/000, the default settings of its arm (top "
    )


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


def test_a_search_overstates_by_its_score_less_that_of_each_run_of_the_same_recipe(
    found: Findings,
) -> None:
    group = found.arms["resnet34/tricks"]
    name = group.seeds[0].group
    score = found.run.trials.set_index("trial_id").loc[name, "score"]
    mean = sum(seed.score for seed in group.seeds) / 5
    assert overstatement(found, group) == pytest.approx(score - mean)


def test_of_recipes_in_turn_each_run_is_held_against_its_own(tmp_path: Path) -> None:
    asked = findings(tmp_path, arms=TWO, seeds=range(6), recipes=3, trials=6, outcomes=())
    scores = asked.run.trials.set_index("trial_id")["score"]
    for arm, group in asked.arms.items():
        names = [seed.trial_id.rpartition("/")[0] for seed in group.seeds]
        assert len(set(names)) == 3, arm
        lost = [scores[name] - seed.score for name, seed in zip(names, group.seeds, strict=True)]
        assert overstatement(asked, group) == pytest.approx(sum(lost) / 6)


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
    for group in found.arms.values():
        trials.loc[trials["trial_id"] == group.seeds[0].group, "score"] = group.score + by
    changed = replace(found, run=replace(found.run, trials=trials))
    assert mean_overstatement(changed).endswith(said)
