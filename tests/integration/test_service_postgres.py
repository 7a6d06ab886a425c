"""A service whose MLflow is on a team's PostgreSQL."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.audit import audit
from cluster.service.parts import MLFLOW
from cluster.service.state import FOLDER
from tests.integration.postgres import PASSWORD, USER, Postgres, missing
from tests.integration.services import SMALL, Service, holds, wait

PROC = Path("/proc")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.timeout(900),
]


@pytest.fixture
def dvt(
    tmp_path: Path, cache: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """A service that is down, and will be."""
    file = postgres.password_file(tmp_path / "pgpass")
    made = Service(tmp_path, cache, PGPASSFILE=str(file))
    monkeypatch.setenv(FOLDER, str(made.home))
    yield made
    made("service", "down")


def test_two_submitted_sweeps_write_at_once_and_the_password_stays_in_its_file(
    dvt: Service, postgres: Postgres
) -> None:
    uri = postgres.database("served")
    up = dvt.up("--backend-store-uri", uri.replace(f":{PASSWORD}", ""))
    assert up.returncode == 0, up.stderr
    jobs = {name: dvt.submit(*SMALL, "--trials", "2", "--name", name) for name in ("one", "two")}
    wait(lambda: dvt.events("one", "epochs"), "epochs of one", dvt)
    os.kill(dvt.state.mlflow.members[MLFLOW].pid, signal.SIGKILL)
    wait(lambda: dvt.state.mlflow.dead() == [MLFLOW], MLFLOW, dvt)
    again = dvt.up()
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, f"Started again: {MLFLOW}."), (
        again.stderr
    )
    for name, job in jobs.items():
        assert dvt("logs", job, "--follow").returncode == 0
        found = audit(dvt.storage / "sweeps" / name, uri)
        assert (found["lost"], found["ended"]) == (0, {"completed": 2}), (
            f"{found}\n{dvt('logs', job).stdout}"
        )
    kept = [
        path for place in (dvt.storage, dvt.home) for path in place.rglob("*") if path.is_file()
    ]
    shown = PROC.glob("[0-9]*/cmdline")
    assert [path for path in (*kept, *shown) if holds(path, PASSWORD.encode())] == []


def test_a_password_in_the_address_is_asked_for_again_since_it_is_written_nowhere(
    dvt: Service, postgres: Postgres
) -> None:
    uri = postgres.database("asked")
    assert dvt.up("--backend-store-uri", uri).returncode == 0
    assert not [
        path for path in dvt.home.rglob("*") if path.is_file() and holds(path, PASSWORD.encode())
    ]
    os.kill(dvt.state.mlflow.members[MLFLOW].pid, signal.SIGKILL)
    wait(lambda: dvt.state.mlflow.dead() == [MLFLOW], MLFLOW, dvt)
    refused = dvt.up()
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "give --backend-store-uri again" in refused.stderr
    assert dvt.up("--backend-store-uri", uri).returncode == 0
    assert dvt("service", "status").returncode == 0


def test_a_database_that_does_not_open_is_said_in_one_line_and_nothing_is_left(
    dvt: Service, postgres: Postgres
) -> None:
    refused = dvt.up(
        "--backend-store-uri", f"postgresql://{USER}:wrong@127.0.0.1:{postgres.port}/postgres"
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused
    assert "password authentication failed" in refused.stderr
    assert "wrong" not in refused.stderr
    assert dvt("service", "status").stdout == "The service is not up.\n"
