"""The live view fits a terminal of 80 x 24 at each point of a sweep, and cuts no number or arm."""

from __future__ import annotations

import pytest
from rich.console import Console

from sweeps.records.results import Outcome, Results
from sweeps.runner.course import Ahead, Course
from sweeps.runner.view import View
from sweeps.terminal.waiting import Wait
from tests.unit.sweeps.runner.made_up_course import (
    ARMS,
    Clock,
    Trials,
    lines,
    made_up_clock,
    screen,
)

NAME = "depth_vs_tricks-20261129-141925-dbcc"
NEXT = (
    "next: the 3 best recipes in turn and the default of each arm, with up to 5 new seeds, on the "
    "test split",
    "then: the report",
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return made_up_clock(monkeypatch)


def _course(arms: tuple[str, ...] = ARMS, trials: int = 5) -> Course:
    course = Course(slots=lambda: 2, searched=Results(dict.fromkeys(arms, trials)))
    course.name = NAME
    course.begin("search", Ahead(least=16, most=30), NEXT)
    return course


def _seen(
    course: Course,
    elapsed: float = 125,
    wait: Wait | None = None,
    problem: str = "",
    console: Console | None = None,
) -> list[str]:
    console = console or screen()
    console.print(View(course, elapsed, wait, problem))
    seen = lines(console)
    assert len(seen) < console.height, "a line is left for the cursor"
    assert max(map(len, seen)) <= console.width
    assert not any("…" in line for line in seen)
    return seen


def test_before_the_first_trial(clock: Clock) -> None:
    course = Course(name=NAME, coming=("next: the search, 4 arms x 5 trials", "then: the report"))
    wait = Wait("Decoding images")
    clock.now += 4
    assert _seen(course, 6, wait) == [
        f"Preparing{' ' * (80 - 9 - len(NAME))}{NAME}",
        "6s so far",
        "⠦ Decoding images  4s".replace("⠦", _seen(course, 6, wait)[2][0]),
        "next: the search, 4 arms x 5 trials",
        "then: the report",
    ]


def test_where_there_is_nothing_to_say_but_the_wait(clock: Clock) -> None:
    seen = _seen(Course(), 2, Wait("Loading torch"))
    assert [seen[0], seen[1]] == ["Preparing", "2s so far"]
    assert seen[2].endswith(" Loading torch  0s")


def test_in_the_middle_of_the_search(clock: Clock) -> None:
    course = _course()
    trials = Trials(course.searched, clock)
    trials.run(ARMS[0], 0, seconds=12, score=0.92)
    trials.run(ARMS[1], 0, seconds=12, score=0.773)
    trials.report(trials.start(ARMS[0], 1), 4, 0.853)
    trials.start(ARMS[1], 1)
    assert _seen(course) == [
        f"Search: 2 of 10 trials{' ' * (80 - 22 - len(NAME))}{NAME}",
        "2m05s so far, 2m30s to 4m left, 2 of 2 slots in use",
        "arm                                                        trials  best val %",
        f"resnet18/plain   {'━' * 8}{' ' * 32}     1/5        92.0",
        f"resnet18/tricks  {'━' * 8}{' ' * 32}     1/5        77.3",
        "running              epoch  val %",
        "resnet18/plain/001    4/10   85.3",
        "resnet18/tricks/001   0/10      -",
        "next: the 3 best recipes in turn and the default of each arm, with up to 5 new",
        "      seeds, on the test split",
        "then: the report",
    ]


def test_finalists_in_round_2_of_5(clock: Clock) -> None:
    course = _course()
    Trials(course.searched, clock).run(ARMS[0], 0, seconds=12, score=0.92)
    course.finals = Results(dict.fromkeys(ARMS, 12))
    course.round = "round 2 of up to 5"
    course.begin("finalists", Ahead(least=2, most=40), ("next: a look", "then: the report"))
    finals = Trials(course.finals, clock)
    for seed, score in enumerate((0.7, 0.8)):
        finals.run(ARMS[0], 0, seconds=12, score=score, seed=seed)
    finals.report(finals.start(ARMS[1], 3, seed=0), 9, 0.5)
    seen = _seen(course)
    assert seen[0].split("  ")[0] == "Finalists, round 2 of up to 5: 2 of 24 runs"
    assert seen[1] == "2m05s so far, 2m30s to 6m left, 1 of 2 slots in use"
    assert seen[2].split() == ["arm", "runs", "mean", "val", "%"]
    assert [line.replace("━", "").replace("╸", "").split() for line in seen[3:5]] == [
        [ARMS[0], "2/12", "75.0"],
        [ARMS[1], "0/12", "-"],
    ]
    assert seen[6].split() == ["resnet18/tricks/003/s0", "9/10", "50.0"]


def test_trials_that_failed_are_counted_where_there_are_any(clock: Clock) -> None:
    course = _course()
    trials = Trials(course.searched, clock)
    trials.run(ARMS[0], 0, seconds=12, outcome=Outcome.FAILED)
    trials.run(ARMS[0], 1, seconds=12, outcome=Outcome.DIVERGED)
    trials.run(ARMS[1], 0, seconds=12, outcome=Outcome.PRUNED)
    seen = _seen(course)
    assert seen[0].split("  ")[0] == "Search: 3 of 10 trials, 2 failed"
    assert seen[2].split() == ["arm", "trials", "best", "val", "%", "failed"]
    assert [line.replace("━", "").replace("╸", "").split() for line in seen[3:5]] == [
        [ARMS[0], "2/5", "-", "2"],
        [ARMS[1], "1/5", "-"],
    ]


def test_where_nothing_is_known_of_the_time_it_says_so(clock: Clock) -> None:
    assert _seen(_course())[1] == ("2m05s so far, time left not known yet, 0 of 2 slots in use")


def test_twelve_arms_fit(clock: Clock) -> None:
    arms = tuple(f"resnet{depth}/tricks" for depth in range(12))
    course = _course(arms)
    trials = Trials(course.searched, clock)
    for arm in arms[:2]:
        trials.start(arm, 0)
    seen = _seen(course, wait=Wait("Starting trials"), problem="MLflow does not answer.")
    assert len(seen) == 23
    shown = [line.split()[0] for line in seen if line.startswith("resnet")]
    assert shown == [*arms, "resnet0/tricks/000", "resnet1/tricks/000"]


@pytest.mark.parametrize("running", [2, 16])
def test_of_more_arms_than_fit_those_that_are_done_go_first_and_a_line_counts_them(
    clock: Clock, running: int
) -> None:
    arms = tuple(f"resnet{depth}/tricks" for depth in range(40))
    course = _course(arms, trials=1)
    trials = Trials(course.searched, clock)
    for arm in arms[:5]:
        trials.run(arm, 0, seconds=1)
    for arm in arms[5 : 5 + running]:
        trials.start(arm, 0)
    seen = _seen(course)
    assert len(seen) == 23
    shown = [line.split()[0] for line in seen if line.startswith("resnet")]
    of_arms = [name for name in shown if name.count("/") == 1]
    of_runs = [name for name in shown if name.count("/") == 2]
    assert of_arms == list(arms[5 : 5 + len(of_arms)])
    assert f"and {40 - len(of_arms)} more arms" in seen
    assert (f"and {running - len(of_runs)} more runs" in seen) == (len(of_runs) < running)
    assert len(of_runs) == (2 if running == 2 else 4)


def test_names_that_leave_no_room_for_a_bar_are_whole(clock: Clock) -> None:
    arms = (f"{'long' * 8}/{'longer' * 4}", "short")
    course = _course(arms)
    Trials(course.searched, clock).run(arms[0], 0, seconds=1)
    seen = _seen(course)
    assert "━" not in "".join(seen)
    assert any(line.split()[:3] == [arms[0], "1/5", "50.0"] for line in seen)
    text = "".join(_seen(course, console=screen(width=40, height=60)))
    assert "1/5" in text


def test_in_the_end_only_what_is_waited_for_is_shown(clock: Clock) -> None:
    course = _course()
    Trials(course.searched, clock).run(ARMS[0], 0, seconds=1)
    course.begin("finishing", Ahead(), ())
    seen = _seen(course, 205, Wait("Building the report"))
    assert len(seen) == 3
    assert seen[0].startswith("Finishing  ")
    assert seen[1] == "3m25s so far"
    assert seen[2].endswith(" Building the report  0s")
