"""Processes of one origin are found with all that they start, and nobody else's is."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cluster.service.processes import MARK, Process, boot, end, family, process

ORPHAN = "(sleep 60 &) ; sleep 60"
RENAMED = "import os\nos.execve('/bin/sleep', ['sleep', '60'], {})"
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print(flush=True)\ntime.sleep(60)"
)

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a marked process in a session of its own; all of these are gone afterwards."""
    sessions: list[subprocess.Popen[bytes]] = []

    def started(*command: str, mark: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, MARK: mark}
        sessions.append(
            subprocess.Popen(
                command, env=environment, start_new_session=True, stdout=subprocess.PIPE
            )
        )
        return sessions[-1]

    yield started
    for one in sessions:
        with suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
        one.communicate()


def settled(mark: str, number: int, known: tuple[Process, ...] = ()) -> set[Process]:
    deadline = time.monotonic() + 5
    while len(found := family(mark, known)) != number and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def test_a_family_has_children_and_orphans_but_not_those_of_another_mark(start: Start) -> None:
    start("sh", "-c", ORPHAN, mark="mine")
    other = start("sleep", "60", mark="another")
    found = settled("mine", 3)
    assert sorted(one.arguments()[0] for one in found) == ["sh", "sleep", "sleep"]
    assert other.pid not in {one.pid for one in found}


def test_one_that_lost_its_mark_is_found_by_its_parent_and_when_that_is_gone_by_what_was_known(
    start: Start,
) -> None:
    parent = start("sh", "-c", f'{sys.executable} -c "{RENAMED}" & wait', mark="mine")
    found = settled("mine", 2)
    while not any(one.arguments() == ["sleep", "60"] for one in found):
        found = settled("mine", 2)
    parent.kill()
    parent.wait()
    assert settled("mine", 0) == set()
    (left,) = settled("mine", 1, tuple(found))
    assert left.arguments() == ["sleep", "60"]
    assert end("mine", found, patience=5) == set()
    assert not left.alive()


def test_a_number_that_another_process_has_now_is_not_the_known_one(start: Start) -> None:
    stranger = start("sleep", "60", mark="another")
    now = process(stranger.pid)
    assert now
    assert family("mine", [Process(now.pid, now.started - 1)]) == set()
    assert family("mine", [now]) == {now}


def test_this_process_and_what_it_descends_from_are_never_of_the_family() -> None:
    here, parent = process(os.getpid()), process(os.getppid())
    assert here
    assert parent
    assert not {here, parent} & family("mine", [here, parent])


def test_who_ignores_sigterm_is_killed(start: Start) -> None:
    stubborn = start(sys.executable, "-c", STUBBORN, mark="mine")
    assert stubborn.stdout
    stubborn.stdout.readline()
    assert end("mine", (), patience=0.3) == set()
    assert stubborn.wait(timeout=5) == -signal.SIGKILL


def test_the_first_one_ends_before_the_others_are_asked(start: Start) -> None:
    first, other = start("sleep", "60", mark="mine"), start("sleep", "60", mark="mine")
    leader = process(first.pid)
    order: list[int] = []

    def look(signal_number: int, frame: object) -> None:
        order.extend(
            one.pid for one in (first, other) if one.poll() is not None and one.pid not in order
        )

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        assert end("mine", (), patience=5, first=leader) == set()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    look(0, None)
    assert order == [first.pid, other.pid]


def test_a_zombie_is_dead(start: Start) -> None:
    one = start("true", mark="mine")
    os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
    assert process(one.pid) is None
    assert family("mine", ()) == set()


def test_the_boot_stays_the_same() -> None:
    assert boot() == boot() != ""


def test_a_start_is_in_clock_ticks_as_linux_has_it_whatever_the_clock_says() -> None:
    """So that a state that was written before the clock was set, or by an older version, holds."""
    own = process(os.getpid())
    assert own
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    assert own.started == int(fields[19])  # the 22nd in proc(5); this is the 3rd and on


def test_a_process_is_named_by_itself_and_nothing_is_known_of_one_that_is_gone(
    start: Start,
) -> None:
    one = start("sleep", "60", mark="mine")
    (found,) = settled("mine", 1)
    assert (found.name(), found.arguments()) == ("sleep", ["sleep", "60"])
    one.kill()
    one.wait()
    assert (found.alive(), found.name(), found.arguments()) == (False, "", [])
    found.send(signal.SIGTERM)
