"""Every arm gets the same trials in turn; Optuna hears of each what it can learn from."""

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import optuna
import pytest
from ray.tune.search import Searcher

from search_spaces.space import Arm, Choice, Float, Int, SearchSpace
from sweeps.records.events import TrialEnded
from sweeps.records.history import Trial
from sweeps.records.results import Outcome
from sweeps.runner.searcher import STARTUP_TRIALS, WORST_SCORE, ArmSearcher
from trainables.metrics import EPOCH, SCORE
from trainables.recipe import Recipe

EPOCHS = 6
SPACE = SearchSpace(
    arms={"backbone": ("resnet18", "resnet34")},
    tuned={
        "trainable_layers": Int(low=1, high=4, default=3),
        "stage2_lr": Float(low=1e-5, high=1e-1, log=True, default=1e-3),
        "optimizer": Choice(options=("adamw", "sgd"), default="adamw"),
        "nesterov": Choice(options=(False, True), default=False, when={"optimizer": ("sgd",)}),
    },
    fixed={"epochs": EPOCHS},
)
ARMS = SPACE.grid()
FIRST, SECOND = (arm.name for arm in ARMS)
State = optuna.trial.TrialState


@pytest.fixture(autouse=True)
def _no_noise(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert capfd.readouterr() == ("", "")


def _config(trial_id: str, arm: Arm, number: int, recipe: Recipe) -> dict[str, Any]:
    return {"trial_id": trial_id, "arm": arm.name, "number": number, "recipe": recipe}


def _searcher(
    trials: int = 4, seed: int = 1, arms: tuple[Arm, ...] = ARMS, **stop: Any
) -> ArmSearcher:
    return ArmSearcher(arms, trials, seed, _config, **stop)


def _result(epoch: int, score: float, **more: Any) -> dict[str, Any]:
    return {EPOCH: epoch, SCORE: score, "training_iteration": 99, **more}


def _run(searcher: ArmSearcher, ray_id: str, scores: list[float], **last: Any) -> None:
    """Tell of a trial as Tune does: its last report comes only with its end."""
    for epoch, score in enumerate(scores[:-1], 1):
        searcher.on_trial_result(ray_id, _result(epoch, score))
    searcher.on_trial_complete(ray_id, _result(len(scores), scores[-1], **last))


def _told(searcher: ArmSearcher, arm: str = FIRST) -> list[optuna.trial.FrozenTrial]:
    return searcher.studies[arm].get_trials()


def _score(recipe: Recipe) -> float:
    return 0.9 - abs(recipe.stage2_lr - 1e-2) - 0.05 * recipe.trainable_layers


def test_arms_take_turns_and_get_equal_numbers() -> None:
    searcher = _searcher(3)
    configs = [searcher.suggest(str(n)) for n in range(6)]
    assert [config["trial_id"] for config in configs] == [
        f"{arm}/{n:03d}" for n in range(3) for arm in (FIRST, SECOND)
    ]
    assert [config["number"] for config in configs] == [0, 0, 1, 1, 2, 2]
    assert all(config["recipe"].backbone == config["arm"] for config in configs)
    assert searcher.suggest("6") == searcher.suggest("7") == Searcher.FINISHED


def test_trial_0_is_the_default_recipe_and_no_other_is() -> None:
    searcher = _searcher()
    configs = [searcher.suggest(str(n)) for n in range(8)]
    for config, arm in zip(configs, ARMS, strict=False):
        assert config["recipe"] == arm.default_recipe()
    assert all(config["recipe"] != arm.default_recipe() for config in configs[2:] for arm in ARMS)


def test_an_arm_with_nothing_to_tune_gives_its_one_recipe() -> None:
    arms = SearchSpace(arms={"backbone": ("resnet18",)}).grid()
    searcher = _searcher(2, arms=arms)
    assert [searcher.suggest(str(n))["recipe"] for n in range(2)] == [Recipe()] * 2


def _history(arms: tuple[Arm, ...], seed: int) -> dict[str, list[Recipe]]:
    """Recipes by arm where each trial ends before the next one begins."""
    searcher, made = _searcher(9, seed, arms), {arm.name: [] for arm in arms}
    while isinstance(config := searcher.suggest("x"), dict):
        made[config["arm"]].append(config["recipe"])
        _run(searcher, "x", [_score(config["recipe"])] * EPOCHS)
    return made


def test_suggestions_depend_on_seed_arm_number_and_the_arms_own_history_only() -> None:
    both, alone, turned = _history(ARMS, 1), _history(ARMS[:1], 1), _history(ARMS[::-1], 1)
    assert both[FIRST] == alone[FIRST] == turned[FIRST]
    assert both[SECOND] == turned[SECOND]
    assert [r.stage2_lr for r in both[FIRST][1:]] != [r.stage2_lr for r in both[SECOND][1:]]
    assert both[FIRST][1:] != _history(ARMS, 2)[FIRST][1:]
    assert all(len(recipes) == 9 for recipes in both.values())


def test_startup_trials_are_random_and_then_the_history_guides() -> None:
    assert STARTUP_TRIALS == 5
    made = []
    for sign in (1, -1):
        searcher = _searcher(9, arms=ARMS[:1])
        made.append([])
        while isinstance(config := searcher.suggest("x"), dict):
            made[-1].append(config["recipe"])
            _run(searcher, "x", [0.5 + sign * (_score(config["recipe"]) - 0.5)] * EPOCHS)
    assert made[0][:STARTUP_TRIALS] == made[1][:STARTUP_TRIALS]
    assert made[0][STARTUP_TRIALS + 1 :] != made[1][STARTUP_TRIALS + 1 :]


def test_a_completed_trial_is_complete_with_its_score_and_its_steps_are_epochs() -> None:
    searcher = _searcher()
    searcher.suggest("a")
    _run(searcher, "a", [0.1, 0.2, 0.3, 0.3, 0.4, 0.5])
    (trial,) = _told(searcher)
    assert (trial.state, trial.value) == (State.COMPLETE, 0.5)
    assert trial.intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.3, 5: 0.4}
    assert _told(searcher, SECOND)[0].state is State.WAITING


def test_a_stopped_trial_is_pruned_with_its_last_value_at_its_epoch() -> None:
    searcher = _searcher()
    searcher.suggest("a")
    _run(searcher, "a", [0.1, 0.2, 0.3])
    (trial,) = _told(searcher)
    assert (trial.state, trial.value, trial.last_step) == (State.PRUNED, 0.3, 3)


def test_a_diverged_trial_is_pruned_at_the_worst_value_and_is_never_best() -> None:
    searcher = _searcher(arms=ARMS[:1])
    for ray_id in "ab":
        searcher.suggest(ray_id)
    searcher.on_trial_result("a", _result(1, 0.9))
    searcher.on_trial_result("a", _result(2, 0.0, outcome="diverged"))
    searcher.on_trial_complete("a", _result(2, 0.0, outcome="diverged"))
    _run(searcher, "b", [0.1] * EPOCHS)
    diverged, completed = _told(searcher)
    assert (diverged.state, diverged.value, diverged.last_step) == (State.PRUNED, WORST_SCORE, 2)
    assert searcher.studies[FIRST].best_trial == completed


def test_a_diverged_trial_guides_and_one_that_failed_does_not() -> None:
    """Fewer late suggestions diverge than where divergence is told as a failure.

    This holds over several sweeps.
    """
    late = {"diverged": 0, "failed": 0}
    for told, seed in itertools.product(late, range(6)):
        searcher = _searcher(16, seed, ARMS[:1])
        for number in range(16):
            rate = searcher.suggest("a")["recipe"].stage2_lr
            late[told] += number > 8 and rate > 2e-3
            if rate <= 2e-3:
                _run(searcher, "a", [0.5 + rate * 100] * EPOCHS)
            elif told == "diverged":
                searcher.on_trial_complete("a", _result(2, 0.0, outcome="diverged"))
            else:
                searcher.on_trial_complete("a", error=True)
    assert late["diverged"] < late["failed"]


def test_infrastructure_failures_are_told_as_such() -> None:
    searcher = _searcher()
    for ray_id in "abcd":
        searcher.suggest(ray_id)
    searcher.on_trial_result("a", _result(1, 0.5))
    searcher.on_trial_complete("a", error=True)
    searcher.on_trial_complete("b", result=None)
    searcher.on_trial_complete("c", {"done": True})
    searcher.on_trial_complete("d", _result(3, 0.5), error=True)
    assert {trial.state for arm in (FIRST, SECOND) for trial in _told(searcher, arm)} == {
        State.FAIL
    }


def test_a_retried_trial_that_reports_epochs_again_makes_no_noise() -> None:
    searcher = _searcher()
    searcher.suggest("a")
    for epoch in (1, 2, 3, 2, 3, 4):
        searcher.on_trial_result("a", _result(epoch, epoch / 10))
    searcher.on_trial_complete("a", _result(4, 0.4))
    (trial,) = _told(searcher)
    assert trial.intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4}
    assert (trial.state, trial.value) == (State.PRUNED, 0.4)


def test_a_retried_trial_that_diverges_where_it_had_reported_still_has_the_worst_value() -> None:
    searcher = _searcher()
    searcher.suggest("a")
    for epoch in (1, 2, 3):
        searcher.on_trial_result("a", _result(epoch, 0.9))
    searcher.on_trial_complete("a", _result(2, 0.0, outcome="diverged"))
    assert (_told(searcher)[0].state, _told(searcher)[0].value) == (State.PRUNED, WORST_SCORE)


def test_stop_ends_the_handing_out_and_running_trials_are_still_told() -> None:
    late = False
    searcher = _searcher(stop=lambda: late)
    assert isinstance(searcher.suggest("a"), dict)
    late = True
    assert searcher.suggest("b") == Searcher.FINISHED
    _run(searcher, "a", [0.5] * EPOCHS)
    assert _told(searcher)[0].state is State.COMPLETE


def test_a_report_of_several_epochs_tells_each_of_them() -> None:
    searcher = _searcher()
    for ray_id in "ab":
        searcher.suggest(ray_id)
    history = [_result(epoch, epoch / 10) for epoch in (1, 2, 3)]
    searcher.on_trial_result("a", {**history[-1], "history": history})
    searcher.on_trial_complete(
        "a", {**_result(5, 0.5), "history": [_result(4, 0.4), _result(5, 0.5)]}
    )
    (trial,) = _told(searcher)
    assert trial.intermediate_values == {epoch: epoch / 10 for epoch in range(1, 6)}
    assert trial.state is State.PRUNED


def test_what_was_not_tuned_yet_is_replayed_as_the_recipe_had_it() -> None:
    """A study has a new choice: old trials had its neutral value, and Optuna must know that."""
    space = SearchSpace(
        arms={"backbone": ("resnet18",)},
        tuned={
            "stage2_lr": Float(low=1e-5, high=1e-1, log=True, default=1e-3),
            "class_weights": Choice(options=("balanced", "none"), default="none"),
        },
        fixed={"epochs": EPOCHS},
    )
    (arm,) = space.grid()
    past = []
    # By the fixed part of the study.
    had = [
        "none",
        "none",
        "balanced",
        "none",
        "balanced",
        "balanced",
    ]
    for number, value in enumerate(had):
        sample = {"stage2_lr": 1e-3 * (1 + number)}
        recipe = arm.recipe({**sample, "class_weights": value}).as_dict()
        epochs = [{EPOCH: EPOCHS, SCORE: 0.5 + number / 100}]
        name = f"{arm.name}/{number:03}"
        end = TrialEnded(trial_id=name, outcome=Outcome.COMPLETED)
        past.append(
            Trial(
                trial_id=name,
                arm=arm.name,
                number=number,
                sample=sample,
                recipe=recipe,
                epochs=epochs,
                end=end,
            )
        )
    searcher = ArmSearcher((arm,), 12, 0, _config, past=past)
    assert [trial.params["class_weights"] for trial in _told(searcher, arm.name)] == had
