"""A service is what was asked for, and what it was before for the rest."""

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.service import parts
from cluster.service.wanted import wanted
from tests.unit.cluster.service.test_state import STATE


def test_without_flags_it_is_for_this_machine_only_and_for_the_sweeps_that_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = wanted(None)
    assert (state.host, state.storage) == ("127.0.0.1", str(tmp_path / "mlruns"))
    assert state.backend == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    assert parts.is_local(state.host)


def test_what_is_left_out_is_as_it_was() -> None:
    assert wanted(STATE) == STATE
    assert wanted(STATE, cpus=4) == replace(STATE, cpus=4)


def test_a_new_storage_holds_the_database_too_unless_another_is_named() -> None:
    assert wanted(None, storage=Path("/a")).backend == "sqlite:////a/mlflow.db"
    assert wanted(None, storage=Path("/a"), backend="sqlite:////b.db").backend == "sqlite:////b.db"
    assert wanted(STATE, storage=Path("/a")) == replace(STATE, storage="/a")


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://team:5ecre7@db/mlflow",
        "postgresql://db/mlflow?password=5ecre7",
        "mssql+pyodbc:///?odbc_connect=UID%3Dteam%3BPWD%3D5ecre7",
    ],
)
def test_a_databases_password_is_not_written_down(uri: str) -> None:
    assert wanted(None, backend=uri).backend == ""
