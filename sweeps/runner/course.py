"""Where a sweep is, from its first second to its end, and how long it will still take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TypeAlias

from sweeps.records.results import Outcome, Results, TrialRecord
from sweeps.terminal.times import roughly


@dataclass(frozen=True, kw_only=True, slots=True)
class Ahead:
    """Finalists that may come after those that are planned.

    Attributes:
        least: Where all comparisons are decided as early as can be.
        most: Where none is decided.
    """

    least: int = 0
    most: int = 0

    def without(self, done: int) -> Ahead:
        """Return what is left of them, where so many ended in an earlier run of the sweep."""
        return Ahead(least=max(0, self.least - done), most=max(0, self.most - done))


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """How long the sweep will still take, in seconds: from so much to so much."""

    least: float
    most: float

    def __str__(self) -> str:
        low = roughly(self.least)
        high = roughly(self.most)
        return f"about {low} left" if low == high else f"{low} to {high} left"


@dataclass(kw_only=True, slots=True)
class Course:
    """Where a sweep is.

    The main thread sets it, and the thread that shows it reads it.

    Attributes:
        phase: `preparing`, `search`, `finalists` or `finishing`.
        round: Of the finalists: which round it is, in words.
        name: The sweep's name, once there is one.
        searched: The search.
        finals: The finalists.
        ahead: Finalists that are not planned yet.
        coming: What comes next, in words, a line each.
        slots: Returns how many trials run at once.
        deadline: No trial starts after it; by the monotonic clock.
        began: When this round or phase began; by the monotonic clock.
    """

    phase: str = "preparing"
    round: str = ""
    name: str = ""
    searched: Results = field(default_factory=lambda: Results({}))
    finals: Results = field(default_factory=lambda: Results({}))
    ahead: Ahead = field(default_factory=Ahead)
    coming: Sequence[str] = ()
    slots: Callable[[], int] = lambda: 1
    deadline: float = math.inf
    began: float = field(default_factory=lambda: time.monotonic())

    def begin(self, phase: str, ahead: Ahead, coming: Sequence[str]) -> None:
        """Begin a phase, or a round."""
        self.ahead = ahead
        self.coming = coming
        self.began = time.monotonic()
        self.phase = phase

    @property
    def trains(self) -> bool:
        """Return whether trials are run now."""
        return self.phase in ("search", "finalists")

    @property
    def title(self) -> str:
        """Return where it is, in words."""
        if self.phase == "finalists" and self.round:
            return f"Finalists, {self.round}"
        return self.phase.capitalize()

    @property
    def results(self) -> Results:
        """Return what is run now: the search, or the finalists."""
        return self.searched if self.phase == "search" else self.finals

    def running(self) -> list[TrialRecord]:
        """Return the trials that run, in the order of their start."""
        return running(self.results)

    def left(self) -> Left | None:
        """Return how long the sweep will still take; None while nothing is known.

        The end, as the report, comes on top.
        """
        if not self.trains:
            return None
        now = time.monotonic()
        finalist = _finalist_seconds(self.searched, self.finals, now)
        trial = _trial_seconds(self.searched, now)
        if None in finalist.values() or (self.phase == "search" and None in trial.values()):
            return None

        # What runs, and what waits, each as long as its like took.
        running, waits = _split(self.finals, finalist, now)
        if self.phase == "search":
            more, further = _split(self.searched, trial, now)
            running += more
            waits += further
        known = [each for each in finalist.values() if each]
        mean = fmean(known) if known else 0.0

        # At the end some slots idle, while the last trial runs.
        slots = max(1, self.slots())
        longest = max(running, default=0.0)
        latest = max(self.deadline - now, 0.0) + max(longest, mean)
        times = []
        for number in (self.ahead.least, self.ahead.most):
            work = sum(running) + waits + mean * number
            times.append(min(latest, max(work / slots, longest)))
        return Left(least=times[0], most=times[1])


Seconds: TypeAlias = Mapping[str, float | None]
"""Mean seconds of a trial by arm; None while nothing is known."""


def running(results: Results) -> list[TrialRecord]:
    """Return the trials that run."""
    return [record for record in results.records() if record.outcome is None]


def _trial_seconds(searched: Results, now: float) -> Seconds:
    """Return how long trials of the search take: those of the arm, or where none ended, of all."""
    of_all = _mean(searched.ended()) or _expected(searched, now)
    arms = [arm for arm in searched.arms if searched.planned[arm]]
    return {arm: _mean(searched.ended(arm)) or of_all for arm in arms}


def _finalist_seconds(searched: Results, finals: Results, now: float) -> Seconds:
    """Return how long finalists take: before one ended, as trials that were not stopped early."""
    of_all = _mean(_whole(finals)) or _mean(_whole(searched))
    of_all = of_all or _expected(finals, now) or _expected(searched, now)
    seconds = {}
    for arm in finals.arms or searched.arms:
        of_arm = _mean(_whole(finals, arm)) or _mean(_whole(searched, arm))
        seconds[arm] = of_arm or of_all
    return seconds


def _whole(results: Results, arm: str | None = None) -> list[TrialRecord]:
    return [each for each in results.ended(arm) if each.outcome is Outcome.COMPLETED]


def _mean(records: Sequence[TrialRecord]) -> float | None:
    """Return the mean seconds of trials; None where there are none."""
    if not records:
        return None
    return fmean(record.wall_seconds for record in records)


def _expected(results: Results, now: float) -> float | None:
    """Return the mean seconds of the trials that run, by the epochs that they have done."""
    expected = []
    for record in running(results):
        if record.epoch:
            epoch_seconds = (now - record.started) / record.epoch
            expected.append(epoch_seconds * record.recipe.epochs)
    return fmean(expected) if expected else None


def _split(results: Results, seconds: Seconds, now: float) -> tuple[list[float], float]:
    """Return how long each trial that runs still takes, and those that wait all together."""
    rest = []
    waits = 0.0
    for arm, mean in seconds.items():
        of_arm = [record for record in running(results) if record.arm == arm]
        rest += [max(0.0, (mean or 0.0) - (now - record.started)) for record in of_arm]
        waits += (mean or 0.0) * max(0, results.left_of(arm) - len(of_arm))
    return rest, waits
