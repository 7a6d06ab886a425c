"""What the events of a journal come to: trials, each epoch once, and which were drawn at random."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from sweeps.records.events import EventError
from sweeps.records.history import Trial, read_history, salvage
from sweeps.records.journal import JournalError
from sweeps.records.results import STARTUP_TRIALS, Outcome
from tests.unit.sweeps.journals import (
    Line,
    chosen,
    ended,
    epochs,
    finalist_started,
    finished,
    history_of,
    resumed,
    started,
    sweep_started,
    trial,
    write_journal,
)
from trainables.recipe import Recipe

ARM = "resnet18/tricks"
NINE = Recipe(epochs=9).as_dict()
TRIAL = started("a", recipe=NINE)


def trials_of(lines: Iterable[Line]) -> list[Trial]:
    return list(history_of(lines).trials.values())


def test_each_epoch_counts_once_however_often_it_was_reported() -> None:
    lines = [
        TRIAL,
        epochs("a/000", 1, 2),
        TRIAL,
        epochs("a/000", 2),
        epochs("a/000", 2, 3),
        ended("a/000"),
    ]
    (trial,) = trials_of(lines)
    assert [epoch["epoch"] for epoch in trial.epochs] == [1, 2, 3]
    assert trial.outcome is Outcome.COMPLETED


def test_an_interrupted_trial_is_left_to_do_until_it_ends_otherwise() -> None:
    lines = [TRIAL, epochs("a/000", 1), ended("a/000", "interrupted")]
    assert trials_of(lines)[0].outcome is None
    again = [*lines, TRIAL, epochs("a/000", 2), ended("a/000", "pruned")]
    assert trials_of(again)[0].outcome is Outcome.PRUNED
    assert trials_of([TRIAL])[0].outcome is None


def test_trials_keep_the_order_in_which_they_were_handed_out() -> None:
    other = started("b")
    found = trials_of(
        [other, TRIAL, epochs("a/000", 1), other, epochs("b/000", 1), ended("b/000", "failed")]
    )
    assert [trial.trial_id for trial in found] == ["b/000", "a/000"]
    assert [trial.outcome for trial in found] == [Outcome.FAILED, None]


def test_a_trial_with_all_its_epochs_is_completed_though_its_end_was_not_written() -> None:
    (trial,) = trials_of([TRIAL, epochs("a/000", *range(1, 10))])
    assert (trial.outcome, trial.told) == (Outcome.COMPLETED, False)


def test_a_finalist_is_not_over_before_the_test_split_has_answered() -> None:
    done = [finalist_started("a", recipe=NINE), epochs("a/000/s0", *range(1, 10))]
    assert trials_of(done)[0].outcome is None
    assert trials_of([*done, ended("a/000/s0")])[0].outcome is Outcome.COMPLETED


def test_a_recipe_of_a_version_without_class_weights_is_the_same_recipe_without_them() -> None:
    """A finalist that such a version trained is not trained again."""
    now = finalist_started("a", recipe=NINE)
    assert now["recipe"]["class_weights"] == "none"
    older = {name: value for name, value in NINE.items() if name != "class_weights"}
    lines = [now | {"recipe": older}, epochs("a/000/s0", 1), now, ended("a/000/s0")]
    (trial,) = trials_of(lines)
    assert [epoch["epoch"] for epoch in trial.epochs] == [1]
    assert trial.recipe == now["recipe"]


def test_a_finalist_whose_recipe_was_changed_is_what_came_of_the_new_one() -> None:
    lines = []
    for rate, score in ((1e-3, 0.9), (1e-2, 0.7)):
        recipe = Recipe(epochs=2, stage2_lr=rate).as_dict()
        lines.append(finalist_started("still", recipe=recipe))
        lines.append(epochs("still/000/s0", 1, 2, score=score))
        lines.append(ended("still/000/s0", score=score))
    (trial,) = trials_of(lines)
    assert trial.recipe["stage2_lr"] == 1e-2
    assert [epoch["score"] for epoch in trial.epochs] == [0.7, 0.7]
    assert trial.end
    assert trial.end.score == 0.7


@pytest.mark.parametrize(
    ("ends", "complete"),
    [
        ([], False),
        ([finished(partial=False)], True),
        ([finished(partial=True)], False),
        ([finished()], False),  # an early version did not say
        ([finished("interrupted")], False),
        ([finished(partial=False), resumed()], False),
        ([finished("failed"), resumed(), finished(partial=False)], True),
    ],
)
def test_a_sweep_is_complete_where_its_last_run_came_to_its_end(
    ends: list[Line], complete: bool
) -> None:
    assert history_of([TRIAL, *ends]).complete is complete


def test_what_is_left_counts_finalists_of_the_last_choice_alone() -> None:
    lines = [TRIAL, ended("a/000"), chosen("a/000/s0", "a/000/s1"), resumed(3)]
    assert history_of(lines).left(searched=["a"], trials_per_arm=1) == 4
    again = [*lines, chosen("a/000/s0"), finalist_started("a"), ended("a/000/s0")]
    assert history_of(again).left(searched=["a"], trials_per_arm=1) == 2


def test_rounds_of_a_run_add_up_and_the_next_run_chooses_anew() -> None:
    """Further rounds, the champion's seeds and ablations are choices of the same run."""
    lines = [chosen("a/001/s0", "b/000/s0"), chosen("a/002/s1"), chosen("b/000/s1")]
    first = history_of(lines)
    assert first.wanted == {"a/001/s0", "b/000/s0", "a/002/s1", "b/000/s1"}
    again = history_of([*lines, resumed(), chosen("a/003/s0"), chosen("b/000/s0")])
    assert again.wanted == {"a/003/s0", "b/000/s0"}


def test_the_last_choice_says_which_recipes_an_arm_is_compared_by_and_draws_stay() -> None:
    def choice(best: str, seed: str) -> Line:
        recipes = {"a": [best, "a/000"], "b": ["b/000"]}
        return chosen("a/000/s0") | {"recipes": recipes, "draws": {seed: {"digest": f"d{seed}"}}}

    history = history_of([choice("a/001", "0"), choice("a/001", "1"), resumed(9)])
    assert history.recipes == {"a": ("a/001", "a/000"), "b": ("b/000",)}
    assert history.draws == {"0": {"digest": "d0"}, "1": {"digest": "d1"}}
    extended = history_of([choice("a/001", "0"), resumed(9), choice("a/005", "1")])
    assert extended.recipes["a"] == ("a/005", "a/000")
    assert sorted(extended.draws) == ["0", "1"]
    assert history_of([chosen("a/000/s0")]).recipes == {}, "an earlier version did not say"


def test_trials_of_an_arm_that_is_gone_stand_for_none_of_another() -> None:
    """The study's change was accepted: what is left is left, though as many trials have ended."""
    lines = [line for number in range(4) for line in trial("gone", number)]
    lines += [*trial("stays", 0), resumed(4)]
    assert history_of(lines).left(searched=["stays"], trials_per_arm=4) == 3


def test_a_damaged_line_is_an_error_or_left_out_as_the_reader_asks(tmp_path: Path) -> None:
    journal = write_journal(tmp_path, [sweep_started(), TRIAL, ended("a/000")])
    whole = journal.read_text().splitlines(keepends=True)
    for damaged, error in (
        ("{torn\n", JournalError),
        ('{"event": "trial", "trial_id": "a/000"}\n', EventError),
    ):
        journal.write_text("".join([whole[0], damaged, *whole[1:]]))
        with pytest.raises(error):
            read_history(journal)
        history = salvage(journal)
        assert (history.left_out, history.lines) == (1, 4)
        assert history.trials["a/000"].outcome is Outcome.COMPLETED


def test_a_last_line_that_is_being_written_is_no_damage(tmp_path: Path) -> None:
    journal = write_journal(tmp_path, [sweep_started(), TRIAL])
    with journal.open("a") as file:
        file.write(json.dumps(ended("a/000"))[:-4])
    for history in (read_history(journal), salvage(journal)):
        assert history.left_out == 0
        assert history.trials["a/000"].outcome is None


def names(*numbers: int, arm: str = ARM) -> dict[str, list[str]]:
    return {arm: [f"{arm}/{number:03d}" for number in numbers]}


def start(number: int) -> Line:
    return started(ARM, number)


def end(number: int, outcome: str = "completed", arm: str = ARM) -> Line:
    return ended(f"{arm}/{number:03d}", outcome)


def start_up_trials(lines: Iterable[Line]) -> dict[str, list[str]]:
    return history_of(lines).start_up_trials


def test_one_after_the_other_trials_1_to_4_are_random_as_trial_0_counts() -> None:
    lines = [line for number in range(9) for line in (start(number), end(number))]
    assert start_up_trials(lines) == names(1, 2, 3, 4)
    assert STARTUP_TRIALS == 5


def test_side_by_side_more_trials_are_random_as_fewer_have_ended() -> None:
    waves = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    lines = [line for wave in waves for line in (*map(start, wave), *map(end, wave))]
    assert start_up_trials(lines) == names(1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("outcome", "count"), [("pruned", 4), ("diverged", 4), ("failed", 11), ("interrupted", 11)]
)
def test_pruned_and_diverged_trials_count_as_ended_failed_and_interrupted_ones_do_not(
    outcome: str, count: int
) -> None:
    lines = [line for number in range(12) for line in (start(number), end(number, outcome))]
    assert len(start_up_trials(lines)[ARM]) == count


def test_a_trial_that_was_resumed_counts_from_its_first_start_and_ends_once() -> None:
    first = [line for number in range(4) for line in (start(number), end(number))]
    again = [start(4), end(4, "interrupted"), start(4), end(3), start(5), end(4), start(6)]
    assert start_up_trials([*first, *again]) == names(1, 2, 3, 4, 5)


def test_arms_are_counted_each_alone_and_finalists_not_at_all() -> None:
    other = [started("b", 0), started("b", 1), finalist_started("b")]
    strange = [sweep_started(), epochs("b/000"), ended("b/000/s0")]
    mine = [line for number in range(7) for line in (start(number), end(number))]
    assert start_up_trials([*mine, *other, *strange]) == names(1, 2, 3, 4) | names(1, arm="b")


def test_damage_is_counted_whatever_the_last_line_lacks(tmp_path: Path) -> None:
    journal = tmp_path / "trials.jsonl"
    journal.write_bytes(b'not JSON\n{"event": "of another version"}')
    history = salvage(journal)
    assert (history.lines, history.left_out) == (2, 1)
    journal.write_bytes(b'not JSON\n{"event": "tri')
    assert salvage(journal).left_out == 1
