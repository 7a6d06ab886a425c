"""Which recipes are trained again, what is ablated, and which recipe is the champion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from search_spaces.depth_vs_tricks import SPACE
from search_spaces.space import SearchSpace
from sweeps.records.results import Outcome, Results, TrialRecord, trial_name
from sweeps.runner import finalists
from sweeps.runner.finalists import Group, ablations, champion, chosen
from sweeps.runner.plan import finalist_seeds
from trainables.recipe import NEUTRAL, Recipe

ARMS = SPACE.with_fixed(weights="none", seed=3).matching("resnet18/*")
PLAIN, TRICKS = ARMS


def searched(**scores: list[float | None]) -> Results:
    """Trials of each arm with these scores; one without failed."""
    results = Results({arm.name: len(scores[arm.name.partition("/")[2]]) for arm in ARMS})
    for arm in ARMS:
        for number, score in enumerate(scores[arm.name.partition("/")[2]]):
            recipe = replace(arm.default_recipe(), stage2_lr=1e-3 * (number + 1))
            record = results.start(trial_name(arm.name, number), arm.name, number, recipe)
            record.outcome, record.score = (
                (Outcome.FAILED if score is None else Outcome.COMPLETED),
                score,
            )
    return results


def test_best_and_default_of_each_arm_are_trained_again_and_once_where_they_are_the_same() -> None:
    found = chosen(ARMS, searched(plain=[0.5, 0.7, 0.6], tricks=[0.9, 0.7, 0.6]))
    assert [group.name for group in found] == [
        "resnet18/plain/001",
        "resnet18/plain/000",
        "resnet18/tricks/000",
    ]
    assert [group.recipe.stage2_lr for group in found] == [2e-3, 1e-3, 1e-3]


def test_an_arm_whose_default_failed_sends_its_best_alone_and_one_without_a_score_nothing() -> None:
    assert [group.name for group in chosen(ARMS, searched(plain=[None, 0.2], tricks=[None]))] == [
        "resnet18/plain/001"
    ]


def test_an_arm_with_nothing_to_tune_goes_straight_to_the_finalists() -> None:
    arms = SearchSpace(arms={"stage2_lr": (0.1, 0.2)}, fixed={"weights": "none"}).grid()
    found = chosen(arms, Results({arm.name: 0 for arm in arms}))
    assert [(group.name, group.recipe.stage2_lr) for group in found] == [
        ("0.1/000", 0.1),
        ("0.2/000", 0.2),
    ]


def test_each_trick_is_taken_away_in_turn_and_nothing_else_changes() -> None:
    recipe = replace(TRICKS.default_recipe(), label_smoothing=0.1)
    top = TrialRecord("g/s0", TRICKS.name, 4, recipe, group="g")
    found = ablations(top)
    assert [group.without for group in found] == [
        "stage1_epochs", "scheduler", "augmentation", "label_smoothing", "weight_decay",
    ]  # fmt: skip
    for group in found:
        changed = {
            name: value
            for name, value in group.recipe.as_dict().items()
            if value != recipe.as_dict()[name]
        }
        assert changed == {group.without: NEUTRAL[group.without]}
        assert group.name == f"g/without-{group.without}"


def test_a_recipe_without_tricks_has_nothing_to_take_away() -> None:
    assert ablations(TrialRecord("g/s0", "a", 0, Recipe(**NEUTRAL), group="g")) == ()


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_neutral_value_is_one_that_a_recipe_may_have(name: str) -> None:
    assert Recipe.from_sample({name: NEUTRAL[name]}).as_dict()[name] == NEUTRAL[name]


def finals(**groups: list[float | None]) -> Results:
    results = Results({"a": 9})
    for name, scores in groups.items():
        for index, score in enumerate(scores):
            without = "scheduler" if name == "ablated" else ""
            record = results.start(f"{name}/s{index}", "a", 0, Recipe(), name, without)
            record.outcome, record.score = (
                (Outcome.FAILED if score is None else Outcome.COMPLETED),
                score,
            )
    return results


def test_the_champion_has_the_best_mean_and_its_best_seed_comes_first() -> None:
    found = champion(finals(one=[0.9, 0.1, 0.2], two=[0.5, 0.6, 0.4], ablated=[1.0, 1.0, 1.0]))
    assert [record.trial_id for record in found] == ["two/s1", "two/s0", "two/s2"]


def test_where_means_are_equal_the_arm_and_the_trial_that_come_first_win() -> None:
    results = Results({"b": 4, "a": 4})
    for index, (arm, number, score) in enumerate(
        [("a", 0, 0.8), ("a", 0, 0.9), ("b", 3, 0.9), ("b", 3, 0.8), ("b", 1, 0.8), ("b", 1, 0.9)]
    ):
        made = results.start(f"{arm}/{number}/s{index}", arm, number, Recipe(), f"{arm}/{number}")
        made.outcome, made.score = Outcome.COMPLETED, score
    assert champion(results)[0].group == "b/1"


def test_a_recipe_that_lost_a_seed_does_not_win_by_its_luck() -> None:
    assert champion(finals(one=[0.9, None], two=[0.5, 0.6]))[0].group == "two"
    assert champion(finals(one=[None, None])) == []


def test_finalists_have_seeds_of_their_own() -> None:
    seeds = finalist_seeds(3, 10)
    assert len({3, *seeds}) == 11
    assert finalist_seeds(3, 5) == seeds[:5]
    assert not set(seeds) & set(finalist_seeds(4, 10))
    Group(name="g", arm="a", number=0, recipe=replace(Recipe(), seed=seeds[0]))


def test_activations_of_a_seed_are_kept_for_all_groups_of_that_seed_and_for_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sent: dict[str, Any] = {}

    def run_trials(
        run: Any, finals: Results, progress: Any, queue: Any, *rest: Any, **more: Any
    ) -> Outcome:
        while isinstance(config := queue.suggest(""), dict):
            sent[config["trial_id"]] = config
        return Outcome.COMPLETED

    def trial_config(run: Any, past: Any, name: str, *rest: Any) -> dict[str, Any]:
        return {"trial_id": name, "shared": {"folder": "prefix", "sweep": "night", "views": True}}

    monkeypatch.setattr(finalists, "run_trials", run_trials)
    monkeypatch.setattr(finalists, "trial_config", trial_config)
    monkeypatch.setattr(finalists, "Progress", MagicMock())
    study, options = SimpleNamespace(log_epochs=False), SimpleNamespace(ablate=False)
    plan = SimpleNamespace(
        arms=ARMS,
        finalist_seeds=(7, 8),
        name="night",
        folder=tmp_path,
        study=study,
        options=options,
    )
    run: Any = MagicMock(plan=plan, earlier=lambda role: (), over=lambda: False)
    finalists.finalists(run, searched(plain=[0.5, 0.7], tricks=[0.9]))
    assert [
        (name, config["shared"]["sweep"], config["shared"]["views"])
        for name, config in sent.items()
    ] == [
        ("resnet18/plain/001/s0", "night@s0", True),
        ("resnet18/plain/000/s0", "night@s0", True),
        ("resnet18/tricks/000/s0", "night@s0", False),
        ("resnet18/plain/001/s1", "night@s1", True),
        ("resnet18/plain/000/s1", "night@s1", True),
        ("resnet18/tricks/000/s1", "night@s1", False),
    ]
