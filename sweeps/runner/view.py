"""The live view of a sweep on a terminal: what is done of each arm, what runs, and what comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from sweeps.records.results import Outcome, Results, TrialRecord, best
from sweeps.records.score import headed
from sweeps.runner.course import Course
from sweeps.terminal.screen import wrapped
from sweeps.terminal.times import duration
from sweeps.terminal.waiting import Wait

FEWEST = 3
"""Lines of arms, and of what runs, at least, where there are as many."""
LONGEST_BAR = 40
"""Columns of a bar at most."""
NUMBERS = 45
"""Columns that an arm's numbers and the shortest bar take."""


class View:
    """A sweep, as it fits the terminal that it is printed to.

    Args:
        course: Where it is.
        elapsed: Seconds since it was started.
        wait: What is done while no trial runs.
        problem: What does not work around the sweep, in words.
    """

    def __init__(self, course: Course, elapsed: float, wait: Wait | None, problem: str) -> None:
        self._course = course
        self._elapsed = elapsed
        self._wait = wait
        self._problem = problem

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield as many lines as there is room for; one stays free for the cursor."""
        width = options.max_width
        head = [*self._head(width)]
        foot: list[RenderableType] = [*self._foot(width)]
        if self._wait:
            foot.insert(0, self._wait)
        yield from head
        if self._course.trains:
            room = console.height - 1 - len(head) - len(foot)
            yield from self._body(room, width)
        yield from foot

    def _head(self, width: int) -> Iterator[Text]:
        """Yield what it does, how long it has taken, and how long it will."""
        course = self._course
        what = course.title
        parts = [f"{duration(self._elapsed)} so far"]
        if course.trains:
            what = f"{what}: {done_of(course)}"
            parts.append(left_of(course))
            parts.append(f"{len(course.running())} of {course.slots()} slots in use")

        # Its name, where there is room for it.
        gap = width - cell_len(what) - cell_len(course.name)
        line = f"{what}{' ' * gap}{course.name}" if gap > 1 else what
        yield Text(line, style="bold", overflow="fold")
        yield Text(", ".join(parts), overflow="fold")
        for part in wrapped(self._problem, width):
            if part:
                yield Text(part, style="yellow", overflow="fold")

    def _foot(self, width: int) -> Iterator[Text]:
        """Yield what comes next."""
        for line in self._course.coming:
            for part in wrapped(line, width, indent=6):
                yield Text(part, style="dim", overflow="fold")

    def _body(self, room: int, width: int) -> Iterator[RenderableType]:
        """Yield the arms, and what runs, in so many lines: headings take two."""
        results = self._course.results
        # An arm with nothing to tune has no trials of the search.
        names = [name for name, planned in results.planned.items() if planned]
        running = self._course.running()
        arms, below = _shared(len(names), len(running), room - 2)

        # Where the arms are too many, those that are done go first.
        lacking = results.lacking()
        first = sorted(names, key=lambda name: name not in lacking)[:arms]
        yield self._arms([name for name in names if name in first], width)
        yield from _others(len(names) - arms, "arm")
        if running:
            yield _running(running[:below], headed("val", results.score))
            yield from _others(len(running) - below, "run")

    def _arms(self, names: Sequence[str], width: int) -> Table:
        """Return the arms with a bar, numbers, and where some failed, how many."""
        course = self._course
        searching = course.phase == "search"
        results = course.results
        failed = any(failed_of(results, name) for name in names)
        longest = max(map(cell_len, names), default=0)
        bars = longest + NUMBERS <= width

        columns = [Column("arm", no_wrap=bars, overflow="fold")]
        if bars:
            columns.append(Column("", max_width=LONGEST_BAR))
        columns.append(_number("trials" if searching else "runs"))
        columns.append(_number(headed("best val" if searching else "mean val", results.score)))
        if failed:
            columns.append(_number("failed"))

        table = Table(*columns, box=None, padding=(0, 2, 0, 0))
        for name in names:
            planned = results.planned[name]
            done = len(results.ended(name))
            row: list[RenderableType] = [name]
            if bars:
                row.append(ProgressBar(total=planned, completed=done))
            row += [f"{done}/{planned}", percent(_val(results, name, best_one=searching))]
            if failed:
                row.append(str(failed_of(results, name) or ""))
            table.add_row(*row)
        return table


def done_of(course: Course) -> str:
    """Return how many trials have ended, in words."""
    results = course.results
    what = "trials" if course.phase == "search" else "runs"
    text = f"{len(results.ended())} of {results.total} {what}"
    failed = sum(failed_of(results, name) for name in results.arms)
    return f"{text}, {failed} failed" if failed else text


def left_of(course: Course) -> str:
    """Return how long the sweep will still take, in words."""
    left = course.left()
    return str(left) if left else "time left not known yet"


def failed_of(results: Results, arm: str) -> int:
    """Return how many trials of an arm diverged or failed."""
    badly = (Outcome.DIVERGED, Outcome.FAILED)
    return sum(record.outcome in badly for record in results.ended(arm))


def percent(score: float | None) -> str:
    """Return `81.4`, or `-` where there is no score."""
    if score is None:
        return "-"
    return f"{100 * score:.1f}"


def _running(records: Sequence[TrialRecord], title: str) -> Table:
    """Return trials that run, with their epochs and the last score."""
    columns = [Column("running", overflow="fold"), _number("epoch"), _number(title)]
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for record in records:
        epochs = f"{record.epoch}/{record.recipe.epochs}"
        table.add_row(record.trial_id, epochs, percent(record.val))
    return table


def _val(results: Results, arm: str, *, best_one: bool) -> float | None:
    """Return the best score of an arm, or the mean of its runs that completed."""
    records = results.records(arm)
    if best_one:
        top = best(records)
        return top.score if top else None
    completed = [each.score for each in records if each.outcome is Outcome.COMPLETED]
    known = [score for score in completed if score is not None]
    return fmean(known) if known else None


def _shared(arms: int, running: int, room: int) -> tuple[int, int]:
    """Return how many arms and running trials are shown in so many lines.

    Where there are more, a line says how many.
    """
    if arms + running <= room:
        return arms, running
    fewest = min(running, max(FEWEST, room // 3))
    below = fewest if fewest == running else fewest - 1
    left = room - fewest
    if arms <= left:
        # They leave room for more of what runs.
        more = room - arms
        return arms, min(running, max(below, more - 1))
    return max(1, left - 1), below


def _others(number: int, what: str) -> Iterator[Text]:
    if number > 0:
        plural = "" if number == 1 else "s"
        yield Text(f"and {number} more {what}{plural}")


def _number(title: str) -> Column:
    return Column(title, justify="right", no_wrap=True)
