"""What a person sees while a sweep runs: one quiet live view on a terminal, a plain line every 30 s elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sweeps.records.results import Outcome, Results, TrialRecord, best
from sweeps.records.score import NAMES, headed

PLAIN_EVERY_S = 30.0


class Slotted(Protocol):
    """What is needed of `sweeps.runner.capacity.Room`, which this must not import: those who only list sweeps need no Ray."""

    count: int


class Progress:
    """Shows a sweep from the start to the end of a `with` block; reads `Results`, is told nothing else but events.

    Args:
        results: The sweep's record.
        room: How many run at once.
        name: Of the sweep.
        console: Where to show it.
        problem: Gives a line while something around the sweep does not work.
        what: What is run: trials, or finalists.
    """

    def __init__(
        self,
        results: Results,
        room: Slotted,
        name: str,
        console: Console,
        problem: Callable[[], str | None] = lambda: None,
        what: str = "trials",
    ) -> None:
        self._results, self._room, self._name, self._console = results, room, name, console
        self._problem, self._what = problem, what
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
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def ended(self, record: TrialRecord) -> None:
        """Show the end of a trial, if it ended badly."""
        if record.outcome in (Outcome.DIVERGED, Outcome.FAILED):
            line = f"{record.trial_id} {record.outcome}: {record.reason}"
            self._console.print(line, markup=False, highlight=False)

    def line(self) -> str:
        """The state in one line."""
        done, running = len(self._results.ended()), self._running()
        top, score = best(self._results.records()), self._results.score
        by = "" if score == "accuracy" else f" {NAMES[score]}"
        parts = [
            f"[{duration(time.monotonic() - self._started)}]",
            f"{done}/{self._results.total} {self._what} done,",
            f"{len(running)} running,",
            f"best {percent(top.score)}%{by} ({top.arm})," if top else "none completed yet,",
            f"ETA {self._eta()}",
        ]
        return " ".join(parts)

    def _lines(self) -> None:
        while not self._stop.wait(PLAIN_EVERY_S):
            self._console.print(self.line(), markup=False, highlight=False)
            if problem := self._problem():
                self._console.print(problem, markup=False, highlight=False)

    def _view(self) -> RenderableType:
        arms = Table(box=None, padding=(0, 2, 0, 0))
        for name in ("arm", self._what, headed("best", self._results.score)):
            arms.add_column(name, justify="left" if name == "arm" else "right")
        for arm in (arm for arm, planned in self._results.planned.items() if planned):
            top = best(self._results.records(arm))
            done = f"{len(self._results.ended(arm))}/{self._results.planned[arm]}"
            arms.add_row(arm, done, percent(top.score if top else None))
        trials = Table(box=None, padding=(0, 2, 0, 0))
        for name in ("running", "epoch", headed("val", self._results.score)):
            trials.add_column(name, justify="left" if name == "running" else "right")
        for record in (running := self._running()):
            trials.add_row(
                record.trial_id, f"{record.epoch}/{record.recipe.epochs}", percent(record.val)
            )
        head = (
            f"{self._name}   {duration(time.monotonic() - self._started)}   "
            f"{len(running)}/{self._room.count} slots in use   ETA {self._eta()}"
        )
        return Group(
            Text(head, style="bold"),
            Text(self._problem() or "", style="yellow"),
            arms,
            Text(),
            trials,
        )

    def _running(self) -> list[TrialRecord]:
        return [record for record in self._results.records() if record.outcome is None]

    def _eta(self) -> str:
        """From the mean seconds of trials that ended; before the first one, from the epochs that are done."""
        ended, now = self._results.ended(), time.monotonic()
        if ended:
            mean = sum(record.wall_seconds for record in ended) / len(ended)
        else:
            epochs = [
                ((now - r.started) / r.epoch, r.recipe.epochs) for r in self._running() if r.epoch
            ]
            if not epochs:
                return "unknown yet"
            mean = sum(seconds * total for seconds, total in epochs) / len(epochs)
        rest = [max(0.0, mean - (now - record.started)) for record in self._running()]
        waiting = max(0, self._results.total - len(ended) - len(rest))
        return duration(
            max([(sum(rest) + mean * waiting) / max(1, self._room.count), *rest])
        )  # at the end some slots idle


def percent(score: float | None) -> str:
    """`81.4`, or `-` where there is none."""
    return "-" if score is None else f"{100 * score:.1f}"


def duration(seconds: float) -> str:
    """`42s`, `3m05s` or `2h07m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
