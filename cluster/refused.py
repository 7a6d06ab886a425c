"""The refusal that every command ends with where something is wrong: one line per problem."""

from __future__ import annotations

DONE, FAILED, REFUSED, BROKEN_OFF, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses of all commands. A sweep that broke off has completed trials, and can be resumed."""


class Refused(ValueError):  # noqa: N818  (it is what the command line says: exit status 2)
    """The command is refused before any work.

    Attributes:
        problems: One line for each thing that is wrong.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
