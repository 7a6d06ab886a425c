"""A thread that does slow writes one after another, so that whoever asks for them neither waits nor fails."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeAlias

Write: TypeAlias = Callable[[], None]

GATHER_SECONDS = 0.1  # writes that arrive within this time of each other are done in one go, and may share a request
_MAX_REASON = 300  # characters


class BackgroundWriter:
    """Runs writes in the order in which they were put, all on one daemon thread. A write that raises is counted.

    Args:
        target: What is written to, as the report names it.
        settle: Called on the thread after each go; gives the writes that the go has left to do, such as merged batches.
    """

    def __init__(self, target: str, settle: Callable[[], Iterable[Write]]) -> None:
        self._target = target
        self._settle = settle
        self._queue: queue.SimpleQueue[Write | threading.Event | None] = queue.SimpleQueue()
        self._failures = 0
        self._first_reason = ""
        self._thread = threading.Thread(target=self._work, name=f"{target}-writer", daemon=True)
        self._thread.start()

    def put(self, write: Write) -> None:
        """Ask for a write; returns at once."""
        self._queue.put(write)

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put so far is done, at most `timeout` seconds; whether it is."""
        done = threading.Event()
        self._queue.put(done)
        return done.wait(timeout)

    def close(self, timeout: float) -> str | None:
        """End the thread once all writes are done; one line if writes failed or are not done after `timeout` seconds."""
        self._queue.put(None)
        self._thread.join(timeout)
        lines = []
        if self._failures:
            writes = "1 write" if self._failures == 1 else f"{self._failures} writes"
            lines.append(f"{writes} to {self._target} failed: {self._first_reason}")
        if self._thread.is_alive():
            lines.append(f"{self._target} did not take all writes within {timeout:g} s; the last ones are lost.")
        return " ".join(lines) or None

    def _work(self) -> None:
        closing = False
        while not closing:
            items = [self._queue.get()]
            if items[0] is not None and not isinstance(items[0], threading.Event):
                time.sleep(GATHER_SECONDS)
            while not self._queue.empty():
                items.append(self._queue.get())
            for item in items:
                if callable(item):
                    self._attempt(item)
            self._attempt(self._settle_all)
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()
            closing = None in items

    def _settle_all(self) -> None:
        for write in self._settle():
            self._attempt(write)

    def _attempt(self, write: Write) -> None:
        try:
            write()
        except Exception as error:  # noqa: BLE001  A record that cannot be written must not end hours of training.
            self._failures += 1
            if not self._first_reason:
                self._first_reason = f"{type(error).__name__}: {one_line(error)}"


def one_line(error: BaseException) -> str:
    """The line of an error's message that says what went wrong."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith("(raised as a result of")]  # SQLAlchemy's preamble
    return (said or [type(error).__name__])[0][:_MAX_REASON]
