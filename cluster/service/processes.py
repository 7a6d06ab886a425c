"""Processes of one origin, found again by what Linux says of them: never by a name, so that nobody else's is ever ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
MARK = "DVT_SERVICE"
"""A variable in the environment of all that a service starts, and so of what these start."""
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this boot: a number comes again after a while, but never with the same start.

    Attributes:
        pid: Its number.
        started: In clock ticks since the machine's start.
    """

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether it still runs. One that ended and was not waited for does not."""
        return _started(self.pid) == self.started

    def arguments(self) -> list[str]:
        """Its command line; empty where it is gone."""
        try:
            return (
                (PROC / str(self.pid) / "cmdline")
                .read_bytes()
                .decode(errors="replace")
                .rstrip("\0")
                .split("\0")
            )
        except OSError:
            return []

    def name(self) -> str:
        """What it calls itself, such as `ray::DashboardA` and `raylet`."""
        try:
            return (PROC / str(self.pid) / "comm").read_text().strip()
        except OSError:  # it has ended just now
            return "ended"


def process(pid: int) -> Process | None:
    """The process of that number, if there is one."""
    started = _started(pid)
    return None if started is None else Process(pid, started)


def family(mark: str, known: Collection[Process]) -> set[Process]:
    """All living processes of one origin.

    Both ways are needed: a process that renames itself overwrites its environment, as Ray's agents do, and one whose parent
    died has lost its origin.

    Args:
        mark: The value of `MARK` in their environment; a random one, which nobody else has.
        known: Processes that were seen before and have no mark, perhaps.

    Returns:
        Those with the mark, the known ones, and all descendants of these; without this process and what it descends from.
    """
    parents: dict[int, int] = {}
    found: set[int] = {one.pid for one in known if one.alive()}
    for pid in _pids():
        with suppress(OSError):
            parents[pid] = int(_stat(pid)[1])
            if f"{MARK}={mark}".encode() in (PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                found.add(pid)
    more = True
    while more:
        children = {pid for pid, parent in parents.items() if parent in found} - found
        found |= children
        more = bool(children)
    ours: int | None = os.getpid()
    while ours:
        found.discard(ours)
        ours = parents.get(ours)
    return {one for one in map(process, found) if one}


def end(
    mark: str, known: Collection[Process], *, patience: float, first: Process | None = None
) -> set[Process]:
    """End a family: SIGTERM, then SIGKILL for what is left.

    Args:
        mark: As `family` takes it.
        known: As `family` takes it.
        patience: Seconds between the two.
        first: The one that ends before the others are asked, within the same time.

    Returns:
        Those that outlive even that.
    """
    deadline = time.monotonic() + patience
    if first and first.alive():
        _send(first, signal.SIGTERM)
        while first.alive() and time.monotonic() < deadline:
            time.sleep(POLL_S)
        deadline = time.monotonic() + patience
    asked: set[Process] = set()
    while (left := family(mark, known)) and time.monotonic() < deadline:
        for one in left - asked:  # also those that were born meanwhile
            _send(one, signal.SIGTERM)
        asked |= left
        known = {*known, *left}
        time.sleep(POLL_S)
    deadline = time.monotonic() + 10
    while (left := family(mark, known)) and time.monotonic() < deadline:
        for one in left:
            _send(one, signal.SIGKILL)
        known = {*known, *left}
        time.sleep(POLL_S)
    return left


def boot() -> str:
    """What tells this start of the machine from every other."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _send(one: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if one.alive():
            os.kill(one.pid, number)


def _pids() -> Iterator[int]:
    return (int(path.name) for path in PROC.iterdir() if path.name.isdigit())


def _started(pid: int) -> int | None:
    try:
        state, *rest = _stat(pid)
    except OSError:
        return None
    return None if state in ("Z", "X") else int(rest[18])


def _stat(pid: int) -> list[str]:
    """Fields of `/proc/PID/stat` from the third one on, the state: proc(5). The second may hold anything, spaces too."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
