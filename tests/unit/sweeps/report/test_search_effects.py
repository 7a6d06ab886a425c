"""What more trials bring, which parameters matter, and which ranges were too narrow."""

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.depth_vs_tricks import SPACE
from search_spaces.space import Arm, Choice, Float, Int
from sweeps.records.manifest import definition
from sweeps.report.search_effects import edges, expected_best, importance
from trainables.recipe import Recipe

ARM = "resnet18/tricks"
RATE = Float(low=1e-5, high=1e-2, log=True, default=1e-3)
LAYERS = Int(low=1, high=4, default=3)
SMOOTHING = Float(low=0.0, high=0.2, default=0.1)


def _tuned(**dims: Float | Int | Choice) -> Mapping[str, Any]:
    """As sweep.json has it."""
    return definition([Arm(name="a", fixed={}, tuned=dims)])["a"]["tuned"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_the_expected_best_is_the_mean_of_the_best_over_all_subsets(scores: list[float]) -> None:
    found = expected_best(scores)
    for k in range(1, len(scores) + 1):
        assert found[k - 1] == pytest.approx(
            np.mean([max(subset) for subset in itertools.combinations(scores, k)])
        )


def test_one_trial_expects_the_mean_all_trials_the_best_and_more_never_less() -> None:
    scores = np.random.default_rng(0).random(300).tolist()
    found = expected_best(scores)
    assert (found[0], found[-1]) == pytest.approx((np.mean(scores), max(scores)))
    assert found == sorted(found)
    assert expected_best([]) == []


def test_the_expected_best_is_unbiased() -> None:
    """Of 4 of 12 uniform numbers it is 4/5.

    Drawing with replacement from the 12, as Dodge et al. do, gives less.
    """
    rng = np.random.default_rng(0)
    assert np.mean(
        [expected_best(rng.random(12).tolist())[3] for _ in range(4000)]
    ) == pytest.approx(0.8, abs=0.005)


def _random_trials(
    number: int, tuned: Mapping[str, Any], seed: int = 0
) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    for _ in range(number):
        row = Recipe().as_dict()
        for name, dim in tuned.items():
            if "options" in dim:
                row[name] = dim["options"][rng.integers(len(dim["options"]))]
            elif isinstance(dim["low"], int):
                row[name] = int(rng.integers(dim["low"], dim["high"] + 1))
            else:
                row[name] = (
                    float(np.exp(rng.uniform(np.log(dim["low"]), np.log(dim["high"]))))
                    if dim["log"]
                    else rng.uniform(0, 0.2)
                )
        yield row


def _table(rows: list[dict[str, Any]], score: Any) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    return table.assign(outcome="completed", score=[score(row) for row in rows])


def test_the_parameter_that_decides_is_the_important_one() -> None:
    tuned = definition(SPACE.grid())[ARM]["tuned"]
    rows = list(_random_trials(200, tuned))
    found = importance(_table(rows, lambda row: -abs(np.log10(row["stage2_lr"]) + 3)), tuned)
    assert found is not None
    assert found.keys() == tuned.keys()
    assert next(iter(found)) == "stage2_lr"
    assert found["stage2_lr"] > 0.5
    assert sum(found.values()) == pytest.approx(1)


def test_whole_numbers_options_and_truth_values_as_a_csv_holds_them_are_read(tmp_path: Any) -> None:
    tuned = _tuned(
        trainable_layers=LAYERS,
        nesterov=Choice(options=(False, True), default=False),
        mixup=SMOOTHING,
    )
    rows = [row | {"optimizer": "sgd"} for row in _random_trials(120, tuned)]
    _table(rows, lambda row: row["trainable_layers"]).to_csv(tmp_path / "results.csv")
    found = importance(pd.read_csv(tmp_path / "results.csv"), json.loads(json.dumps(tuned)))
    assert found is not None
    assert max(found, key=lambda name: found[name]) == "trainable_layers"
    assert found["nesterov"] + found["mixup"] < 0.2


def test_a_trial_with_half_a_layer_is_left_out() -> None:
    tuned = _tuned(trainable_layers=LAYERS)
    rows = list(_random_trials(60, tuned))
    known = _table(rows, lambda row: row["trainable_layers"])
    odd = known[:1].assign(trainable_layers=2.5, score=99.0)
    assert importance(pd.concat([known, odd]), tuned) == importance(known, tuned)


def test_under_fifty_completed_trials_there_is_no_importance() -> None:
    tuned = _tuned(stage2_lr=RATE)
    table = _table(list(_random_trials(60, tuned)), lambda row: row["stage2_lr"])
    assert importance(table, tuned) is not None
    assert importance(table[:49], tuned) is None
    assert importance(table.assign(outcome=["pruned"] * 11 + ["completed"] * 49), tuned) is None
    assert importance(table[:50], tuned) is not None


def test_trials_with_values_outside_the_range_do_not_count() -> None:
    tuned = _tuned(stage2_lr=RATE)
    table = _table(list(_random_trials(60, tuned)), lambda row: row["stage2_lr"])
    assert (
        importance(table.assign(stage2_lr=[1.0] * 11 + table["stage2_lr"].tolist()[11:]), tuned)
        is None
    )


def test_a_parameter_counts_only_in_trials_in_which_its_condition_holds() -> None:
    tuned = _tuned(
        optimizer=Choice(options=("sgd", "adamw"), default="adamw"),
        nesterov=Choice(options=(False, True), default=False, when={"optimizer": ("sgd",)}),
        stage2_lr=RATE,
    )
    rows = [
        row | {"nesterov": row["nesterov"] and row["optimizer"] == "sgd"}
        for row in _random_trials(300, tuned)
    ]
    found = importance(
        _table(rows, lambda row: (row["optimizer"] == "sgd") + row["nesterov"]), tuned
    )
    assert found is not None
    assert found["nesterov"] > found["stage2_lr"]
    assert found["optimizer"] > found["stage2_lr"]


@pytest.mark.filterwarnings("error")
def test_a_condition_that_held_once_warns_of_nothing() -> None:
    tuned = _tuned(
        stage1_epochs=Choice(options=(0, 5), default=0), stage1_lr=Float(**_RATE_IN_STAGE_1)
    )
    rows = [
        row | {"stage1_epochs": 5 if i == 0 else 0}
        for i, row in enumerate(_random_trials(60, tuned))
    ]
    found = importance(_table(rows, lambda row: row["stage2_lr"]), tuned)
    assert found is not None
    assert found["stage1_lr"] == 0


_RATE_IN_STAGE_1: dict[str, Any] = {
    "low": 1e-4,
    "high": 1e-2,
    "log": True,
    "default": 1e-3,
    "when": {"stage1_epochs": (5,)},
}


def test_where_all_scores_are_equal_nothing_is_important() -> None:
    tuned = _tuned(stage2_lr=RATE, trainable_layers=LAYERS)
    assert importance(_table(list(_random_trials(60, tuned)), lambda row: 0.5), tuned) == {
        "stage2_lr": 0,
        "trainable_layers": 0,
    }


@pytest.mark.parametrize(
    ("value", "way"), [(9e-3, "upwards"), (1.2e-5, "downwards"), (5e-3, None), (2e-5, None)]
)
def test_a_rate_within_5_percent_of_its_decades_is_at_the_edge(
    value: float, way: str | None
) -> None:
    lines = edges(Recipe(stage2_lr=value).as_dict(), _tuned(stage2_lr=RATE))
    assert len(lines) == (way is not None)
    if way:
        assert (
            f"stage2_lr = {value:.3g} is at the {'high' if way == 'upwards' else 'low'} end of "
            "1e-05 to 0.01" in lines[0]
        )
        assert lines[0].endswith(f"widen it {way}.")


@pytest.mark.parametrize(("layers", "said"), [(1, 0), (2, 0), (3, 0), (4, 1)])
def test_a_whole_number_is_at_an_edge_at_its_end_unless_the_recipe_ends_there(
    layers: int, said: int
) -> None:
    """There is no 0th layer group; there is a fifth."""
    assert (
        len(edges(Recipe(trainable_layers=layers).as_dict(), _tuned(trainable_layers=LAYERS)))
        == said
    )
    assert not edges(
        Recipe(trainable_layers=6).as_dict(), _tuned(trainable_layers=Int(low=1, high=6, default=3))
    )


@pytest.mark.parametrize(("value", "said"), [(0.0, 0), (0.1, 0), (0.195, 1)])
def test_no_smoothing_cannot_be_widened_but_much_of_it_can(value: float, said: int) -> None:
    assert (
        len(edges(Recipe(label_smoothing=value).as_dict(), _tuned(label_smoothing=SMOOTHING)))
        == said
    )


def test_a_length_that_the_recipe_bounds_by_another_one_says_nothing() -> None:
    tuned = _tuned(stage1_epochs=Int(low=0, high=19, default=5))
    assert not edges(Recipe(stage1_epochs=19).as_dict(), tuned)
    assert edges(Recipe(stage1_epochs=19, epochs=30).as_dict(), tuned)


def test_choices_single_values_and_unmet_conditions_have_no_edge() -> None:
    tuned = _tuned(
        scheduler=Choice(options=("step", "cosine"), default="step"),
        trainable_layers=Int(low=4, high=4, default=4),
        stage1_lr=Float(low=1e-4, high=1e-3, default=1e-3, when={"stage1_epochs": (5,)}),
    )
    assert not edges(Recipe(trainable_layers=4, scheduler="step", stage1_lr=1e-3).as_dict(), tuned)
    assert edges(Recipe(trainable_layers=4, stage1_lr=1e-3, stage1_epochs=5).as_dict(), tuned)


def test_numbers_of_a_table_and_recipes_of_another_version_are_read() -> None:
    row = pd.DataFrame([Recipe(trainable_layers=4).as_dict()]).iloc[0].to_dict() | {
        "trainable_layers": np.int64(4)
    }
    tuned = _tuned(trainable_layers=LAYERS)
    assert (
        edges(row, tuned) == edges(row | {"field_of_tomorrow": 1, "scheduler": "new"}, tuned) != []
    )
