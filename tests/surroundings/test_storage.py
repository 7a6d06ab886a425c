"""The storage as people treat it: moved, copied, shared, and named with any character."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.surroundings.commands import dvt, run, sweep

CHAMPION = "models:/small-digits@champion"


def places(storage: Path) -> list[str]:
    """Return where MLflow has the artifacts of each run and model."""
    which = "select artifact_uri from runs union select storage_location from model_versions"
    with closing(sqlite3.connect(storage / "mlflow.db")) as connection:
        return [place for (place,) in connection.execute(which)]


def test_a_storage_may_be_moved_and_copied(place: Path, cache: str) -> None:
    image = place / "image.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(image)
    old = place / "mlruns"
    moved = place / "moved to ä%20#;'"
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
