"""Words for what is wrong: one line each, with the nearest known name, and not too many of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

# Lines of one kind before "and N more".
LISTED = 5
# Lines of one cause that are all shown.
ALIKE = 3
# Known names that are listed although the nearest one is named.
FEW = 12


def unknown_name(name: str, known: Iterable[str], what: str, where: str = "") -> str:
    """Return a line for a name that is not known, with the nearest known one.

    All known ones follow, unless they are many and one of them is near.

    Args:
        name: As it was given.
        known: All that it could be.
        what: The kind of name, such as `option`.
        where: What follows the name, such as ` of dvt list`.
    """
    return f"unknown {what} {name!r}{where}.{suggestion(name, known)}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return what follows a line on an unknown name: the nearest known one, and all, or few."""
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    if hint and len(known) > FEW:
        return hint
    return f"{hint} Known: {', '.join(known)}."


def counted(count: int, thing: str) -> str:
    """Return `1 trial`, `2,000 trials` or `3 classes`."""
    if count == 1:
        return f"1 {thing}"
    ending = "es" if thing.endswith("s") else "s"
    return f"{count:,} {thing}{ending}"


def shortened(lines: Sequence[str], what: str) -> list[str]:
    """Return the first `LISTED` lines, and one that counts the rest: "and 7 more {what}."."""
    return at_most(LISTED + 1, lines, what)


def once_per_cause(lines: Sequence[str]) -> list[str]:
    """Merge lines of files ("PATH must be …") with one cause; they say how many more there are."""
    causes: dict[str, list[str]] = {}
    for line in lines:
        causes.setdefault(line.partition(" must ")[2] or line, []).append(line)
    merged = []
    for alike in causes.values():
        if len(alike) > ALIKE:
            merged.append(f"{alike[0]} The same holds for {len(alike) - 1:,} more files.")
        else:
            merged += alike
    return merged


def at_most(count: int, lines: Sequence[str], what: str) -> list[str]:
    """Return all lines if they are few enough; else `count`, of which the last counts the rest."""
    if len(lines) <= count:
        return list(lines)
    shown = lines[: count - 1]
    return [*shown, f"and {len(lines) - len(shown)} more {what}."]


def one_line(text: str) -> str:
    """Return text whose line breaks, and all else that does not print, are escapes.

    Names of files and classes may hold any.
    """
    if text.isprintable():
        return text
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def reason(error: BaseException) -> str:
    """Return what an exception says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
