"""The refusal of a data set: all problems at once, one line each."""

from __future__ import annotations

from collections.abc import Iterable

from trainables.problems import at_most, one_line

# Lines of a refusal: what fits beside the command on a small screen.
MOST = 8


class DataError(ValueError):
    """A data set that cannot be used.

    Each problem is one line: the rule, then the value, then the mend.
    There are `MOST` lines at most: of more, the last counts the rest.
    """

    problems: tuple[str, ...]

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(map(one_line, at_most(MOST, list(problems), "problems")))
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[DataError], tuple[tuple[str, ...]]]:
        # So that it crosses process borders whole.
        return type(self), (self.problems,)


class PartedError(DataError):
    """Groups or copies, kept on one side, leave a class without images in a split."""
