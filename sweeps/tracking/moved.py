"""Absolute paths of a storage that was moved or copied since they were written down.

MLflow's database and a sweep's journal hold them. Those of the database are corrected when it is
opened, those of a journal whenever they are read.
"""

from __future__ import annotations

import sqlite3
import urllib.parse
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sweeps.records.events import ChampionKept, Event, SweepFinished

ARTIFACTS = "artifacts"
# Seconds to wait for another process that writes.
_PATIENCE_S = 30.0
# All columns of MLflow's in which the place of an artifact is kept.
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)


def bring_home(database: Path, storage: Path) -> list[Path]:
    """Correct the places in a storage's own database after the storage was moved or copied.

    Afterwards its artifacts are found here, and new ones are written here: never to the old place,
    which may be another copy's. What this storage has no artifacts of, while the old one has, is
    left alone. The caller holds the database's lock.

    Args:
        database: An SQLite file with MLflow's tables.
        storage: The folder in which it is.

    Returns:
        The folders where the storage was before; none where nothing was to be corrected.

    Raises:
        sqlite3.Error: The database cannot be written.
    """
    before: dict[Path, None] = {}
    with closing(sqlite3.connect(database, timeout=_PATIENCE_S)) as connection, connection:
        connection.execute("begin immediate")
        for location, name, old in list(_strange(connection, storage)):
            _move(connection, location, (storage / ARTIFACTS / name).as_uri())
            before[old] = None
    return list(before)


def here(event: Event | None, folder: Path) -> Event | None:
    """Return an event of a journal with its paths in the sweep's folder as that is now.

    Args:
        event: One that may name files of the sweep.
        folder: The sweep's.
    """
    if isinstance(event, ChampionKept):
        return replace(
            event,
            checkpoint=_in(folder, event.checkpoint),
            predictions=_in(folder, event.predictions),
        )
    if isinstance(event, SweepFinished):
        files = {name: _in(folder, path) for name, path in event.artifacts.items()}
        return replace(event, artifacts=files)
    return event


def _strange(connection: sqlite3.Connection, storage: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield location and name of each experiment that belongs here, and the storage it names."""
    experiments = connection.execute("select artifact_location, name from experiments")
    for location, name in experiments:
        old = _storage_of(location or "", name)
        if old is None or old == storage or _same(old, storage):
            continue
        if _is_there(storage / ARTIFACTS / name) or not _is_there(old / ARTIFACTS / name):
            yield location, name, old


def _storage_of(location: str, name: str) -> Path | None:
    """Return the storage that gave an experiment its place; None where something else did."""
    parts = urllib.parse.urlsplit(location)
    path = Path(urllib.parse.unquote(parts.path))
    ours = parts.scheme == "file" and path.parts[-2:] == (ARTIFACTS, name)
    return path.parents[1] if ours else None


def _is_there(path: Path) -> bool:
    """Return whether a path is to be seen, also where one may not look."""
    try:
        return path.exists()
    except OSError:
        return False


def _same(one: Path, other: Path) -> bool:
    """Return whether two paths are one folder, as by a link."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _move(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Replace a place, and the beginning of all places below it."""
    for table, column in _PLACES:
        below = f"substr({column}, 1, length(:old) + 1) = :old || '/'"
        moved = f":new || substr({column}, length(:old) + 1)"
        change = f"update {table} set {column} = {moved}"
        connection.execute(f"{change} where {column} = :old or {below}", {"old": old, "new": new})


def _in(folder: Path, path: str) -> str:
    """Return where a file of a sweep is now."""
    # .../sweeps/<name>/<file>
    _, found, below = path.rpartition("/sweeps/")
    file = below.partition("/")[2]
    return str(folder.absolute() / file) if found and file else path
