"""Whether a storage can take a sweep: its permissions, its room and its locks."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from cluster.refused import Refused
from sweeps.records.folder import check_locks, sweep_folder, sweeps_folder

# Bytes that a sweep's record and MLflow's database need; with less there is no point in starting.
LEAST_FREE = 20 * 2**20


def check_name(storage: Path, name: str) -> None:
    """Check that no sweep of a storage has a name.

    Raises:
        Refused: One has.
    """
    folder = sweep_folder(storage, name)
    if folder.exists():
        raise Refused(f"--name must be new, but {folder} exists: choose another name.")


def check_storage(storage: Path, study: str, resumed: str | None, *, own_store: bool) -> None:
    """Check that a storage can be written to, and leave nothing behind.

    Args:
        storage: The sweeps' folder; it may be still to be made.
        study: Name of the study.
        resumed: Name of the sweep that is continued.
        own_store: Whether MLflow's database is the storage's own.

    Raises:
        Refused: All that is closed to us; or the disk is full, or has no locks.
    """
    # Each by itself, since another user may have made it.
    needed = [storage, sweeps_folder(storage)]
    if own_store:
        artifacts = storage / "artifacts" / study
        needed += [artifacts, artifacts / "models"]
        needed += [storage / "mlflow.db", storage / "mlflow.db.lock"]
    if resumed:
        folder = sweep_folder(storage, resumed)
        needed.append(folder)
        needed += _entries(folder)
    mend = "change its permissions, or choose another."
    rule = "--storage must be a folder that can be written to"
    _refuse_closed(rule, needed, mend)

    # Room and locks are those of the file system.
    parent = _nearest(storage)
    try:
        check_locks(parent, "--storage")
        free = shutil.disk_usage(parent).free
    except OSError as error:
        raise Refused(f"{rule}, but {parent} cannot ({error.strerror or error}): {mend}") from error
    if free < LEAST_FREE:
        raise Refused(
            f"--storage must have {LEAST_FREE >> 20} MiB of free space, but {parent} has "
            f"{free >> 20}: make room, or choose another."
        )


def check_cache(cache: Path, storage: Path) -> None:
    """Check that the folder for what can be made again, and those in it, can be written to.

    One that is still to be made in the storage is the storage's to check.

    Raises:
        Refused: All that is closed to us; or the file system has no locks.
    """
    if cache.is_relative_to(storage) and _nearest(cache) in (storage, _nearest(storage)):
        return
    inside = [path for path in _entries(cache) if path.is_dir()]
    name = "DVT_CACHE_DIR" if os.environ.get("DVT_CACHE_DIR") else "the cache"
    rule = f"{name} must be a folder that can be written to"
    mend = "change its permissions, or choose another."
    _refuse_closed(rule, [cache, *inside], mend)
    parent = _nearest(cache)
    try:
        check_locks(parent, name)
    except OSError as error:
        raise Refused(f"{rule}, but {parent} cannot ({error.strerror}): {mend}") from error


def _refuse_closed(rule: str, needed: Iterable[Path], mend: str) -> None:
    problems = []
    for path in dict.fromkeys(map(_nearest, needed)):
        asked = os.R_OK | os.W_OK
        if path.is_dir():
            asked |= os.X_OK
        if not os.access(path, asked):
            problems.append(f"{rule}, but {path} cannot ({_why(path)}): {mend}")
    if problems:
        raise Refused(*problems)


def _why(path: Path) -> str:
    """Return why a path is closed to us, as the system says it."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return os.strerror(errno.EROFS)
    return os.strerror(errno.EACCES)


def _nearest(path: Path) -> Path:
    """Return a path, or the nearest of its parents that can be seen."""
    for candidate in (path, *path.parents):
        # Where its parent may not be searched, that one is named.
        with suppress(OSError):
            candidate.lstat()
            return candidate
    return path


def _entries(folder: Path) -> Iterator[Path]:
    """Yield what is directly in a folder; nothing where it cannot be listed."""
    try:
        yield from sorted(folder.iterdir())
    except OSError:
        return
