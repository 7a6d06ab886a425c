"""How long a sweep will still take is a range, over search and finalists, from what it knows."""

from __future__ import annotations

import pytest

from sweeps.records.results import Outcome, Results
from sweeps.runner.course import Ahead, Course, Left
from tests.unit.sweeps.runner.made_up_course import ARMS, Clock, Trials, made_up_clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return made_up_clock(monkeypatch)


@pytest.fixture
def searching(clock: Clock) -> Course:
    """Return a search of six trials in two slots, after which 4 to 10 finalists follow."""
    course = Course(slots=lambda: 2, searched=Results(dict.fromkeys(ARMS, 3)))
    course.begin("search", Ahead(least=4, most=10), ())
    return course


def test_before_the_first_epoch_nothing_is_known(searching: Course, clock: Clock) -> None:
    assert searching.left() is None
    Trials(searching.searched, clock).start(ARMS[0], 0)
    clock.now += 5
    assert searching.left() is None


def test_before_the_first_trial_ends_epochs_tell_the_time(searching: Course, clock: Clock) -> None:
    trials = Trials(searching.searched, clock)
    for arm in ARMS:
        trials.start(arm, 0)
    clock.now += 20
    for arm in ARMS:
        trials.report(f"{arm}/000", 2)
    # 10 s an epoch, 100 s a run: 6 trials and 4 to 10 finalists in 2 slots, of which 20 s are over.
    assert searching.left() == Left(least=480, most=780)


def test_a_finalist_takes_as_long_as_a_trial_that_was_not_stopped(
    searching: Course, clock: Clock
) -> None:
    trials = Trials(searching.searched, clock)
    trials.run(ARMS[0], 0, seconds=60)
    trials.run(ARMS[1], 0, seconds=20, outcome=Outcome.PRUNED)
    trials.start(ARMS[0], 1)
    clock.now += 30
    # 30 s and 60 s of one arm, 2 x 20 s of the other, and 4 to 10 finalists of 60 s, in 2 slots.
    assert searching.left() == Left(least=185, most=365)


def test_each_arm_has_its_own_seconds(searching: Course, clock: Clock) -> None:
    finals = Results(dict.fromkeys(ARMS, 3))
    trials = Trials(finals, clock)
    trials.run(ARMS[0], 0, seconds=10, seed=0)
    trials.run(ARMS[0], 0, seconds=10, seed=1)
    trials.run(ARMS[1], 0, seconds=50, seed=0)
    searching.finals = finals
    searching.begin("finalists", Ahead(least=0, most=2), ())
    # 10 s are left of one arm and 2 x 50 s of the other; what may follow takes 30 s in the mean.
    assert searching.left() == Left(least=55, most=85)


def test_once_finalists_have_ended_their_own_mean_counts_and_the_search_no_longer(
    searching: Course, clock: Clock
) -> None:
    Trials(searching.searched, clock).run(ARMS[0], 0, seconds=60)
    searching.finals = Results(dict.fromkeys(ARMS, 2))
    searching.begin("finalists", Ahead(least=0, most=6), ())
    assert searching.left() == Left(least=120, most=300)
    finalists = Trials(searching.finals, clock)
    finalists.run(ARMS[0], 0, seconds=80, seed=0)
    assert searching.left() == Left(least=120, most=360)


def test_the_last_run_takes_its_own_time_however_many_slots_there_are(
    searching: Course, clock: Clock
) -> None:
    searching.finals = Results({ARMS[0]: 2})
    searching.begin("finalists", Ahead(), ())
    finalists = Trials(searching.finals, clock)
    finalists.run(ARMS[0], 0, seconds=60, seed=0)
    finalists.start(ARMS[0], 0, seed=1)
    assert searching.left() == Left(least=60, most=60)
    clock.now += 100
    assert searching.left() == Left(least=0, most=0)


def test_of_a_resumed_sweep_only_what_is_left_counts(searching: Course, clock: Clock) -> None:
    trials = Trials(searching.searched, clock)
    for number in range(3):
        trials.run(ARMS[0], number, seconds=50)
    trials.run(ARMS[1], 0, seconds=50)
    left = Ahead(least=4, most=10).without(6)
    assert left == Ahead(least=0, most=4)
    searching.begin("search", left, ())
    assert searching.left() == Left(least=50, most=150)


def test_no_trial_starts_after_the_time_limit(searching: Course, clock: Clock) -> None:
    trials = Trials(searching.searched, clock)
    trials.run(ARMS[0], 0, seconds=50)
    searching.deadline = clock.now + 100
    # What begins in the last second runs to its end.
    assert searching.left() == Left(least=150, most=150)


def test_where_no_trial_runs_nothing_is_estimated(clock: Clock) -> None:
    assert Course().left() is None
    course = Course(searched=Results(dict.fromkeys(ARMS, 3)))
    Trials(course.searched, clock).run(ARMS[0], 0, seconds=50)
    course.begin("finishing", Ahead(), ())
    assert course.left() is None


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (175, 365, "3m to 6m left"),
        (175, 185, "about 3m left"),
        (0, 0, "about 5s left"),
        (4000, 9000, "1h10m to 2h30m left"),
    ],
)
def test_it_is_told_as_a_range_or_as_about(least: float, most: float, said: str) -> None:
    assert str(Left(least=least, most=most)) == said
