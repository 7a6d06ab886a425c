"""What tests of surroundings share: a cache, and a storage whose MLflow has its tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sweeps.tracking.environment import prepare_process
from tests.surroundings.commands import study

prepare_process()  # as the commands do, before a test imports MLflow


@pytest.fixture(scope="session")
def cache(run_folder: Path) -> str:
    """One cache for all: data are decoded once."""
    folder = run_folder / "cache"
    folder.mkdir(exist_ok=True)
    return str(folder)


@pytest.fixture
def place(tmp_path: Path, template: Path) -> Path:
    """A working folder with the small study, and a default storage with tables."""
    (tmp_path / "mlruns").mkdir()
    shutil.copyfile(template, tmp_path / "mlruns" / "mlflow.db")
    study(tmp_path)
    return tmp_path
