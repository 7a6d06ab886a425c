"""Where a sweep is, from its first second to its end, and how long it will still take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

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
        # What runs, and what waits, each as long as its like took.
        rest: list[float] = []
        waits = 0.0
        if self.phase == "search":
            mean = seconds(self.searched, now)
            if mean is None:
                return None
            rest += _rests(self.searched, mean, now)
            waits += mean * (self.searched.left - len(running(self.searched)))
        mean = _finalist_seconds(self.searched, self.finals, now)
        open_ = self.finals.left + self.ahead.most
        if mean is None and open_:
            return None
        mean = mean or 0.0
        rest += _rests(self.finals, mean, now)
        waits += mean * max(0, self.finals.left - len(running(self.finals)))

        # At the end some slots idle, while the last trial runs.
        slots = max(1, self.slots())
        longest = max(rest, default=0.0)
        latest = max(self.deadline - now, 0.0) + max(longest, mean)
        times = []
        for more in (self.ahead.least, self.ahead.most):
            work = sum(rest) + waits + mean * more
            times.append(min(latest, max(work / slots, longest)))
        return Left(least=times[0], most=times[1])


def running(results: Results) -> list[TrialRecord]:
    """Return the trials that run."""
    return [record for record in results.records() if record.outcome is None]


def seconds(results: Results, now: float) -> float | None:
    """Return the mean seconds of a trial; None while nothing is known.

    They are those of trials that ended; before the first one, of the epochs that are done.
    """
    ended = results.ended()
    if ended:
        return fmean(record.wall_seconds for record in ended)
    expected = []
    for record in running(results):
        if record.epoch:
            epoch_seconds = (now - record.started) / record.epoch
            expected.append(epoch_seconds * record.recipe.epochs)
    return fmean(expected) if expected else None


def _finalist_seconds(searched: Results, finals: Results, now: float) -> float | None:
    """Return the mean seconds of a finalist: before one ended, of trials that were not stopped."""
    if finals.ended():
        return seconds(finals, now)
    whole = [each for each in searched.ended() if each.outcome is Outcome.COMPLETED]
    if whole:
        return fmean(record.wall_seconds for record in whole)
    return seconds(finals, now) or seconds(searched, now)


def _rests(results: Results, mean: float, now: float) -> list[float]:
    """Return the seconds that the running trials will still take."""
    return [max(0.0, mean - (now - record.started)) for record in running(results)]
