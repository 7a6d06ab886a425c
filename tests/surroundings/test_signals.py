"""Every signal that would end the driver stops it cleanly, whoever sends it and to whom else."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.surroundings.commands import dvt, environment, run, study, sweep
from tests.surroundings.records import events, statuses

WITHIN_S = 60.0
SLOW = pytest.mark.slow


@pytest.fixture
def long(place: Path, cache: str) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a sweep that takes minutes, in a process group of its own."""
    started = []

    def start(*before: str) -> subprocess.Popen[bytes]:
        path = study(place, epochs=200, seeds=1)
        with (place / "log").open("wb") as log:
            driver = subprocess.Popen(
                [*before, *map(str, sweep(path, "--name", "x"))],
                cwd=place,
                env=environment(DVT_CACHE_DIR=cache),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_as_from_a_terminal,
            )
        started.append(driver)
        return driver

    yield start
    for driver in started:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)


def _as_from_a_terminal() -> None:
    """Take back what a shell sets for its background jobs: this test may be one."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def _trains(place: Path) -> bool:
    return any(event["event"] == "epochs" for event in events(place, "x"))


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _ended_cleanly(place: Path, driver: subprocess.Popen[bytes]) -> None:
    assert driver.wait(20) == 130
    log = (place / "log").read_text()
    assert "Traceback" not in log, log
    assert "Stopping cleanly" in log
    assert "--resume x" in log
    assert not any("finalist" in event["event"] for event in events(place, "x"))
    assert events(place, "x")[-1]["outcome"] == "interrupted"
    assert "RUNNING" not in statuses(place)


@pytest.mark.parametrize(
    "name",
    [
        "SIGUSR1",
        *(
            pytest.param(name, marks=SLOW)
            for name in (
                *("SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR2", "SIGXCPU", "SIGALRM"),
                *("SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGSTKFLT", "SIGRTMIN"),
            )
        ),
    ],
)
def test_a_signal_in_the_search_stops_it_cleanly(
    place: Path, long: Callable[..., subprocess.Popen[bytes]], name: str
) -> None:
    driver = long()
    _wait_for(lambda: _trains(place))
    driver.send_signal(getattr(signal, name))
    _ended_cleanly(place, driver)


@SLOW
@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2"])
def test_a_signal_to_all_of_its_processes_stops_it_cleanly(
    place: Path, long: Callable[..., subprocess.Popen[bytes]], name: str
) -> None:
    driver = long()
    _wait_for(lambda: _trains(place))
    os.killpg(driver.pid, getattr(signal, name))
    _ended_cleanly(place, driver)


@SLOW
def test_a_session_that_ends_with_several_signals_is_one_occasion(
    place: Path, long: Callable[..., subprocess.Popen[bytes]]
) -> None:
    driver = long()
    _wait_for(lambda: _trains(place))
    for number in (signal.SIGHUP, signal.SIGCONT, signal.SIGTERM, signal.SIGHUP):
        driver.send_signal(number)
    _ended_cleanly(place, driver)


@SLOW
def test_what_nohup_ignores_stays_ignored(
    place: Path, long: Callable[..., subprocess.Popen[bytes]]
) -> None:
    driver = long("nohup")
    _wait_for(lambda: _trains(place))
    driver.send_signal(signal.SIGHUP)
    time.sleep(3)
    assert driver.poll() is None
    driver.send_signal(signal.SIGTERM)
    _ended_cleanly(place, driver)


@SLOW
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
@pytest.mark.parametrize("after", [0.6, 1.5, 3.0, 5.0, 7.0])
def test_a_signal_before_the_search_is_a_word(
    place: Path, long: Callable[..., subprocess.Popen[bytes]], name: str, after: float
) -> None:
    driver = long()
    time.sleep(after)
    driver.send_signal(getattr(signal, name))
    assert driver.wait(20) == 130
    log = (place / "log").read_text()
    assert "Traceback" not in log, log
    assert "Interrupted" in log
    assert "RUNNING" not in statuses(place)


@pytest.mark.parametrize("words", [("list",), ("doctor",), ("clean",)])
def test_ctrl_c_in_the_first_moments_is_a_word(place: Path, words: tuple[str, ...]) -> None:
    """What lies before the project's first line, some 30 ms, is Python's own."""
    for after in (0.08, 0.12, 0.16, 0.25):
        command = subprocess.Popen(
            list(map(str, dvt(*words))),
            cwd=place,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        time.sleep(after)
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=20)
        if b"Traceback" in said:
            assert b"trainables" not in said, said
            assert b"sweeps" not in said, said
        else:
            assert command.returncode in (0, 130), said


def test_a_limit_of_cpu_seconds_stops_a_command_with_a_word(place: Path) -> None:
    ran = run(["bash", "-c", "ulimit -S -t 1; exec " + " ".join(map(str, dvt("doctor")))], place)
    assert ran.code == 130
    assert ran.err.strip() == "Interrupted."
