"""How a data set is refused: all problems at once, one line each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

LISTED = 5  # lines of one kind before "and N more"
ALIKE = 3  # lines of one cause that are all shown
MOST = 8  # lines of a refusal: what fits beside the command on a small screen


class DataError(ValueError):
    """A data set that cannot be used. Each problem is one line: the rule, then the value, then the mend.

    There are `MOST` lines at most: of more, the last counts the rest.
    """

    problems: tuple[str, ...]

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(map(one_line, at_most(MOST, list(problems), "problems")))
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[DataError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)  # so that it crosses process borders whole


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
