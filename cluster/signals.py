"""The signals that end a process by default, when somebody sends them: caught, or kept from others.

Schedulers, terminals and limits send more than SIGINT and SIGTERM: SIGHUP where ssh drops, SIGUSR1
or SIGXCPU before time is up.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

_NOT_CAUGHT = ("SIGKILL", "SIGSTOP")
# Faults of the process itself, that leave nothing to continue with.
_FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS", "SIGABRT")
# By default they are ignored, or stop a process; Python ignores two more.
_HARMLESS = (
    *("SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGTSTP", "SIGTTIN", "SIGTTOU"),
    *("SIGPIPE", "SIGXFSZ", "SIGINFO"),
)

# How often a signal that has to wait is sent once more.
_AGAIN_S = 0.1

Handler = Callable[[int, FrameType | None], None]


def _ending() -> frozenset[int]:
    """Return all signals of this system that end a process by default and may be caught."""
    others = {getattr(signal, name, None) for name in (*_NOT_CAUGHT, *_FAULTS, *_HARMLESS)}
    return frozenset(signal.valid_signals() - others)


ENDING = _ending()
# A process that Ray starts needs these itself: to end.
_RAYS = frozenset({signal.SIGTERM, signal.SIGINT})


def catch(handler: Handler) -> Mapping[int, Any]:
    """Set a handler for all of them, but for those that are ignored, as SIGHUP is by `nohup`.

    Only the main thread may.

    Returns:
        What was set before, for `restore`.
    """
    before = {}
    for number in sorted(ENDING):
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    return before


def restore(before: Mapping[int, Any]) -> None:
    """Set what `catch` has returned; a handler that was not Python's becomes the default one."""
    for number, handler in before.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


def interrupt(number: int, frame: FrameType | None) -> None:
    """End what runs as Ctrl-C does, once torch is imported where it is being imported.

    Torch's C++ calls Python then, and ends the process (SIGABRT) at an exception in it.

    Raises:
        KeyboardInterrupt: Always, but for that import: then a little later.
    """
    if _is_being_imported("torch"):
        again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
        return
    raise KeyboardInterrupt


def _is_being_imported(name: str) -> bool:
    module = sys.modules.get(name)
    # Python's own import system keeps it so (`importlib._bootstrap._find_and_load`).
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


@contextmanager
def kept_from_children() -> Iterator[None]:
    """Start processes in a `with` block that outlive a signal to the whole process group.

    They inherit what is blocked. Here nothing is lost: what arrives meanwhile comes at the end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING - _RAYS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def none_swallowed() -> Iterator[None]:
    """Raise at the end of a `with` block what a signal raised in it, and a library swallowed.

    That happens where it comes in a hook or a destructor. In another thread than the main one no
    handler runs, and nothing is done.

    Raises:
        KeyboardInterrupt: One came in the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Python writes each signal's number there, whatever its handler does.
    told, tells = socket.socketpair()
    told.setblocking(False)
    tells.setblocking(False)
    before = signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
    try:
        yield
        with suppress(BlockingIOError):
            if ENDING & frozenset(told.recv(4096)):
                raise KeyboardInterrupt
    finally:
        signal.set_wakeup_fd(before)
        told.close()
        tells.close()
