"""A person sees how far a sweep is: one live view on a terminal, plain lines elsewhere."""

import io
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from cluster.resources import Slots
from sweeps.records.results import Outcome, Results, trial_name
from sweeps.runner import progress as module
from sweeps.runner.progress import Progress, duration
from trainables.metrics import EPOCH, SCORE, VAL_ACCURACY, VAL_BALANCED_ACCURACY
from trainables.recipe import Recipe

ARMS = ("resnet18/plain", "resnet18/tricks")
SLOTS = Slots(count=2, cpus=1, gpus=0.0, device="cpu")


class Clock:
    """Stands in for the time module's clock."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def results() -> Results:
    return Results(dict.fromkeys(ARMS, 3))


def _progress(results: Results, *, terminal: bool = False) -> Progress:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, height=30)
    return Progress(results, SLOTS, "study-1", console)


def _start(results: Results, clock: Clock, arm: str, number: int) -> str:
    record = results.start(trial_name(arm, number), arm, number, Recipe(epochs=10))
    record.started = clock.now
    return record.trial_id


def _report(results: Results, trial_id: str, epoch: int, score: float) -> None:
    results.report(trial_id, {EPOCH: epoch, SCORE: score, VAL_ACCURACY: score})


def _end(results: Results, clock: Clock, trial_id: str, outcome: Outcome) -> None:
    record = results[trial_id]
    record.outcome, record.wall_seconds = outcome, clock.now - record.started


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (42.4, "42s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (185, "3m05s"),
        (3599.7, "1h00m"),
        (7620, "2h07m"),
        (1e6, "277h46m"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_before_the_first_epoch_nothing_is_known(results: Results, clock: Clock) -> None:
    shown = _progress(results)
    _start(results, clock, ARMS[0], 0)
    assert shown.line() == "[0s] 0/6 trials done, 1 running, none completed yet, ETA unknown yet"


def test_before_the_first_trial_ends_epochs_tell_the_time(results: Results, clock: Clock) -> None:
    shown = _progress(results)
    for arm in ARMS:
        _start(results, clock, arm, 0)
    clock.now += 20
    for arm in ARMS:
        _report(results, trial_name(arm, 0), 2, 0.5)
    # 10 s an epoch, 100 s a trial: 6 trials in 2 slots are 300 s, of which 20 are over.
    assert shown.line() == "[20s] 0/6 trials done, 2 running, none completed yet, ETA 4m40s"


def test_after_the_first_trial_their_mean_tells_the_time(results: Results, clock: Clock) -> None:
    shown = _progress(results)
    for arm, outcome, score in zip(
        ARMS, (Outcome.COMPLETED, Outcome.PRUNED), (0.814, 0.9), strict=True
    ):
        trial = _start(results, clock, arm, 0)
        clock.now += 60
        _report(results, trial, 5, score)
        _end(results, clock, trial, outcome)
    _start(results, clock, ARMS[0], 1)
    clock.now += 30
    # 30 s are left of one, and three wait: 30 + 180 in 2 slots.
    assert (
        shown.line() == "[2m30s] 2/6 trials done, 1 running, best 81.4% (resnet18/plain), ETA 1m45s"
    )


def test_where_the_score_is_not_accuracy_the_line_names_it(clock: Clock) -> None:
    results = Results({ARMS[0]: 2}, "balanced_accuracy")
    trial = _start(results, clock, ARMS[0], 0)
    results.report(trial, {EPOCH: 5, SCORE: 0.612, VAL_ACCURACY: 0.9, VAL_BALANCED_ACCURACY: 0.6})
    assert results[trial].val == 0.6
    _end(results, clock, trial, Outcome.COMPLETED)
    assert "best 61.2% balanced accuracy (resnet18/plain)," in _progress(results).line()


def test_the_last_trial_takes_its_own_time_however_many_slots_there_are(clock: Clock) -> None:
    results = Results({ARMS[0]: 2})
    shown = _progress(results)
    first = _start(results, clock, ARMS[0], 0)
    clock.now += 60
    _end(results, clock, first, Outcome.COMPLETED)
    _start(results, clock, ARMS[0], 1)
    assert shown.line().endswith("ETA 1m00s")
    clock.now += 100
    assert shown.line().endswith("ETA 0s")


def test_elsewhere_than_on_a_terminal_plain_lines_come_and_no_escape_codes(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PLAIN_EVERY_S", 0.01)
    with (shown := _progress(results)):
        time.sleep(0.1)
    lines = shown._console.file.getvalue().splitlines()
    assert len(lines) >= 2
    assert set(lines) == {"[0s] 0/6 trials done, 0 running, none completed yet, ETA unknown yet"}


def test_plain_lines_wait_half_a_minute_and_the_end_does_not_wait_for_them(
    results: Results,
) -> None:
    began = time.monotonic()
    with (shown := _progress(results)):
        pass
    assert shown._console.file.getvalue() == ""
    assert time.monotonic() - began < 1


def test_on_a_terminal_the_live_view_shows_arms_and_running_trials_and_goes_away(
    results: Results, clock: Clock
) -> None:
    shown = _progress(results, terminal=True)
    done = _start(results, clock, ARMS[0], 0)
    _report(results, done, 10, 0.75)
    _end(results, clock, done, Outcome.COMPLETED)
    _report(results, _start(results, clock, ARMS[1], 0), 4, 0.5)
    console = Console(file=io.StringIO(), width=100)
    console.print(shown._view())
    view = [line.split() for line in console.file.getvalue().splitlines()]
    assert ["study-1", "0s", "1/2", "slots", "in", "use", "ETA", "0s"] in view
    assert ["resnet18/plain", "1/3", "75.0"] in view
    assert ["resnet18/tricks", "0/3", "-"] in view
    assert ["resnet18/tricks/000", "4/10", "50.0"] in view
    with shown:
        shown._live.refresh()
    written = shown._console.file.getvalue()
    assert "study-1" in written
    assert "\x1b[2K" in written.rpartition("study-1")[2], "transient: the view is erased at the end"


@pytest.mark.parametrize("outcome", Outcome)
def test_only_trials_that_ended_badly_get_a_line_of_their_own(
    results: Results, outcome: Outcome
) -> None:
    shown = _progress(results)
    shown.ended(SimpleNamespace(trial_id="a/000", outcome=outcome, reason="[loss] is nan"))
    bad = outcome in (Outcome.DIVERGED, Outcome.FAILED)
    assert shown._console.file.getvalue() == (
        f"a/000 {outcome.value}: [loss] is nan\n" if bad else ""
    )
