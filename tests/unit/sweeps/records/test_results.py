"""What is recorded of a trial, which trial is "best", and how trials and seeds are named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.records.results import (
    Outcome,
    Results,
    TrialRecord,
    best,
    default,
    finalist_name,
    outcome_of,
    ranked,
    seed_number,
    trial_name,
)
from trainables.metrics import EPOCH, SCORE, VAL_ACCURACY
from trainables.recipe import Recipe

ARM = "resnet18/plain"


def _record(
    number: int, score: float | None, outcome: Outcome | None = Outcome.COMPLETED
) -> TrialRecord:
    return TrialRecord(trial_name(ARM, number), ARM, number, Recipe(), outcome=outcome, score=score)


def _train(recipe: Recipe, accuracies: list[float]) -> TrialRecord:
    """Report as a trial does: the current accuracy in stage 1, then the stage's running best."""
    results = Results({ARM: 1})
    results.start("a", ARM, 0, recipe)
    for epoch, accuracy in enumerate(accuracies, 1):
        last_stage = accuracies[recipe.stage1_epochs : epoch]
        score = max(last_stage) if last_stage else accuracy
        results.report("a", {EPOCH: epoch, SCORE: score, VAL_ACCURACY: accuracy})
    return results["a"]


def test_best_is_the_completed_trial_with_the_highest_score() -> None:
    others = [outcome for outcome in (*Outcome, None) if outcome is not Outcome.COMPLETED]
    records = [
        _record(0, 0.5),
        _record(1, 0.7),
        _record(2, 0.6),
        *(_record(3 + i, 0.9, o) for i, o in enumerate(others)),
    ]
    assert len(others) == 5
    assert best(records) is records[1]
    assert best(records[3:]) is None
    assert best([]) is None


@pytest.mark.parametrize("order", [1, -1])
def test_of_equal_scores_the_earlier_number_is_best(order: int) -> None:
    records = [_record(0, 0.5), _record(1, 0.7), _record(2, 0.7)][::order]
    assert best(records).number == 1


def test_a_score_of_zero_still_completes() -> None:
    assert best([_record(0, 0.0)]).number == 0
    assert best([_record(0, None)]) is None


MANY = settings(derandomize=True, deadline=None)

# Of few values, so that many are equal.
SCORES = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 0.6, 0.7]), st.floats(0, 1))
TRIALS = st.lists(st.tuples(SCORES, st.one_of(st.none(), st.sampled_from(Outcome))), max_size=8)


@MANY
@given(TRIALS, st.randoms(use_true_random=False))
def test_nothing_that_completed_is_better_than_the_best_nor_as_good_and_earlier(
    trials: list[tuple[float | None, Outcome | None]], random: object
) -> None:
    records = [_record(number, *trial) for number, trial in enumerate(trials)]
    random.shuffle(records)  # type: ignore[attr-defined]
    found = best(records)
    able = [r for r in records if r.outcome is Outcome.COMPLETED and r.score is not None]
    assert (found is None) == (not able)
    for record in able:
        assert found
        assert record.score <= found.score
        assert record.score < found.score or record.number >= found.number


@MANY
@given(TRIALS, st.randoms(use_true_random=False))
def test_those_that_completed_are_ranked_by_score_and_then_by_number_the_best_first(
    trials: list[tuple[float | None, Outcome | None]], random: object
) -> None:
    records = [_record(number, *trial) for number, trial in enumerate(trials)]
    able = [r for r in records if r.outcome is Outcome.COMPLETED and r.score is not None]
    random.shuffle(records)  # type: ignore[attr-defined]
    found = ranked(records)
    assert sorted(found, key=lambda record: record.number) == able
    keys = [(-(record.score or 0.0), record.number) for record in found]
    assert keys == sorted(keys)
    assert next(iter(found), None) is best(records)


def test_default_is_trial_0_if_it_completed() -> None:
    assert default([_record(1, 0.9), _record(0, 0.1)]).number == 0
    assert default([_record(0, 0.1, Outcome.FAILED), _record(1, 0.9)]) is None
    assert default([_record(0, 0.1, None)]) is None


def test_the_best_epoch_is_the_one_of_the_score() -> None:
    record = _train(Recipe(), [0.5, 0.7, 0.6, 0.7])
    assert (record.score, record.best_epoch, record.epoch, record.val) == (0.7, 2, 4, 0.7)


def test_a_high_score_of_stage_1_is_forgotten_when_stage_2_begins() -> None:
    record = _train(Recipe(stage1_epochs=3), [0.5, 0.9, 0.8, 0.6, 0.7, 0.65])
    assert (record.score, record.best_epoch) == (0.7, 5)


def test_in_stage_1_the_score_is_the_current_accuracy() -> None:
    record = _train(Recipe(stage1_epochs=3), [0.5, 0.9, 0.8])
    assert (record.score, record.best_epoch) == (0.8, 3)


def test_the_first_epoch_of_stage_2_counts_even_where_it_equals_stage_1() -> None:
    record = _train(Recipe(stage1_epochs=2), [0.5, 0.8, 0.8, 0.7])
    assert (record.score, record.best_epoch) == (0.8, 3)


def test_a_diverged_report_changes_nothing_but_is_an_outcome() -> None:
    results = Results({ARM: 1})
    results.start("a", ARM, 0, Recipe())
    results.report("a", {EPOCH: 1, SCORE: 0.4, VAL_ACCURACY: 0.4})
    last = {EPOCH: 2, SCORE: 0.0, "outcome": "diverged", "reason": "loss is nan"}
    results.report("a", last)
    assert outcome_of(last) is Outcome.DIVERGED
    assert outcome_of({EPOCH: 2}) is None
    assert (results["a"].score, results["a"].epoch) == (0.4, 1)


def test_a_trial_that_starts_again_keeps_its_record() -> None:
    results = Results({ARM: 2})
    first = results.start("a", ARM, 0, Recipe())
    results.report("a", {EPOCH: 3, SCORE: 0.4, VAL_ACCURACY: 0.4})
    assert results.start("a", ARM, 0, Recipe()) is first
    assert len(results.records()) == 1
    assert (results.total, results.ended()) == (2, [])


def test_what_an_arm_has_too_many_of_does_not_count_for_another() -> None:
    results = Results({"a": 2, "b": 0})
    for number in range(3):
        results.start(trial_name("b", number), "b", number, Recipe()).outcome = Outcome.COMPLETED
    results.start("a/000", "a", 0, Recipe()).outcome = Outcome.INTERRUPTED
    assert results.left == 2


def test_a_trials_name_is_its_arm_and_its_number() -> None:
    assert trial_name("resnet34/tricks", 7) == "resnet34/tricks/007"


@given(st.sampled_from(["resnet34/tricks/007", "a/s3/000", "a/000/without-mixup"]), st.integers(0))
def test_a_finalists_name_ends_in_the_number_of_its_seed(group: str, seed: int) -> None:
    assert finalist_name(group, seed) == f"{group}/s{seed}"
    assert seed_number(finalist_name(group, seed)) == seed


@pytest.mark.parametrize("name", ["resnet34/tricks/007", "a/s3/000", "s3", "a/000/s", "a/000/sx1"])
def test_a_trial_of_the_search_has_no_number_of_a_seed(name: str) -> None:
    assert seed_number(name) is None
