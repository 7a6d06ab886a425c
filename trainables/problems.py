"""Words for what is wrong: one line each, with the nearest known name, and not too many of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

LISTED = 5  # lines of one kind before "and N more"
ALIKE = 3  # lines of one cause that are all shown


def unknown_name(name: str, known: Iterable[str], what: str) -> str:
    """One line for a name that is not known: the name, the nearest known one, and all known ones."""
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"{name!r} is no {what}.{hint} Known: {', '.join(known)}."


def counted(count: int, thing: str) -> str:
    """Return `1 trial`, `2,000 trials` or `3 classes`."""
    if count == 1:
        return f"1 {thing}"
    ending = "es" if thing.endswith("s") else "s"
    return f"{count:,} {thing}{ending}"


def shortened(lines: Sequence[str], what: str) -> list[str]:
    """The first `LISTED` lines, and one that counts the rest: "and 7 more {what}."."""
    return at_most(LISTED + 1, lines, what)


def once_per_cause(lines: Sequence[str]) -> list[str]:
    """Lines of files ("PATH must be …") with one cause as one line, which says how many more there are."""
    causes: dict[str, list[str]] = {}
    for line in lines:
        causes.setdefault(line.partition(" must ")[2] or line, []).append(line)
    told = []
    for alike in causes.values():
        if len(alike) > ALIKE:
            told.append(f"{alike[0]} The same holds for {len(alike) - 1:,} more files.")
        else:
            told += alike
    return told


def at_most(count: int, lines: Sequence[str], what: str) -> list[str]:
    """All lines if they are few enough; else `count`, of which the last says how many more there are."""
    rest = len(lines) - (count - 1)
    return [*lines[: count - 1], f"and {rest} more {what}."] if len(lines) > count else list(lines)


def one_line(text: str) -> str:
    """Text whose line breaks, and all else that does not print, are escapes: names of files and classes may hold any."""
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )


def reason(error: BaseException) -> str:
    """What an exception says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
