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
from sweeps.records.results import Finalist, Outcome, Results, TrialRecord, trial_name
from sweeps.runner import finalists
from sweeps.runner.driver import Run
from sweeps.runner.finalists import ablations, champion, chosen
from sweeps.runner.plan import finalist_seeds
from sweeps.runner.trials import Batch, Place
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
    assert [candidate.finalist.group for candidate in found] == [
        "resnet18/plain/001",
        "resnet18/plain/000",
        "resnet18/tricks/000",
    ]
    assert [candidate.recipe.stage2_lr for candidate in found] == [2e-3, 1e-3, 1e-3]


def test_an_arm_whose_default_failed_sends_its_best_alone_and_one_without_a_score_nothing() -> None:
    found = chosen(ARMS, searched(plain=[None, 0.2], tricks=[None]))
    assert [candidate.finalist.group for candidate in found] == ["resnet18/plain/001"]


def test_an_arm_with_nothing_to_tune_goes_straight_to_the_finalists() -> None:
    arms = SearchSpace(arms={"stage2_lr": (0.1, 0.2)}, fixed={"weights": "none"}).grid()
    found = chosen(arms, Results({arm.name: 0 for arm in arms}))
    assert [(candidate.finalist.group, candidate.recipe.stage2_lr) for candidate in found] == [
        ("0.1/000", 0.1),
        ("0.2/000", 0.2),
    ]


def test_each_trick_is_taken_away_in_turn_and_nothing_else_changes() -> None:
    recipe = replace(TRICKS.default_recipe(), label_smoothing=0.1)
    group = trial_name(TRICKS.name, 4)
    found = ablations(TrialRecord(f"{group}/s0", TRICKS.name, 4, recipe, Finalist(group)))
    assert [candidate.finalist.without for candidate in found] == [
        "stage1_epochs", "scheduler", "augmentation", "label_smoothing", "weight_decay",
    ]  # fmt: skip
    for candidate in found:
        changed = {
            name: value
            for name, value in candidate.recipe.as_dict().items()
            if value != recipe.as_dict()[name]
        }
        without = candidate.finalist.without
        assert changed == {without: NEUTRAL[without]}
        assert candidate.finalist.group == f"{group}/without-{without}"


def test_a_recipe_without_tricks_has_nothing_to_take_away() -> None:
    assert ablations(TrialRecord("a/000/s0", "a", 0, Recipe(**NEUTRAL), Finalist("a/000"))) == ()


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_neutral_value_is_one_that_a_recipe_may_have(name: str) -> None:
    assert Recipe.from_sample({name: NEUTRAL[name]}).as_dict()[name] == NEUTRAL[name]


def finals(*candidates: tuple[Finalist, list[float | None]]) -> Results:
    """Return seeds with these scores; one without failed."""
    results = Results({"a": 9})
    for finalist, scores in candidates:
        for index, score in enumerate(scores):
            record = results.start(f"{finalist.group}/s{index}", "a", 0, Recipe(), finalist)
            record.outcome = Outcome.FAILED if score is None else Outcome.COMPLETED
            record.score = score
    return results


ONE = Finalist("one")
TWO = Finalist("two")


def test_the_champion_has_the_best_mean_and_its_best_seed_comes_first() -> None:
    ablated = (Finalist("two/without-scheduler", "scheduler"), [1.0, 1.0, 1.0])
    found = champion(finals((ONE, [0.9, 0.1, 0.2]), (TWO, [0.5, 0.6, 0.4]), ablated))
    assert found
    assert [record.trial_id for record in found.seeds] == ["two/s1", "two/s0", "two/s2"]
    assert found.scores == (0.6, 0.5, 0.4)


def test_a_recipe_that_lost_a_seed_does_not_win_by_its_luck() -> None:
    found = champion(finals((ONE, [0.9, None]), (TWO, [0.5, 0.6])))
    assert found
    assert found.seeds[0].finalist == TWO
    assert champion(finals((ONE, [None, None]))) is None


def test_finalists_have_seeds_of_their_own() -> None:
    seeds = finalist_seeds(3, 10)
    assert len({3, *seeds}) == 11
    assert finalist_seeds(3, 5) == seeds[:5]
    assert not set(seeds) & set(finalist_seeds(4, 10))
    assert replace(Recipe(), seed=seeds[0]).seed == seeds[0], "a recipe may have it"


def test_activations_of_a_seed_are_kept_for_all_groups_of_that_seed_and_for_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sent: dict[str, Any] = {}

    def run_trials(run: Run, batch: Batch, progress: Any) -> Outcome:
        while isinstance(config := batch.searcher.suggest(""), dict):
            sent[config["trial_id"]] = config
        return Outcome.COMPLETED

    def trial_config(run: Run, past: Any, place: Place, recipe: Recipe) -> dict[str, Any]:
        shared = {"folder": "prefix", "sweep": "night", "views": True}
        return {"trial_id": place.trial_id, "shared": shared}

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
