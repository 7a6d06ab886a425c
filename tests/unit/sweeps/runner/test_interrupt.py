"""The first signal asks, the second one ends."""

import os
import signal

import pytest

from sweeps.runner.interrupt import Interrupt

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_raises(number: int) -> None:
    before = [signal.getsignal(each) for each in NUMBERS]
    with Interrupt() as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), number)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert [signal.getsignal(each) for each in NUMBERS] == before


def test_tune_hears_of_it_by_sigusr1() -> None:
    heard: list[int] = []
    with Interrupt():
        signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))  # as Tune does
        os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGUSR1]
