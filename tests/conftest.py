"""What tests share: the folder of a test run, a store with tables, and a line on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cpu_class import ran_under


def pytest_report_header() -> str:
    """Say what this run computes with; `-q` shows no header."""
    return ran_under()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what this run computed with."""
    terminalreporter.write_line(ran_under())


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
