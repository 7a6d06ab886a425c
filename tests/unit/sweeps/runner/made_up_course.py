"""A sweep's course by a made-up clock: trials that start, report and end when a test says so."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from sweeps.records import results as records
from sweeps.records.results import Finalist, Outcome, Results, finalist_name, trial_name
from sweeps.runner import course as course_module
from sweeps.runner import progress as progress_module
from sweeps.terminal import waiting as waiting_module
from trainables.metrics import EPOCH, SCORE, VAL_ACCURACY
from trainables.recipe import Recipe

ARMS = ("resnet18/plain", "resnet18/tricks")
EPOCHS = 10


class Clock:
    """Stands in for the time module's clock."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def made_up_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock that stands until it is moved, for all that shows a sweep."""
    clock = Clock()
    for module in (course_module, progress_module, waiting_module, records):
        monkeypatch.setattr(module, "time", clock)
    return clock


class Trials:
    """Starts and ends trials of a search, or finalists."""

    def __init__(self, results: Results, clock: Clock) -> None:
        self.results = results
        self.clock = clock

    def start(self, arm: str, number: int, *, seed: int | None = None) -> str:
        """Start a trial, or a finalist."""
        name = trial_name(arm, number)
        finalist = None
        if seed is not None:
            finalist = Finalist(name)
            name = finalist_name(name, seed)
        record = self.results.start(name, arm, number, Recipe(epochs=EPOCHS), finalist)
        record.started = self.clock.now
        return name

    def report(self, name: str, epoch: int, score: float = 0.5) -> None:
        """Report an epoch."""
        self.results.report(name, {EPOCH: epoch, SCORE: score, VAL_ACCURACY: score})

    def end(self, name: str, outcome: Outcome = Outcome.COMPLETED) -> None:
        """End a trial now."""
        record = self.results[name]
        record.outcome = outcome
        record.wall_seconds = self.clock.now - record.started

    def run(self, arm: str, number: int, seconds: float, score: float = 0.5, **how: Any) -> None:
        """Run a trial from its start to its end."""
        outcome = how.pop("outcome", Outcome.COMPLETED)
        name = self.start(arm, number, **how)
        self.clock.now += seconds
        self.report(name, EPOCHS, score)
        self.end(name, outcome)


def screen(*, width: int = 80, height: int = 24, terminal: bool = False) -> Console:
    """Return a screen whose file holds what is printed."""
    return Console(
        file=io.StringIO(),
        force_terminal=terminal,
        force_interactive=terminal,
        width=width,
        height=height,
    )


def lines(console: Console) -> list[str]:
    """Return what was printed, without spaces at the ends of lines."""
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
