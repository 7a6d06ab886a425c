"""Ctrl-C, and every other signal that would end the driver.

The first one ends the sweep cleanly, the second one at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from cluster import signals

STOPPING = "Stopping cleanly: trials end and MLflow is updated. Once more stops at once."
# Of one occasion: a session that ends sends SIGHUP twice, and SIGTERM besides.
TOGETHER_S = 2.0
# Where Ray was ended by the same signal, Tune waits for it in vain, deaf to signals.
OVERDUE_S = 10.0
# Nobody's impatience: they come again by themselves.
_REPEATED = (signal.SIGHUP, signal.SIGXCPU)


class Interrupt:
    """A `with` block in which the first signal lets Tune stop cleanly.

    Tune stops on SIGUSR1 as it does on SIGINT, but only its SIGINT can be left to us: `take_over`
    puts ours in front of its handler.

    Args:
        announce: Shows a line soon, since nothing can be printed in a handler; returns False where
            it must be written at once.

    Attributes:
        requested: Whether the sweep is to stop.
        reason: Why the sweep cannot go on, where it is not the user who stops it.
        last_resort: Ends the sweep, and returns the exit status, where Tune does not stop.
    """

    def __init__(self, announce: Callable[[str], bool] = lambda text: False) -> None:
        self._announce = announce
        self.requested = False
        self.reason = ""
        self.last_resort: Callable[[], int] | None = None
        self._first = 0
        # By the monotonic clock.
        self._since = 0.0
        self._ours = False  # a SIGUSR1 of our own is on its way
        self._stop_tune: Callable[[int, FrameType | None], Any] | None = None
        self._timer: threading.Timer | None = None
        # Held by whoever decides whether Tune has come back in time.
        self._leaving = threading.Lock()

    def stop(self, reason: str) -> None:
        """Let Tune stop cleanly, for another reason than the user's wish; any thread may."""
        if not self.requested:
            self.requested = True
            self.reason = reason
            self._ours = True
            # Only the main thread may tell Tune.
            os.kill(os.getpid(), signal.SIGUSR1)

    def take_over(self) -> None:
        """Put ours in front of the handler that Tune has just set, on the main thread."""
        handler = signal.getsignal(signal.SIGUSR1)
        if callable(handler) and handler != self._handle:
            self._stop_tune = handler
            signal.signal(signal.SIGUSR1, self._handle)
        if self.requested:
            self._tell_tune()

    def let_go(self) -> None:
        """Note that Tune has come back."""
        with self._leaving:
            self._stop_tune = None
        if self._timer:
            self._timer.cancel()

    def __enter__(self) -> Self:
        self._before = signals.catch(self._handle)
        # Of our own, even where the shell ignores it.
        self._usr1 = signal.signal(signal.SIGUSR1, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGUSR1, self._usr1)
        signals.restore(self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1 and self._ours:
            self._ours = False
            self._tell_tune()
            return
        if self.requested:
            if self._is_impatience(number):
                raise KeyboardInterrupt
            return
        self.requested = True
        self._first = number
        self._since = time.monotonic()
        # Printing is not safe in a handler; this is. There may be no terminal any more.
        if not self._announce(STOPPING):
            with suppress(OSError):
                os.write(2, f"\n{STOPPING}\n".encode())
        self._tell_tune()

    def _is_impatience(self, number: int) -> bool:
        """Return whether a further signal is to end all at once."""
        if number in _REPEATED:
            return False
        return number == self._first or time.monotonic() - self._since > TOGETHER_S

    def _tell_tune(self) -> None:
        if self._stop_tune is None:
            return
        self._stop_tune(signal.SIGUSR1, None)
        # What stops a sweep from within leaves Ray alive: Tune comes back, however long that takes.
        if self.reason:
            return
        self._timer = threading.Timer(OVERDUE_S, self._is_overdue)
        self._timer.daemon = True
        self._timer.start()

    def _is_overdue(self) -> None:
        """End the sweep and the process, on a thread, where Tune has not come back."""
        with self._leaving:
            if self._stop_tune and self.last_resort:
                status = self.last_resort()
                sys.stdout.flush()
                os._exit(status)
