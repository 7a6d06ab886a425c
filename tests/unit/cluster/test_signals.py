"""Signals that end a process: caught, kept from children, and never swallowed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from cluster.signals import ENDING, interrupt, kept_from_children, none_swallowed


def test_all_that_end_a_process_from_outside_are_among_them() -> None:
    for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM", "XCPU", "IO", "PWR"):
        assert getattr(signal, f"SIG{name}") in ENDING
    assert signal.SIGRTMIN in ENDING
    for name in ("KILL", "SEGV", "CHLD", "CONT", "TSTP", "WINCH", "PIPE"):
        assert getattr(signal, f"SIG{name}") not in ENDING


def test_a_child_outlives_what_is_meant_for_us_but_not_its_own_end() -> None:
    with kept_from_children():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU):
        child.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.2)
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_library_swallows_is_raised_all_the_same(number: int) -> None:
    def ours(*_: object) -> None:
        raise SystemExit

    before = signal.signal(number, ours)
    try:
        with pytest.raises(KeyboardInterrupt), none_swallowed(), suppress(SystemExit):
            os.kill(os.getpid(), number)
        with none_swallowed():
            pass
    finally:
        signal.signal(number, before)


def test_a_signal_waits_until_torch_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's C++ ends the process where Python raises in that import."""
    torch = ModuleType("torch")
    torch.__spec__ = ModuleSpec("torch", None)
    monkeypatch.setitem(sys.modules, "torch", torch)
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        torch.__spec__._initializing = True
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.25)
        torch.__spec__._initializing = False
        with pytest.raises(KeyboardInterrupt):
            time.sleep(10)
    finally:
        signal.signal(signal.SIGUSR1, before)
