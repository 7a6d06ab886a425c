"""What a notebook is told where a sweep does not come to its end: lines, and no traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.refused import Refused

if TYPE_CHECKING:
    from sweeps.runner.notebook.result import SweepResult


class _Readable(BaseException):
    """An error whose text says all; IPython asks it how it is to be shown."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class SweepRefused(_Readable, Refused):
    """Something that was asked for is wrong, and nothing was started.

    Attributes:
        problems: One line for each thing that is wrong.
    """


class SweepFailed(_Readable, RuntimeError):  # noqa: N818 - a sweep fails, runs are lost, ...
    """The sweep came to no result; the text says why, and how to continue it.

    Attributes:
        result: What there is of it; None where it had not begun.
    """

    def __init__(self, said: str, result: SweepResult | None) -> None:
        super().__init__(said)
        self.result = result


class SweepInterrupted(_Readable, KeyboardInterrupt):
    """The kernel was interrupted, and the sweep stopped; the text says how to continue it.

    Attributes:
        result: What there is of it; None where it had not begun.
    """

    def __init__(self, said: str, result: SweepResult | None) -> None:
        super().__init__(said)
        self.result = result
