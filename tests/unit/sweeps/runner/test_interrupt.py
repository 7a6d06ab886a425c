"""The first signal asks, the second one ends."""

import os
import signal
import threading
import time

import pytest

from cluster.signals import ENDING
from sweeps.runner import interrupt as module
from sweeps.runner.interrupt import Interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_the_first_signal_is_noted_and_the_second_raises(number: int) -> None:
    before = {each: signal.getsignal(each) for each in ENDING}
    with Interrupt() as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), number)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert {each: signal.getsignal(each) for each in ENDING} == before


def test_a_session_that_ends_is_one_occasion() -> None:
    with Interrupt() as interrupt:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
        assert interrupt.requested


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupt.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def _as_tune_does(heard: list[int]) -> None:
    signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_tune_hears_of_it_by_its_own_handler(number: int) -> None:
    heard: list[int] = []
    with Interrupt() as interrupt:
        _as_tune_does(heard)
        interrupt.take_over()
        os.kill(os.getpid(), number)
        interrupt.let_go()
        assert interrupt.requested
    assert heard == [signal.SIGUSR1]


def test_another_thread_may_stop_it_and_a_first_signal_is_no_second_one() -> None:
    heard: list[int] = []
    with Interrupt() as interrupt:
        _as_tune_does(heard)
        interrupt.take_over()
        thread = threading.Thread(target=interrupt.stop, args=("the disk is full",))
        thread.start()
        thread.join()
        deadline = time.monotonic() + 5
        while not heard and time.monotonic() < deadline:
            time.sleep(0.01)
        interrupt.let_go()
    assert heard == [signal.SIGUSR1]
    assert interrupt.reason == "the disk is full"


def test_a_sweep_that_stops_itself_waits_for_tune(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(module, "OVERDUE_S", 0.05)
    monkeypatch.setattr(os, "_exit", left.append)
    with Interrupt() as interrupt:
        interrupt.last_resort = lambda: 130
        _as_tune_does([])
        interrupt.take_over()
        interrupt.stop("the disk is full")
        time.sleep(0.3)
        interrupt.let_go()
    assert not left


def test_where_tune_does_not_come_back_the_last_resort_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: list[int] = []
    monkeypatch.setattr(module, "OVERDUE_S", 0.05)
    monkeypatch.setattr(os, "_exit", left.append)
    with Interrupt() as interrupt:
        interrupt.last_resort = lambda: 130
        _as_tune_does([])
        interrupt.take_over()
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 5
        while not left and time.monotonic() < deadline:
            time.sleep(0.01)
        interrupt.let_go()
    assert left == [130]
