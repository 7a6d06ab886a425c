"""A person sees how far a sweep is: one live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from sweeps.records.results import Outcome, Results
from sweeps.runner import progress as module
from sweeps.runner.course import Ahead
from sweeps.runner.progress import Progress
from tests.unit.sweeps.runner.made_up_course import (
    ARMS,
    Clock,
    Trials,
    lines,
    made_up_clock,
    screen,
)
from trainables.metrics import EPOCH, SCORE, VAL_ACCURACY, VAL_BALANCED_ACCURACY


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return made_up_clock(monkeypatch)


@pytest.fixture
def results() -> Results:
    return Results(dict.fromkeys(ARMS, 3))


def _searching(results: Results, *, terminal: bool = False) -> Progress:
    shown = Progress(screen(terminal=terminal))
    shown.plans("night", ("next: the search",))
    shown.runs_on(lambda: 2, float("inf"), lambda: None)
    shown.searches(results, Ahead(least=4, most=10), ("next: finalists",))
    return shown


def test_one_clock_runs_through_all_phases(results: Results, clock: Clock) -> None:
    shown = Progress(screen())
    with shown.doing("Loading torch"):
        clock.now += 3
        assert shown.line() == "[3s] Preparing: Loading torch, 3s"
    assert shown.line() == "[3s] Preparing"
    clock.now += 7
    shown.runs_on(lambda: 2, float("inf"), lambda: None)
    shown.searches(results, Ahead(), ())
    trials = Trials(results, clock)
    trials.start(ARMS[0], 0)
    clock.now += 20
    unknown = "time left not known yet"
    assert shown.line() == f"[30s] 0/6 trials of the search done, 1 running, {unknown}"
    finals = Results(dict.fromkeys(ARMS, 3))
    shown.retrains("round 1 of up to 2", finals, Ahead())
    Trials(finals, clock).start(ARMS[0], 0, seed=0)
    clock.now += 60
    said = "0/6 finalists done, round 1 of up to 2, 1 running"
    assert shown.line() == f"[1m30s] {said}, {unknown}"
    shown.finishes()
    clock.now += 60
    with shown.doing("Building the report"):
        clock.now += 5
        assert shown.line() == "[2m35s] Finishing: Building the report, 5s"


def test_a_line_has_the_best_what_failed_and_the_time_left(results: Results, clock: Clock) -> None:
    shown = _searching(results)
    trials = Trials(results, clock)
    trials.run(ARMS[0], 0, seconds=60, score=0.814)
    trials.run(ARMS[1], 0, seconds=60, score=0.9, outcome=Outcome.PRUNED)
    trials.run(ARMS[1], 1, seconds=60, outcome=Outcome.DIVERGED)
    trials.start(ARMS[0], 1)
    assert shown.line() == (
        "[3m00s] 3/6 trials of the search done, 1 failed, 1 running, "
        "best 81.4% (resnet18/plain), 3m30s to 6m30s left"
    )


def test_until_the_first_trial_starts_it_says_what_is_waited_for(
    results: Results, clock: Clock
) -> None:
    shown = _searching(results)
    clock.now += 4
    starting = "Starting trials, 4s"
    assert starting in shown.line()
    trials = Trials(results, clock)
    name = trials.start(ARMS[0], 0)
    assert "1 running" in shown.line()
    trials.end(name)
    assert "Starting trials" in shown.line(), "none runs, and five are left"
    with shown.doing("Drawing new images for the seeds"):
        assert "Drawing new images for the seeds, 0s" in shown.line()


def test_where_the_score_is_not_accuracy_the_line_names_it(clock: Clock) -> None:
    results = Results({ARMS[0]: 2}, "balanced_accuracy")
    trials = Trials(results, clock)
    name = trials.start(ARMS[0], 0)
    results.report(name, {EPOCH: 5, SCORE: 0.612, VAL_ACCURACY: 0.9, VAL_BALANCED_ACCURACY: 0.6})
    trials.end(name)
    assert "best 61.2% balanced accuracy (resnet18/plain)," in _searching(results).line()


def test_elsewhere_than_on_a_terminal_plain_lines_come_and_no_escape_codes(
    results: Results, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PLAIN_EVERY_S", 0.01)
    shown = _searching(results)
    shown.runs_on(lambda: 2, float("inf"), lambda: "MLflow does not answer.")
    Trials(results, clock).start(ARMS[0], 0)
    until = time.monotonic() + 10
    with shown:
        while len(lines(shown.console)) < 4 and time.monotonic() < until:
            time.sleep(0.01)
    said = lines(shown.console)
    assert len(said) >= 4
    assert set(said[::2]) == {
        "[0s] 0/6 trials of the search done, 1 running, time left not known yet"
    }
    assert set(said[1::2]) == {"MLflow does not answer."}


def test_plain_lines_wait_half_a_minute_and_the_end_does_not_wait_for_them(
    results: Results,
) -> None:
    began = time.monotonic()
    with (shown := _searching(results)):
        pass
    assert lines(shown.console) == []
    assert time.monotonic() - began < 1


def test_a_terminal_has_the_view_at_its_bottom_and_lines_above_it_until_the_end(
    results: Results, clock: Clock
) -> None:
    shown = _searching(results, terminal=True)
    Trials(results, clock).start(ARMS[0], 0)
    with shown:
        shown.say("resnet18/plain/001 failed: no memory")
        assert shown._live
        shown._live.refresh()
    written = shown.console.file.getvalue()  # type: ignore[attr-defined]
    said, _, after = written.rpartition("1 of 2 slots in use")
    assert "no memory\n" in said
    assert "\x1b[2K" in after, "the view is erased at the end"
    assert "\x1b[?25h" in after, "the cursor is back"


def test_a_signals_handler_leaves_its_line_to_the_view_where_there_is_one(
    results: Results, clock: Clock
) -> None:
    plain = _searching(results)
    with plain:
        assert not plain.announce("Stopping cleanly")
    shown = _searching(results, terminal=True)
    assert not shown.announce("before the view"), "who writes it at once is heard"
    with shown:
        assert shown.announce("Stopping cleanly")
    assert not shown.announce("after the view")
    written = shown.console.file.getvalue()  # type: ignore[attr-defined]
    assert written.count("Stopping cleanly\n") == 1
    assert "the view" not in written


@pytest.mark.parametrize("outcome", Outcome)
def test_only_trials_that_ended_badly_get_a_line_of_their_own(
    results: Results, outcome: Outcome
) -> None:
    shown = _searching(results)
    record = SimpleNamespace(trial_id="a/000", outcome=outcome, reason="[loss] is nan")
    shown.ended(record)  # type: ignore[arg-type]
    bad = outcome in (Outcome.DIVERGED, Outcome.FAILED)
    assert lines(shown.console) == ([f"a/000 {outcome.value}: [loss] is nan"] if bad else [])
