"""The refusal that every command ends with where something is wrong: one line per problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DONE, FAILED, REFUSED, BROKEN_OFF, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses of all commands.

A sweep that broke off has completed trials, and can be resumed.
"""


class Refused(ValueError):  # noqa: N818  (it is what the command line says: exit status 2)
    """The command is refused before any work.

    Attributes:
        problems: One line for each thing that is wrong.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def collect(problems: list[str], check: Callable[[], T]) -> T | None:
    """Run a check; what it raises for the user becomes lines of `problems`, and the result None."""
    try:
        return check()
    except Refused as error:
        problems += error.problems
    # A path may be too long, closed to us (OSError), or of an unknown user (RuntimeError).
    except (ValueError, OSError, RuntimeError) as error:
        problems += str(error).splitlines()
    return None
