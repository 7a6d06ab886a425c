"""What a sweep stands on is removed while it runs."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.surroundings.commands import environment, study, sweep


@pytest.mark.slow
def test_a_sweeps_folder_that_is_removed_is_told_once(place: Path, cache: str) -> None:
    other = place / "other.db"
    shutil.copyfile(place / "mlruns" / "mlflow.db", other)
    words = sweep(study(place, epochs=40), "--name", "one", "--tracking-uri", f"sqlite:///{other}")
    folder = place / "mlruns" / "sweeps" / "one"
    with (place / "said").open("wb") as said:
        driver = subprocess.Popen(
            list(map(str, words)),
            cwd=place,
            env=environment(DVT_CACHE_DIR=cache),
            stdout=said,
            stderr=said,
        )
        while '"epochs"' not in (_text(folder / "trials.jsonl")):
            assert driver.poll() is None, _text(place / "said")
            time.sleep(0.1)
        time.sleep(2)
        shutil.rmtree(folder, ignore_errors=True)
        code = driver.wait(60)
    told = _text(place / "said")
    assert code == 1, told
    assert "Traceback" not in told, told
    assert told.count("was removed or moved") == 1, told
    assert "stays as it is" not in told
    with closing(sqlite3.connect(other)) as connection:
        states = {state for (state,) in connection.execute("select status from runs")}
    assert "RUNNING" not in states


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
