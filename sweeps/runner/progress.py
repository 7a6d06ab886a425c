"""The progress of a sweep: a live view on a terminal, elsewhere a plain line every 30 s."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sweeps.records.results import Outcome, Results, TrialRecord, best
from sweeps.records.score import NAMES, headed
from sweeps.terminal.screen import say

PLAIN_EVERY_S = 30.0


class Slotted(Protocol):
    """The number of slots, as `sweeps.runner.capacity.Capacity` counts them.

    That must not be imported here: who only lists sweeps needs no Ray.
    """

    count: int


class Progress:
    """Shows a sweep from the start to the end of a `with` block, from its `Results`.

    Args:
        results: The sweep's record.
        capacity: How many trials run at once.
        name: The sweep's name.
        console: Where to show it.
        problem: Returns a line while something around the sweep does not work.
        what: What is run: trials, or finalists.
    """

    def __init__(
        self,
        results: Results,
        capacity: Slotted,
        name: str,
        console: Console,
        problem: Callable[[], str | None] = lambda: None,
        what: str = "trials",
    ) -> None:
        self._results = results
        self._capacity = capacity
        self._name = name
        self._console = console
        self._problem = problem
        self._what = what
        # By the monotonic clock.
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._live: Live | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._view,
                console=self._console,
                refresh_per_second=2,
                transient=True,
            )
            self._live.start()
        else:
            self._thread = threading.Thread(target=self._lines, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._live:
            self._live.stop()
        if self._thread:
            self._thread.join()

    def say(self, line: str) -> None:
        """Show a line that stays, as it is; commands in it are to be copied."""
        say(self._console, line)

    def ended(self, record: TrialRecord) -> None:
        """Show the end of a trial, if it ended badly."""
        if record.outcome in (Outcome.DIVERGED, Outcome.FAILED):
            line = f"{record.trial_id} {record.outcome}: {record.reason}"
            say(self._console, line)

    def line(self) -> str:
        """Return the state in one line."""
        top = best(self._results.records())
        score = self._results.score
        leader = "none completed yet"
        if top:
            metric = "" if score == "accuracy" else f" {NAMES[score]}"
            leader = f"best {percent(top.score)}%{metric} ({top.arm})"
        elapsed = duration(time.monotonic() - self._started)
        done = f"{len(self._results.ended())}/{self._results.total} {self._what} done"
        running = f"{len(self._running())} running"
        return f"[{elapsed}] {done}, {running}, {leader}, ETA {self._eta()}"

    def _lines(self) -> None:
        """Print a line now and then until the end."""
        while not self._stop.wait(PLAIN_EVERY_S):
            self._console.print(self.line(), markup=False, highlight=False)
            problem = self._problem()
            if problem:
                self._console.print(problem, markup=False, highlight=False)

    def _view(self) -> RenderableType:
        """Return the live view: a headline, the arms, and the trials that run."""
        score = self._results.score
        running = self._running()

        # An arm with nothing to tune has no trials of the search.
        arms = _table("arm", self._what, headed("best", score))
        for arm, planned in self._results.planned.items():
            if planned:
                top = best(self._results.records(arm))
                done = f"{len(self._results.ended(arm))}/{planned}"
                arms.add_row(arm, done, percent(top.score if top else None))
        trials = _table("running", "epoch", headed("val", score))
        for record in running:
            epochs = f"{record.epoch}/{record.recipe.epochs}"
            trials.add_row(record.trial_id, epochs, percent(record.val))

        head = (
            f"{self._name}   {duration(time.monotonic() - self._started)}   "
            f"{len(running)}/{self._capacity.count} slots in use   ETA {self._eta()}"
        )
        problem = Text(self._problem() or "", style="yellow")
        return Group(Text(head, style="bold"), problem, arms, Text(), trials)

    def _running(self) -> list[TrialRecord]:
        return [record for record in self._results.records() if record.outcome is None]

    def _eta(self) -> str:
        """Return how long the sweep will still take, in words."""
        now = time.monotonic()
        ended = self._results.ended()
        mean = self._trial_seconds(ended, now)
        if mean is None:
            return "unknown yet"
        rest = [max(0.0, mean - (now - record.started)) for record in self._running()]
        waiting = max(0, self._results.total - len(ended) - len(rest))
        shared = (sum(rest) + mean * waiting) / max(1, self._capacity.count)
        # At the end some slots idle, while the last trial runs.
        return duration(max([shared, *rest]))

    def _trial_seconds(self, ended: Sequence[TrialRecord], now: float) -> float | None:
        """Return the mean seconds of a trial; None while nothing is known.

        They are those of trials that ended; before the first one, of the epochs that are done.
        """
        if ended:
            return sum(record.wall_seconds for record in ended) / len(ended)
        expected = []
        for record in self._running():
            if record.epoch:
                epoch_seconds = (now - record.started) / record.epoch
                expected.append(epoch_seconds * record.recipe.epochs)
        if not expected:
            return None
        return sum(expected) / len(expected)


def percent(score: float | None) -> str:
    """Return `81.4`, or `-` where there is no score."""
    if score is None:
        return "-"
    return f"{100 * score:.1f}"


def duration(seconds: float) -> str:
    """Return `42s`, `3m05s` or `2h07m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def _table(*columns: str) -> Table:
    """Return a table without lines, whose first column is text and the others numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index else "left")
    return table
