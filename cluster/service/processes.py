"""Processes of one origin, found by their environment and descent.

Never by a name, so that nobody else's is ever ended.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "DVT_SERVICE"
"""A variable in the environment of all that a service starts, and so of what these start."""
POLL_S = 0.1
KILL_WITHIN_S = 10.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


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
        """Return whether it still runs. One that ended and was not waited for does not."""
        return process(self.pid) == self

    def arguments(self) -> list[str]:
        """Return its command line; empty where it is gone."""
        with suppress(psutil.Error):
            return list(psutil.Process(self.pid).cmdline())
        return []

    def name(self) -> str:
        """Return what it calls itself, such as `ray::DashboardAgent`; empty where it is gone."""
        with suppress(psutil.Error):
            return str(psutil.Process(self.pid).name())
        return ""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(psutil.Error):
            if self.alive():
                psutil.Process(self.pid).send_signal(number)


def process(pid: int) -> Process | None:
    """Return the process of that number, if there is one."""
    try:
        found = psutil.Process(pid)
        if found.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        # A clock that is set moves both.
        since_boot = found.create_time() - psutil.boot_time()
        return Process(pid, round(since_boot * _TICKS_PER_S))
    except psutil.Error:
        return None


def family(mark: str, known: Collection[Process]) -> set[Process]:
    """Return all living processes of one origin.

    Both ways are needed: a process that renames itself overwrites its environment, as Ray's agents
    do, and one whose parent died has lost its origin.

    Args:
        mark: The value of `MARK` in their environment; a random one, which nobody else has.
        known: Processes that were seen before and have no mark, perhaps.

    Returns:
        Those with the mark, the known ones, and all descendants of these; without this process and
        what it descends from.
    """
    # Those with the mark, and the tree of all processes; others' environments are closed to us.
    members = {one.pid for one in known if one.alive()}
    parents: dict[int, int] = {}
    for pid in psutil.pids():
        with suppress(psutil.Error):
            one = psutil.Process(pid)
            parents[pid] = one.ppid()
            if one.environ().get(MARK) == mark:
                members.add(pid)

    # Descendants: a generation per round.
    more = members
    while more:
        more = {pid for pid, parent in parents.items() if parent in members} - members
        members |= more

    # Whoever asks may be of the family, such as a terminal in a job; it must not end itself.
    ours = psutil.Process()
    members -= {ours.pid, *(one.pid for one in ours.parents())}
    return {one for one in map(process, members) if one}


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
    # The one that others would wait for.
    if first:
        first.send(signal.SIGTERM)
        deadline = time.monotonic() + patience
        while first.alive() and time.monotonic() < deadline:
            time.sleep(POLL_S)
    # Asked, then killed.
    for number, within in ((signal.SIGTERM, patience), (signal.SIGKILL, KILL_WITHIN_S)):
        asked: set[Process] = set()
        deadline = time.monotonic() + within
        while (left := family(mark, known)) and time.monotonic() < deadline:
            # Those that were born meanwhile too.
            for one in left - asked:
                one.send(number)
            asked |= left
            known = {*known, *left}
            time.sleep(POLL_S)
    return left


def boot() -> str:
    """Return what tells this start of the machine from every other."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
