"""Ctrl-C and SIGTERM: the first one ends the sweep in order, the second at once."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType
from typing import Self


class Interrupt:
    """While the `with` block runs, the first SIGINT or SIGTERM sets `requested` and lets Tune stop in order.

    Tune stops on SIGUSR1 as it does on SIGINT, but only its SIGINT can be left to us, and SIGTERM it does not handle.
    """

    def __init__(self) -> None:
        self.requested = False
        self.reason = ""  # why the sweep cannot go on, where it is not the user who stops it

    def stop(self, reason: str) -> None:
        """Let Tune stop in order, for another reason than the user's wish."""
        if not self.requested:
            self.requested, self.reason = True, reason
            os.kill(os.getpid(), signal.SIGUSR1)

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        self._usr1 = signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until Tune sets its own
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGUSR1, self._usr1)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        os.write(
            2, b"\nStopping in order: trials end and MLflow is told. Once more stops at once.\n"
        )  # safe in a handler
        os.kill(os.getpid(), signal.SIGUSR1)
