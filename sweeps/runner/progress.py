"""The progress of a sweep, from its first second to its end, with one clock.

A live view on a terminal, elsewhere a plain line every 30 s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from sweeps.records.results import Outcome, Results, TrialRecord, best
from sweeps.records.score import NAMES
from sweeps.runner.course import Ahead, Course
from sweeps.runner.view import View, failed_of, left_of, percent
from sweeps.terminal.screen import say
from sweeps.terminal.times import duration
from sweeps.terminal.waiting import REFRESHED_PER_S, Wait, Waits, live

PLAIN_EVERY_S = 30.0


class Progress:
    """Shows a sweep from the start to the end of a `with` block.

    What is not known at the start, such as its name and its slots, is told when it is.

    Args:
        console: Where to show it.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._course = Course()
        self._waits = Waits()
        self._problem: Callable[[], str | None] = lambda: None
        # By the monotonic clock.
        self._started = time.monotonic()
        self._live: Live | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        # Lines that a signal's handler leaves to the thread, since it must not print.
        self._announced: list[str] = []

    def __enter__(self) -> Self:
        every = PLAIN_EVERY_S
        if self.console.is_interactive:
            every = 1 / REFRESHED_PER_S
            self._live = live(self.console, self.view, refreshes=False)
            self._live.start()
        self._thread = threading.Thread(
            target=self._show, args=(every,), name="progress", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Show no more; the terminal is as it was."""
        self._stop.set()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join()
        if self._live:
            self._live.stop()
        self._say_announced()

    def plans(self, name: str, coming: Sequence[str]) -> None:
        """Note the sweep's name, and what it will do, in words, a line each."""
        self._course.name = name
        self._course.coming = coming

    def runs_on(
        self,
        slots: Callable[[], int],
        deadline: float,
        problem: Callable[[], str | None],
    ) -> None:
        """Note what the sweep runs on.

        Args:
            slots: Returns how many trials run at once.
            deadline: No trial starts after it; by the monotonic clock.
            problem: Returns a line while something around the sweep does not work.
        """
        self._course.slots = slots
        self._course.deadline = deadline
        self._problem = problem

    def searches(self, searched: Results, ahead: Ahead, coming: Sequence[str]) -> None:
        """Note that the search begins, and what may follow it."""
        self._course.searched = searched
        self._course.begin("search", ahead, coming)

    def retrains(
        self, what: str, finals: Results, ahead: Ahead, coming: Sequence[str] = ()
    ) -> None:
        """Note that finalists are trained: which round of them, and what may follow it."""
        self._course.finals = finals
        self._course.round = what
        self._course.begin("finalists", ahead, coming)

    def finishes(self) -> None:
        """Note that no more trials run."""
        self._course.begin("finishing", Ahead(), ())

    def doing(self, what: str) -> AbstractContextManager[None]:
        """Show what is done while no trial runs, for the time of a `with` block."""
        return self._waits.doing(what)

    def say(self, line: str) -> None:
        """Show a line that stays, as it is; commands in it are to be copied."""
        say(self.console, line)

    def announce(self, text: str) -> bool:
        """Show lines from a signal's handler; return False where the handler must write them."""
        if self._live is None or self._stop.is_set():
            return False
        self._announced.append(text)
        return True

    def ended(self, record: TrialRecord) -> None:
        """Show the end of a trial, if it ended badly."""
        if record.outcome in (Outcome.DIVERGED, Outcome.FAILED):
            self.say(f"{record.trial_id} {record.outcome}: {record.reason}")

    def line(self) -> str:
        """Return the state in one line."""
        course = self._course
        elapsed = duration(time.monotonic() - self._started)
        wait = self._wait()
        doing = f"{wait.what}, {duration(wait.seconds)}" if wait else ""
        if not course.trains:
            return f"[{elapsed}] {': '.join(filter(None, (course.title, doing)))}"

        # What is done, and what is best.
        results = course.results
        parts = [f"{len(results.ended())}/{results.total} trials of the search done"]
        if course.phase == "finalists":
            parts = [f"{len(results.ended())}/{results.total} finalists done", course.round]
        failed = sum(failed_of(results, name) for name in results.arms)
        if failed:
            parts.append(f"{failed} failed")
        parts.append(doing or f"{len(course.running())} running")
        top = best(course.searched.records())
        if top and course.phase == "search":
            score = results.score
            metric = "" if score == "accuracy" else f" {NAMES[score]}"
            parts.append(f"best {percent(top.score)}%{metric} ({top.arm})")
        parts.append(left_of(course))
        return f"[{elapsed}] {', '.join(filter(None, parts))}"

    def view(self) -> View:
        """Return what a terminal shows."""
        elapsed = time.monotonic() - self._started
        return View(self._course, elapsed, self._wait(), self._problem() or "")

    def _wait(self) -> Wait | None:
        """Return what is done while no trial runs."""
        course = self._course
        wait = self._waits.now()
        if wait is None and course.trains and course.results.left and not course.running():
            return Wait("Starting trials", course.began)
        return wait

    def _show(self, every: float) -> None:
        """Show where the sweep is, every so many seconds until the end; a thread's."""
        while not self._stop.wait(every):
            self._say_announced()
            if self._live:
                self._live.refresh()
                continue
            for line in filter(None, (self.line(), self._problem())):
                self.console.print(line, markup=False, highlight=False)

    def _say_announced(self) -> None:
        while self._announced:
            self.say(self._announced.pop(0))
