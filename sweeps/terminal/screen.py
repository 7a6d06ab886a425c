"""Where a person reads: prose wraps at words, while what is to be copied stays whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import IO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

# Columns where the output is no terminal: nothing is wrapped or left out for whoever reads a pipe.
WIDE = 1000
# What must not be broken: `code`, 'a name', and words, whatever their length.
_WORD = re.compile(r"`[^`]*`[^\s`]*|'[^'\s]*(?: [^'\s]*)?'[^\s']*|\S+")


def screen(*, stderr: bool = False, file: IO[str] | None = None) -> Console:
    """Return where lines and tables go: as wide as the terminal, or as wide as they are."""
    console = Console(highlight=False, stderr=stderr, file=file)
    if console.is_terminal:
        return console
    return Console(highlight=False, stderr=stderr, file=file, width=WIDE)


def say(console: Console, text: str, *, whole: bool = False) -> None:
    """Print text as it is: no markup.

    On a terminal its lines wrap at words, unless it is to stay `whole`, as a path does. A line that
    begins with two spaces is there to be copied, such as a command, and stays whole as well: the
    terminal itself wraps it.
    """
    for line in text.split("\n"):
        parts = [line] if whole else wrapped(line, console.width)
        for part in parts:
            console.print(Text(part), soft_wrap=True)


def say_wrong(problems: Iterable[str]) -> None:
    """Print what is wrong on stderr, a line per problem."""
    console = screen(stderr=True)
    for problem in problems:
        say(console, f"error: {problem}", whole=not console.is_terminal)


def wrapped(line: str, width: int, indent: int = 0, first: str = "") -> Iterator[str]:
    """Yield a line in parts of at most so many columns, or longer ones where it has no gap.

    Args:
        line: Whole where it begins with two spaces.
        width: In columns.
        indent: Spaces before all parts but the first.
        first: What stands before the first part.
    """
    if line.startswith("  ") or cell_len(first + line) <= width:
        yield first + line
        return
    part = first
    end = 0
    for word in _WORD.finditer(line):
        # The gap before it, as it was written.
        gap = line[end : word.start()]
        end = word.end()
        longer = f"{part}{gap}{word.group()}"
        if part.strip() and part != first and cell_len(longer) > width:
            yield part
            longer = " " * indent + word.group()
        part = longer
    yield part
