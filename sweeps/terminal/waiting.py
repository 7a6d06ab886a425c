"""What is done while nothing else moves: a spinner with its seconds.

`waiting` is for a command that does one thing after the other. Where more is shown, as in a sweep,
the line of `Waits` is a part of that.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from sweeps.terminal.screen import screen
from sweeps.terminal.times import duration

REFRESHED_PER_S = 2
"""Often enough for seconds, and little work for a process that has other things to do."""

Doing: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Shows what is done, for the time of a `with` block."""


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show what is done and for how long, on stderr, for the time of a `with` block.

    It comes after half a second, so that what is quick does not flicker. Lines that are printed
    meanwhile stand above it. Where stderr is no terminal, nothing is shown.
    """
    console = screen(stderr=True)
    if not console.is_interactive:
        yield
        return
    waits = Waits()
    with live(console, lambda: waits), waits.doing(what):
        yield


def live(console: Console, view: Callable[[], RenderableType], *, refreshes: bool = True) -> Live:
    """Return what keeps a view at the bottom of a terminal, until it is stopped.

    What is printed meanwhile goes above it; what goes to a file or a pipe is left alone.

    Args:
        console: The terminal.
        view: Returns what is to be seen now.
        refreshes: By a thread of its own; else by whoever calls `refresh`.
    """
    return Live(
        get_renderable=view,
        console=console,
        auto_refresh=refreshes,
        refresh_per_second=REFRESHED_PER_S,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=sys.stderr.isatty(),
    )


class Waits:
    """What is done now, as a line on the innermost of it."""

    def __init__(self) -> None:
        self._open: list[Wait] = []

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Show that something is done, for the time of a `with` block."""
        wait = Wait(what)
        self._open.append(wait)
        try:
            yield
        finally:
            self._open.remove(wait)

    def now(self) -> Wait | None:
        """Return the innermost; any thread may ask."""
        last = self._open[-1:]
        return last[0] if last else None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the line, or nothing."""
        wait = self.now()
        if wait:
            yield wait


class Wait:
    """A line that turns, on something that is done, with the seconds that it has taken.

    Attributes:
        what: In words.
        since: By the monotonic clock.
    """

    def __init__(self, what: str, since: float | None = None) -> None:
        self.what = what
        self.since = time.monotonic() if since is None else since

    @property
    def seconds(self) -> float:
        """How long it has been done."""
        return time.monotonic() - self.since

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the line."""
        frames = Spinner("line" if options.ascii_only else "dots").frames
        frame = frames[int(self.seconds * REFRESHED_PER_S) % len(frames)]
        yield Text(f"{frame} {self.what}  {duration(self.seconds)}", overflow="fold")
