"""Checks of the folders that a sweep writes to: storage, cache, and that for temporary files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.filesize import decimal

from sweeps.checks.finding import Finding, Subject
from sweeps.records.usable import LEAST_FREE, check_cache, check_storage

LITTLE_DISK = 5 * 10**9  # bytes
# Ray's longest socket, below the folder.
_SOCKET = "/ray/session_2026-01-31_12-59-59_123456_{process}/sockets/plasma_store"
_LONGEST_SOCKET = 107  # bytes, by Linux


def storage(subject: Subject) -> Iterator[Finding]:
    """Check that the storage and what is in it can be written to, and has room and locks."""
    try:
        check_storage(subject.storage, subject.study, subject.resumed, own_store=subject.own_store)
    except ValueError as error:
        yield from _failed(error)
        return
    yield _written("--storage", subject.storage, "choose another.")


def cache(subject: Subject) -> Iterator[Finding]:
    """Check the same of the cache; its room is the storage's where it is in it."""
    try:
        check_cache(subject.cache, subject.storage)
    except ValueError as error:
        yield from _failed(error)
        return
    if not subject.cache.is_relative_to(subject.storage):
        yield _written("DVT_CACHE_DIR", subject.cache, "choose another.")


def _failed(error: ValueError) -> Iterator[Finding]:
    """Yield each problem of a refusal, whose line ends with what to do."""
    for problem in str(error).splitlines():
        found, _, mend = problem.rpartition(": ")
        yield Finding("failed", found, mend)


def temporary(subject: Subject) -> Iterator[Finding]:
    """Check that a Ray of this sweep's own finds room for its files and sockets."""
    if subject.address != "local":
        return
    named = next((name for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), "")
    place = Path(os.environ[named] if named else "/tmp")
    name = named or "/tmp"
    another = _another_folder()

    # What Ray makes of an empty or a relative one depends on its working folder.
    if not place.is_absolute():
        found = f"{name} must be an absolute path, but is {os.environ[named]!r}"
        yield Finding("failed", found, another)
        return
    length = len(os.fsencode(place))
    most = _LONGEST_SOCKET - len(_SOCKET.format(process=os.getpid()))
    if length > most:
        found = f"{name} must have at most {most} bytes for Ray's sockets, but {place} has {length}"
        yield Finding("failed", found, another)
        return

    # Ray's own folder there belongs to whoever used it first.
    for folder in (place, place / "ray"):
        if folder == place or folder.exists():
            finding = _written(name, folder, another)
            if finding.state == "failed":
                yield finding
                return
    yield Finding("ok", f"{place} can be written to, for Ray's sockets and logs")


def _another_folder() -> str:
    """Return what to type so that Ray has a folder."""
    for folder in (Path("/tmp"), Path(f"/tmp/ray-{os.getuid()}")):
        for path in (folder, folder / "ray"):
            if _written("", path, "").state == "failed":
                break
        else:
            return f"pass another one, as in RAY_TMPDIR={folder}."
    return "pass a folder with room and a short path as RAY_TMPDIR."


def _written(name: str, folder: Path, another: str) -> Finding:
    """Check that a folder, or the one that it would be made in, can be written, and its room.

    Args:
        name: The flag or variable that names it.
        folder: It may not be there yet.
        another: How another one is chosen.
    """
    at = folder
    try:
        at = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryFile(dir=at, buffering=0) as file:
            free = shutil.disk_usage(at).free
            if free >= LEAST_FREE:
                file.write(bytes(4096))  # a quota lets files be made, but not be filled
    except OSError as error:
        found = f"{name} must be a folder that can be written to, but {at} cannot"
        mend = f"change its permissions, or {another}"
        return Finding("failed", f"{found} ({error.strerror or error})", mend)
    if free < LEAST_FREE:
        least = f"{LEAST_FREE >> 20} MiB of free space"
        found = f"{name} must have {least}, but {at} has {free >> 20}"
        return Finding("failed", found, f"make room, or {another}")
    found = f"{folder} can be written to, {decimal(free)} free"
    if free < LITTLE_DISK:
        return Finding("warning", found, "make room: dvt clean shows what takes it.")
    return Finding("ok", found)
