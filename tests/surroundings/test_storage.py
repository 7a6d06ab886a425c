"""The storage as people treat it: moved, copied, shared, and named with any character."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.surroundings.commands import ROOT, dvt, run, sweep

SLOW = pytest.mark.slow
# Root's power over permissions is dropped.
AS_ANOTHER = ("unshare", "-U", "--map-user=1234", "--map-group=1234")
JOURNAL = ROOT / "tests" / "journals" / "finished"
NO_LOCKS = """
import errno, fcntl, os

def flock(file, kind):
    raise OSError(errno.{error}, os.strerror(errno.{error}))

fcntl.flock = flock
"""
CHAMPION = "models:/small-digits-demo@champion"


def places(storage: Path) -> list[str]:
    """Return where MLflow has the artifacts of each run and model."""
    which = "select artifact_uri from runs union select storage_location from model_versions"
    with closing(sqlite3.connect(storage / "mlflow.db")) as connection:
        return [place for (place,) in connection.execute(which)]


@pytest.mark.slow
def test_a_storage_may_be_moved_and_copied(place: Path, cache: str) -> None:
    image = place / "image.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(image)
    old = place / "mlruns"
    moved = place / "moved to ä?%20#;'"
    done = run(sweep(place / "small.py", "--name", "one"), place, DVT_CACHE_DIR=cache)
    assert done.code == 0, done.said

    # Moved: the old champion loads, and its place is not made anew.
    old.rename(moved)
    predict = dvt("predict", image, "--model", CHAMPION, "--storage")
    ran = run([*predict, moved], place)
    assert ran.code == 0, ran.said
    assert f"note: This storage was {old} before" in ran.err
    assert all(uri.startswith(moved.as_uri()) for uri in places(moved))

    # Copied: what is delivered of the copy goes to the copy alone.
    copy = place / "copy"
    shutil.copytree(moved, copy)
    files = sorted(moved.rglob("*"))
    (copy / "sweeps" / "one" / "mlflow.offset").unlink()
    with closing(sqlite3.connect(copy / "mlflow.db")) as connection, connection:
        connection.execute("delete from model_version_tags")  # it is registered once more
    ran = run(dvt("sync", "one", "--storage", copy), place)
    assert ran.code == 0, ran.said
    assert "MLflow has all of one" in ran.out
    assert all(uri.startswith(copy.as_uri()) for uri in places(copy))
    assert sorted(moved.rglob("*")) == files
    assert not old.exists()


@pytest.mark.slow
def test_a_new_sweep_of_a_moved_storage_ships_its_champion_there(place: Path, cache: str) -> None:
    words = sweep(place / "small.py", "--name")
    assert run([*words, "one"], place, DVT_CACHE_DIR=cache).code == 0
    moved = (place / "mlruns").rename(place / "moved")
    ran = run([*words, "two", "--storage", moved], place, DVT_CACHE_DIR=cache)
    assert ran.code == 0, ran.said
    assert f"This storage was {place / 'mlruns'} before" in ran.out
    assert all(uri.startswith(moved.as_uri()) for uri in places(moved))
    assert len(list(moved.rglob("MLmodel"))) == 2
    assert not (place / "mlruns").exists()


@pytest.mark.parametrize("error", ["ENOLCK", "ENOSYS", pytest.param("ENOTSUP", marks=SLOW)])
def test_a_file_system_without_locks_is_named(place: Path, error: str) -> None:
    (place / "site").mkdir()
    (place / "site" / "sitecustomize.py").write_text(NO_LOCKS.format(error=error))
    path = f"{place / 'site'}:{ROOT}"
    ran = run(sweep(place / "small.py", "--dry-run"), place, PYTHONPATH=path)
    assert ran.code == 2
    assert "--storage must be on a file system that has locks" in ran.err
    assert "another process" not in ran.said


def test_all_that_another_user_has_closed_is_said_at_once(place: Path) -> None:
    storage = place / "mlruns"
    closed = [storage / "sweeps", storage / "artifacts" / "small", place / "cache" / "data"]
    for folder in closed:
        folder.mkdir(parents=True)
    for path in (*closed, storage / "mlflow.db"):
        os.chown(path, 1000, 1000)
        path.chmod(0o555)
    for path in (storage, place, place / "cache"):
        path.chmod(0o777)
    words = sweep(place / "small.py")
    ran = run(words, place, under=AS_ANOTHER, DVT_CACHE_DIR=str(place / "cache"))
    assert ran.code == 2, ran.said
    for path in (*closed, storage / "mlflow.db"):
        assert f"but {path} cannot (Permission denied)" in ran.err
    assert len(ran.err.splitlines()) == 4


def test_the_sweep_of_another_user_is_refused_in_a_line(place: Path) -> None:
    folder = place / "mlruns" / "sweeps" / "theirs"
    folder.mkdir(parents=True)
    shutil.copytree(JOURNAL, folder, dirs_exist_ok=True)
    (folder / "driver.lock").touch()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 1000, 1000)
    for words in (["clean", "theirs", "--yes"], ["report", "theirs"], ["list"]):
        ran = run(dvt(*words), place, under=AS_ANOTHER)
        assert ran.code == (0 if words == ["list"] else ran.code or 1), ran.said
        assert words == ["list"] or "theirs" in ran.err
    (folder / "driver.lock").chmod(0o600)
    folder.chmod(0o700)
    assert run(dvt("list"), place, under=AS_ANOTHER).code == 0
    assert folder.is_dir()
