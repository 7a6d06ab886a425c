"""Ctrl-C and SIGTERM: the first one ends the sweep cleanly, the second at once."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType
from typing import Self

STOPPING = b"\nStopping cleanly: trials end and MLflow is updated. Once more stops at once.\n"


class Interrupt:
    """A `with` block in which the first SIGINT or SIGTERM lets Tune stop cleanly.

    Tune stops on SIGUSR1 as it does on SIGINT, but only its SIGINT can be left to us, and SIGTERM
    it does not handle.

    Attributes:
        requested: Whether the sweep is to stop.
        reason: Why the sweep cannot go on, where it is not the user who stops it.
    """

    def __init__(self) -> None:
        self.requested = False
        self.reason = ""

    def stop(self, reason: str) -> None:
        """Let Tune stop cleanly, for another reason than the user's wish."""
        if not self.requested:
            self.requested = True
            self.reason = reason
            os.kill(os.getpid(), signal.SIGUSR1)

    def __enter__(self) -> Self:
        self._before = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        # Until Tune sets its own handler, the signal would end the process.
        self._usr1 = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
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
        # Printing is not safe in a handler; this is.
        os.write(2, STOPPING)
        os.kill(os.getpid(), signal.SIGUSR1)
