"""What tests of real commands share: the folder of a test run, and a store with tables."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The folder of this test run, which all of its workers share."""
    folder = tmp_path_factory.getbasetemp()
    alone = not hasattr(request.config, "workerinput")  # pytest-xdist's, of a worker
    return folder if alone else folder.parent


@pytest.fixture(scope="session")
def template(run_folder: Path) -> Path:
    """A store with tables. `prepare_store` lets one process make them; the others find them."""
    from sweeps.tracking.store import prepare_store  # not for unit tests, which need no store

    storage = run_folder / "template"
    prepare_store(None, storage)
    return storage / "mlflow.db"
