"""The table of arms says what was found in words and numbers, and whether arms had equal trials."""

import io

import pytest
from rich.console import Console

from cluster.resources import cpu_slots, gpu_slots
from search_spaces.depth_vs_tricks import SPACE
from search_spaces.space import Arm, Choice, Float
from sweeps.runner.results import Outcome, Results, trial_name
from sweeps.runner.table import arm_table, in_words, percent

ARMS = SPACE.matching("resnet18/*")
PLAIN, TRICKS = ARMS


def _shown(results: Results) -> list[str]:
    console = Console(file=io.StringIO(), width=200)
    console.print(arm_table(results, ARMS, gpu_slots(8, 1, 1)))
    return console.file.getvalue().splitlines()


def _cells(results: Results, arm: str) -> list[str]:
    """A row of the table, and the same arm's line of recipes below it."""
    row, recipe = [line for line in _shown(results) if arm in line]
    return [*(cell.strip() for cell in row.strip("│ ").split("│")), recipe.removeprefix(arm).strip()]


def _run(results: Results, arm: Arm, number: int, score: float | None, outcome: Outcome | None, **changes: object) -> None:
    recipe = arm.recipe({**arm.default_sample(), **changes})
    record = results.start(trial_name(arm.name, number), arm.name, number, recipe)
    record.outcome, record.score, record.epoch, record.device_seconds = outcome, score, 10, 360.0


def test_a_row_counts_outcomes_and_gives_best_default_gain_and_cost() -> None:
    results = Results({arm.name: 5 for arm in ARMS})
    outcomes = (Outcome.COMPLETED, Outcome.PRUNED, Outcome.DIVERGED, Outcome.FAILED)
    for number, outcome in enumerate(outcomes):
        _run(results, PLAIN, number, 0.8 + number / 20, outcome)
    _run(results, PLAIN, 4, 0.814, Outcome.COMPLETED, stage2_lr=3e-4, trainable_layers=1)
    cells = _cells(results, "resnet18/plain")
    assert cells == ["resnet18/plain", *"2111", "50", "81.4", "80.0", "+1.4", "0.500", "1 layer, lr 0.0003"]
    assert _cells(results, "resnet18/tricks") == ["resnet18/tricks", *"0000", "0", "-", "-", "-", "0.000", "-"]
    assert any("GPU-hours" in line for line in _shown(results))


def test_a_default_of_zero_percent_is_a_score() -> None:
    results = Results({arm.name: 2 for arm in ARMS})
    _run(results, PLAIN, 0, 0.0, Outcome.COMPLETED)
    _run(results, PLAIN, 1, 0.25, Outcome.COMPLETED)
    assert _cells(results, "resnet18/plain")[5:8] == ["25.0", "0.0", "+25.0"]


def test_where_nothing_beats_the_default_it_is_the_best_and_the_gain_is_zero() -> None:
    results = Results({arm.name: 1 for arm in ARMS})
    _run(results, PLAIN, 0, 0.5, Outcome.COMPLETED)
    assert _cells(results, "resnet18/plain")[5:] == ["50.0", "50.0", "+0.0", "0.100", "default: 3 layers, lr 0.001"]


@pytest.mark.parametrize("rare", [Outcome.FAILED, Outcome.INTERRUPTED])
def test_rare_outcomes_get_a_column_where_they_occur(rare: Outcome) -> None:
    results = Results({arm.name: 1 for arm in ARMS})
    assert not any(rare.value in line for line in _shown(results))
    _run(results, PLAIN, 0, None, rare)
    assert any(rare.value in line for line in _shown(results))
    assert _cells(results, "resnet18/plain")[1:5] == list("0001")


def test_without_a_completed_default_there_is_no_gain() -> None:
    results = Results({arm.name: 2 for arm in ARMS})
    _run(results, PLAIN, 0, 0.9, Outcome.FAILED)
    _run(results, PLAIN, 1, 0.25, Outcome.COMPLETED)
    assert _cells(results, "resnet18/plain")[6:9] == ["25.0", "-", "-"]


def test_the_caption_says_whether_trials_were_equal() -> None:
    results = Results({arm.name: 2 for arm in ARMS})
    for arm in ARMS:
        _run(results, arm, 0, 0.5, Outcome.COMPLETED)
    assert "Equal trials: 1 in each arm." in "\n".join(_shown(results))
    _run(results, PLAIN, 1, 0.5, None)
    assert "Equal trials: 1 in each arm." in "\n".join(_shown(results)), "a trial that still runs does not count"
    results[trial_name(PLAIN.name, 1)].outcome = Outcome.PRUNED
    assert "with 1 to 2 trials an arm: arms are not compared equally." in "\n".join(_shown(results))


def test_recipes_are_told_in_words() -> None:
    assert in_words(PLAIN.default_recipe(), PLAIN) == "3 layers, lr 0.001"
    expected = "3 layers, stage-1 lr 0.001, lr 0.0001, cosine, crop_flip, weight decay 0.0001, smoothing 0"
    assert in_words(TRICKS.default_recipe(), TRICKS) == expected
    assert "no augmentation" in in_words(TRICKS.recipe({**TRICKS.default_sample(), "augmentation": "none"}), TRICKS)
    assert in_words(PLAIN.default_recipe(), Arm(name="a", fixed={}, tuned={})) == "nothing tuned"


def test_a_dimension_that_did_not_apply_is_not_told() -> None:
    decay = Float(low=0.0, high=0.1, default=0.01, when={"optimizer": ("adamw",)})
    arm = Arm(name="a", fixed={}, tuned={"optimizer": Choice(options=("sgd", "adamw"), default="sgd"), "weight_decay": decay})
    assert in_words(arm.default_recipe(), arm) == "sgd"
    assert in_words(arm.recipe({"optimizer": "adamw", "weight_decay": 0.02}), arm) == "adamw, weight decay 0.02"


@pytest.mark.parametrize(("score", "text"), [(None, "-"), (0.0, "0.0"), (0.81449, "81.4"), (1.0, "100.0")])
def test_percent(score: float | None, text: str) -> None:
    assert percent(score) == text


def test_on_the_cpu_the_cost_is_in_core_hours() -> None:
    table = arm_table(Results({arm.name: 1 for arm in ARMS}), ARMS, cpu_slots(2)).renderables[0]
    assert table.columns[-1].header == "core-hours"
