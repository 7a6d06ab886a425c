"""How a data set is refused: all problems at once, one line each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

LISTED = 20  # lines of one kind before "and N more"


class DataError(ValueError):
    """A data set that cannot be used. Each problem is one line: the rule, then the value, then the mend."""

    problems: tuple[str, ...]

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(map(one_line, problems))
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[DataError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)  # so that it crosses process borders whole


def shortened(lines: Sequence[str], what: str) -> list[str]:
    """The first `LISTED` lines, and one that counts the rest: "and 7 more {what}."."""
    rest = len(lines) - LISTED
    return [*lines[:LISTED], f"and {rest} more {what}."] if rest > 0 else list(lines)


def one_line(text: str) -> str:
    """Text whose line breaks, and all else that does not print, are escapes: names of files and classes may hold any."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def reason(error: BaseException) -> str:
    """What an exception says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
