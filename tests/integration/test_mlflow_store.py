"""Which stores of MLflow are taken, and which are refused in one line."""

import socket
import sqlite3
import time
from pathlib import Path

import pytest

from sweeps.tracking.store import TrackingError, check_uri, prepare_store


@pytest.mark.parametrize(
    "uri",
    [
        "mlruns",
        "/tmp/mlruns",
        "file:///tmp/mlruns",
        "localhost:5000",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_folder_of_files_or_no_uri_is_refused_with_what_works(uri: str, tmp_path: Path) -> None:
    with pytest.raises(
        TrackingError, match=r"must name a database or a server, but got .*: give sqlite:"
    ) as refused:
        prepare_store(uri, tmp_path)
    assert uri in str(refused.value)
    assert "\n" not in str(refused.value)


def test_checking_a_good_uri_writes_nothing(tmp_path: Path) -> None:
    check_uri(f"sqlite:///{tmp_path}/mlflow.db")
    check_uri("postgresql+psycopg2://anna:secret@db.example/mlflow")
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(
        TrackingError,
        match=f"must answer within 3 s, but http://anna:\\*\\*\\*@127.0.0.1:{port} did not",
    ):
        prepare_store(f"http://anna:secret@127.0.0.1:{port}", tmp_path)


def test_a_server_that_says_nothing_is_refused_after_three_seconds(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.perf_counter()
        with pytest.raises(TrackingError, match="must answer within 3 s"):
            prepare_store(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
        assert time.perf_counter() - started < 4


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text(
        "no database, but a text that is long enough to be read as one" * 20
    )
    with pytest.raises(TrackingError, match=r"must open, but sqlite:.*not a database") as refused:
        prepare_store(None, tmp_path)
    assert "\n" not in str(refused.value)


def test_another_mlflows_database_is_not_touched(store: tuple[str, Path]) -> None:
    other = store[1] / "other.db"
    other.write_bytes((store[1] / "mlflow.db").read_bytes())
    with sqlite3.connect(other) as database:
        database.execute("update alembic_version set version_num = '000000000000'")
    with pytest.raises(TrackingError, match="was written by a newer one: pip install -U mlflow"):
        prepare_store(f"sqlite:///{other}", store[1])
