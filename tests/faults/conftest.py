"""What tests of faults share: a cache, a store with tables, a sweep to which nothing happened.

`make test` and `make test-slow` run two files at a time: their drivers wait for Ray, for imports
and for each other's end more than they compute. The tests of one file share a worker.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweeps.tracking.environment import prepare_process
from tests.faults.processes import Faulty, end_all, environment

prepare_process()  # as the commands do, before a test imports MLflow

Make = Callable[..., Faulty]


@pytest.fixture(scope="session")
def cache(run_folder: Path) -> Path:
    folder = run_folder / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def whole(
    tmp_path_factory: pytest.TempPathFactory, template: Path, cache: Path
) -> Iterator[Faulty]:
    """A sweep of three trials and their finalists to which nothing happens.

    It runs beside the test: wait for its end. Its tests are in one file, so that it is made once.
    """
    with _making(tmp_path_factory.mktemp("whole"), template, cache) as make:
        sweep = make()
        sweep.start(3)
        yield sweep


@pytest.fixture
def make(tmp_path: Path, template: Path, cache: Path) -> Iterator[Make]:
    """Make a sweep of the test's own, whose processes all end with the test."""
    with _making(tmp_path, template, cache) as made:
        yield made


@contextmanager
def _making(folder: Path, template: Path, cache: Path) -> Iterator[Make]:
    mark = uuid.uuid4().hex

    def made(
        storage: Path | None = None, *, cache: Path = cache, slots: int = 1, finalist_seeds: int = 1
    ) -> Faulty:
        storage = storage or folder / "runs"
        sweep = Faulty(
            storage, "hurt", environment(cache, mark), slots=slots, finalist_seeds=finalist_seeds
        )
        shutil.copyfile(template, storage / "mlflow.db")
        return sweep

    try:
        yield made
    finally:
        end_all(mark)
