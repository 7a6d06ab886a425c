"""Sweeps as users start them: real processes, on the embedded data, in a folder of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from sweeps.tracking.environment import prepare_process
from sweeps.tracking.store import prepare_store
from tests.integration.postgres import Postgres

prepare_process()  # as the commands do, before a test imports MLflow

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "sweeps" / "depth_vs_tricks.py"


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str
    cwd: Path


def environment(**changes: str) -> Mapping[str, str]:
    """The test's own environment.

    Its mode of Ray's authentication does not depend on the machine's home directory.

    MLflow writes its addresses into the environment of the process that sets them: those of other
    tests are left out.
    """
    ours = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    }
    return {
        **ours,
        "RAY_AUTH_MODE": "disabled",
        "CUDA_VISIBLE_DEVICES": "",
        "COLUMNS": "140",
        **changes,
    }


def run(
    cwd: Path, *arguments: str, study: Path = STUDY, timeout: float = 300, **changes: str
) -> Ran:
    """Run a study in a folder, as `python sweeps/x.py …`."""
    done = subprocess.run(
        [sys.executable, str(study), *arguments],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr, cwd)


@pytest.fixture(autouse=True)
def no_store_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out the addresses that MLflow holds for this process, and those in its environment."""
    import mlflow

    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One cache for all sweeps of the session, in all its processes.

    The source models are trained once.
    """
    folder = shared_folder(tmp_path_factory) / "cache"
    folder.mkdir(exist_ok=True)
    return str(folder)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Ran:
    """The demo sweep, run once for all tests that look at what it left, in whatever process."""
    folder = shared_folder(tmp_path_factory) / "demo"
    told = folder.with_suffix(".json")
    with FileLock(folder.with_suffix(".lock")):
        if not told.is_file():
            folder.mkdir()
            command = ("--preset", "demo", "--name", "first")
            done = run(folder, *command, timeout=1000, DVT_CACHE_DIR=cache)
            told.write_text(json.dumps([done.code, done.out, done.err]))
    code, out, err = json.loads(told.read_text())
    return Ran(code, out, err, folder)


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the session, which its processes share."""
    own = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        return own.parent
    return own


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tables, made once: making them takes a second or two."""
    storage = tmp_path_factory.mktemp("template")
    prepare_store(None, storage)
    return storage / "mlflow.db"


@pytest.fixture
def store(template: Path, tmp_path: Path) -> tuple[str, Path]:
    (tmp_path / "mlflow.db").write_bytes(template.read_bytes())
    return prepare_store(None, tmp_path), tmp_path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for the session; each test makes its own database."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.delete()
