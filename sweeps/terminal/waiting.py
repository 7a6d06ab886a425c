"""What is done while nothing else moves: a spinner with its seconds, on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show what is done and for how long, for the time of a `with` block.

    Lines that are printed meanwhile must go to the same terminal by rich, or end up in its line.
    Where stderr is no terminal, nothing is shown.
    """
    console = Console(stderr=True)
    shown = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with shown:
        shown.add_task(what, total=None)
        yield
