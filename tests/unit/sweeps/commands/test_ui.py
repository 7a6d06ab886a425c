"""`dvt ui` as far as it comes without MLflow."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sweeps.commands import dvt
from sweeps.tracking.page import free_port
from sweeps.tracking.store import TrackingError
from tests.unit.sweeps.journals import write_sweep


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert dvt.run(["ui", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line


def test_a_storage_without_a_sweep_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "--storage", str(tmp_path))
    assert line == f"error: no sweeps in {tmp_path}: run one, or choose another --storage."


def test_an_unknown_name_is_refused_with_the_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(tmp_path, "one")
    assert "Did you mean 'one'?" in refused(capsys, "ome", "--storage", str(tmp_path))


def test_a_storage_without_mlflows_database_is_refused_with_what_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(tmp_path)
    line = refused(capsys, "one", "--storage", str(tmp_path))
    assert "must hold MLflow's mlflow.db" in line
    assert f"`dvt sync one --storage {tmp_path}` makes it" in line


def test_a_password_that_is_not_stored_is_asked_for_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"tracking_uri": "postgresql://ann:***@db.example/mlflow"}
    write_sweep(tmp_path, options=options)
    assert "set MLFLOW_TRACKING_URI" in refused(capsys, "one", "--storage", str(tmp_path))


def test_a_sweep_that_cannot_be_read_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_sweep(tmp_path, "one")
    (folder / "sweep.json").write_text("{")
    assert "sweep.json must be readable" in refused(capsys, "one", "--storage", str(tmp_path))
    assert "none in" in refused(capsys, "--storage", str(tmp_path))


def test_a_port_that_is_taken_is_refused_and_one_that_is_free_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TrackingError, match=f"{port} is taken: leave it out"):
            free_port(port)
    assert free_port(port) == port
    assert free_port(None) >= 1024
