"""The limits of control groups, which a container or a batch system puts around its processes.

Both versions, and groups inside groups: the tightest of them holds. On a system without control
groups there are no limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROCESS = Path("/proc/self")
_NO_LIMIT = 2**60  # bytes; version 1 writes a number close to 2**63 where there is none


def cpu_limit() -> float | None:
    """Return how many CPUs' time this process may use; None is no limit."""
    limits = []
    for folder in _groups("cpu"):
        with suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text().split()
            limits.append(int(quota) / int(period))  # "max" is no number
        with suppress(OSError, ValueError):
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
            limits.append(int(quota) / int(period))
    return min((limit for limit in limits if limit > 0), default=None)


def memory_limit() -> int | None:
    """Return how many bytes this process and those beside it may hold; None is no limit."""
    limits = []
    for folder in _groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):
                limits.append(int((folder / name).read_text()))
    return min((limit for limit in limits if limit < _NO_LIMIT), default=None)


def process_room() -> int | None:
    """Return how many more threads the processes of the group may start; None is no limit."""
    room = []
    for folder in _groups("pids"):
        with suppress(OSError, ValueError):
            most = int((folder / "pids.max").read_text())
            room.append(most - int((folder / "pids.current").read_text()))
    return min(room, default=None)


def _groups(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's groups, the innermost first, of both versions."""
    try:
        groups = (PROCESS / "cgroup").read_text().splitlines()
        mounts = (PROCESS / "mountinfo").read_text().splitlines()
    except OSError:
        return
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        for root, top in _mounted(mounts, controller if controllers else ""):
            # A container sees its own group as the top, but may be told the path from outside.
            inside = path.removeprefix(root.rstrip("/")).strip("/")
            folder = top / inside
            if not folder.is_dir():
                folder = top
            yield folder
            if folder != top:
                yield from (outer for outer in folder.parents if outer.is_relative_to(top))


def _mounted(mounts: list[str], controller: str) -> Iterator[tuple[str, Path]]:
    """Yield root and place of each mount of a controller; an empty one is version 2."""
    for line in mounts:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if controller:
            fits = kind == "cgroup" and controller in options.split()[-1].split(",")
        else:
            fits = kind == "cgroup2"
        if fits:
            root, place = (_unescaped(word) for word in before.split()[3:5])
            yield root, Path(place)


def _unescaped(word: str) -> str:
    """Return a path of the kernel's lists, where a space is `\\\\040`."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), word)
