"""What the tests of faults share: a cache, a store with tables, and one sweep to which nothing happened."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeps.runner.tracking import prepare_store
from tests.faults.processes import Faulty, end_all, environment

Make = Callable[..., Faulty]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tables, made once."""
    storage = tmp_path_factory.mktemp("template")
    prepare_store(None, storage)
    return storage / "mlflow.db"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, template: Path, cache: Path) -> Iterator[Faulty]:
    """A sweep of three trials that ran from its start to its end; only to be read."""
    mark = uuid.uuid4().hex
    sweep = _made(tmp_path_factory.mktemp("whole") / "runs", template, cache, mark)
    sweep.start(3)
    assert sweep.ended() == 0, sweep.log
    yield sweep
    end_all(mark)


@pytest.fixture
def make(tmp_path: Path, template: Path, cache: Path) -> Iterator[Make]:
    """Makes a sweep of the test's own, whose processes all end with the test."""
    mark = uuid.uuid4().hex

    def made(storage: Path | None = None, *, cache: Path = cache, slots: int = 1) -> Faulty:
        return _made(storage or tmp_path / "runs", template, cache, mark, slots=slots)

    yield made
    end_all(mark)


def _made(storage: Path, template: Path, cache: Path, mark: str, *, slots: int = 1) -> Faulty:
    sweep = Faulty(storage, "hurt", environment(cache, mark), slots=slots)
    shutil.copyfile(template, storage / "mlflow.db")
    return sweep
