"""Checks of the limits that a system, a container or a batch job puts around a sweep."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rich.filesize import decimal

from cluster.session import OBJECT_STORE_BYTES
from sweeps.checks.finding import Finding, Subject
from trainables.cgroups import process_room
from trainables.cpus import available_cpus
from trainables.memory import available_memory, machine_memory

LITTLE_MEMORY = 4 * 10**9  # bytes
# With 2.0 GB a small sweep runs; with 1.5 GB the system kills its trials.
LEAST_MEMORY = 1_800_000_000
# Of a sweep with one slot: raylet has 52 files open and the driver 45; each further slot adds 5.
LEAST_OPEN_FILES = 128
# Bytes of addresses that a process of a sweep takes: torch and Ray reserve much and use little.
LEAST_ADDRESSES = 8 * 10**9
# Threads of a sweep's Ray, driver and each worker.
RAY_THREADS = 200
SLOT_THREADS = 40


def cpu(_: Subject) -> Iterator[Finding]:
    """Say how many CPUs may be used; a container's limits count."""
    yield Finding("ok", f"{available_cpus()} of {os.cpu_count()} CPUs")


def memory(_: Subject) -> Iterator[Finding]:
    """Check memory and, where it is small, shared memory; a container's limits count."""
    limit = available_memory()
    found = f"{decimal(limit)} of {decimal(machine_memory())}"
    mend = "end other programs, or raise the container's limit, as in docker run --memory=4g."
    if limit < LEAST_MEMORY:
        least = f"a sweep needs {decimal(LEAST_MEMORY)} of memory"
        yield Finding("failed", f"{least}, but may have {decimal(limit)}", mend)
    elif limit < LITTLE_MEMORY:
        yield Finding(
            "warning", f"{found}, where the demo with 2 trials at once holds 3.7 GB", mend
        )
    else:
        yield Finding("ok", found)

    # Where Ray's object store would not fit. Not every system has the folder, or `statvfs`.
    with suppress(OSError, AttributeError):
        shared = os.statvfs("/dev/shm")
        size = shared.f_frsize * shared.f_blocks
        if size < 2 * OBJECT_STORE_BYTES:
            found = f"/dev/shm has {decimal(size)}: Ray's object store goes to the disk"
            mend = "give the container more, as in docker run --shm-size=1g."
            yield Finding("warning", found, mend)


def limits(_: Subject) -> Iterator[Finding]:
    """Check that Ray may open its files and start its threads."""
    bad = [*_open_files(), *_threads(), *_addresses()]
    yield from bad or [Finding("ok", "files, threads and addresses suffice")]


def _open_files() -> Iterator[Finding]:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < LEAST_OPEN_FILES:
        found = f"a process must be allowed to open {LEAST_OPEN_FILES} files, but may open {files}"
        mend = (
            "raise the limit where it was set (ulimit -n 4096, as root where it is a hard one; "
            "docker run --ulimit nofile=4096)."
        )
        yield Finding("failed", found, mend)


def _threads() -> Iterator[Finding]:
    needed = RAY_THREADS + SLOT_THREADS * min(available_cpus(), 8)
    room = process_room()
    threads, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    # Root is not bound by it.
    if threads != resource.RLIM_INFINITY and os.getuid() != 0:
        left = threads - _threads_of_user()
        room = left if room is None else min(left, room)
    if room is not None and room < needed:
        found = f"a sweep must be able to start {needed} threads, but {max(0, room)} are left"
        mend = (
            "end other programs, or raise the limit (ulimit -u 4096, as root where it is a hard "
            "one; docker run --pids-limit 4096)."
        )
        yield Finding("failed", found, mend)


def _addresses() -> Iterator[Finding]:
    size, _ = resource.getrlimit(resource.RLIMIT_AS)
    if size != resource.RLIM_INFINITY and size < LEAST_ADDRESSES:
        found = (
            f"a process must be allowed {decimal(LEAST_ADDRESSES)} of addresses, "
            f"but has {decimal(size)}"
        )
        yield Finding(
            "failed", found, "take the limit away where it was set (ulimit -v unlimited)."
        )


def _threads_of_user() -> int:
    """Return how many threads all processes of this user have."""
    threads = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):  # one that is ending just now
            if process.stat().st_uid == os.getuid():
                threads += len(list((process / "task").iterdir()))
    return threads
