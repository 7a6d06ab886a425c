"""What `dvt service up` takes, before it starts anything."""

from __future__ import annotations

import socket
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from cluster.service import mlflow_gate, parts, upkeep
from cluster.service import state as service
from cluster.service.state import Part, State
from sweeps.commands import kit
from sweeps.commands.service import command
from tests.unit.cluster.service.test_state import STATE


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(service.FOLDER, str(tmp_path / "service"))
    monkeypatch.delenv("MLFLOW_BACKEND_STORE_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[State, str]]:
    """What would have been started, and MLflow's database."""
    seen: list[tuple[State, str]] = []

    def start(state: State, backend: str) -> State:
        seen.append((state, backend))
        return state

    monkeypatch.setattr(upkeep, "start", start)
    return seen


def main(arguments: list[str]) -> int:
    return kit.main(command, arguments)


def test_all_bad_flags_are_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--mlflow-port", "80", "--cpus", "0", "--gpus", "-1", "--host", "192.0.2.77"]
    assert main(["up", *flags]) == 2
    problems = capsys.readouterr().err.splitlines()
    assert [problem.split()[1] for problem in problems] == [
        "--mlflow-port",
        "--cpus",
        "--gpus",
        "--host",
    ]


@pytest.mark.parametrize("host", ["", "0.0.0.256", "nowhere.invalid"])
def test_a_host_must_be_this_machines(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--host", host]) == 2
    assert capsys.readouterr().err.startswith("error: --host must be ")


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://team:5ecre7@db/mlflow",
        "postgresql://db/mlflow?password=5ecre7",
        "mssql+pyodbc:///?odbc_connect=UID%3Dteam%3BPWD%3D5ecre7",
    ],
)
def test_a_databases_password_is_passed_on_and_not_written_down(
    uri: str, place: Path, started: list[tuple[State, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", uri)
    assert main(["up"]) == 0
    ((state, backend),) = started
    assert backend == uri
    assert "5ecre7" not in repr(state)


@pytest.mark.parametrize(
    "uri", ["mlruns", "gopher://team:5ecre7@db/x", "sqlite:///", "postgresql://", "5ecre7"]
)
def test_a_database_must_be_one_that_mlflow_writes_to(
    uri: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "--backend-store-uri", uri]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --backend-store-uri must be the address of a database, ")
    assert said.count("\n") == 1
    assert "team:5ecre7" not in said


def test_a_relative_database_is_this_folders(place: Path, started: list[tuple[State, str]]) -> None:
    assert main(["up", "--backend-store-uri", "sqlite:///team.db"]) == 0
    assert started[0][1] == f"sqlite:///{place}/team.db"


def test_taken_ports_missing_packages_and_an_old_installation_are_said_at_once(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(upkeep, "_NEEDED", ("no_such_package",))
    monkeypatch.setattr(upkeep, "entry_points", lambda **which: ())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["up", "--dashboard-port", port]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "pip install 'ray[default]==" in lines[0]
    assert "pip install -e ." in lines[1]
    assert f"--dashboard-port must be free, but something else listens on {port}" in lines[2]
    assert not (place / "service" / "state.json").exists()
    assert not (place / "mlruns").exists()


def test_an_installation_that_names_a_moved_module_is_old(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = EntryPoint(mlflow_gate.NAME, "cluster.mlflow_gate:create_app", "mlflow.app")
    monkeypatch.setattr(upkeep, "entry_points", lambda **which: [old])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["up", "--dashboard-port", str(taken.getsockname()[1])]) == 2
    assert "pip install -e ." in capsys.readouterr().err


def test_what_has_not_started_is_one_line_and_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(state: State, backend: str) -> State:
        raise parts.StartError("MLflow did not start: why")

    monkeypatch.setattr(upkeep, "start", start)
    assert main(["up"]) == 1
    assert capsys.readouterr().err == "error: MLflow did not start: why\n"


def test_where_nothing_is_up_status_fails_and_down_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["status"]) == 1
    assert main(["down"]) == 0
    assert capsys.readouterr().out == "The service is not up.\n" * 2


def test_after_a_start_of_the_machine_it_is_not_up_and_remembers_its_flags(
    started: list[tuple[State, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    service.make_folder()
    service.save(replace(STATE, temporary="", boot="before"))
    assert main(["status"]) == 1
    assert "its processes are gone" in capsys.readouterr().out.lower()
    assert main(["up", "--cpus", "4"]) == 0
    assert (started[0][0].storage, started[0][0].cpus) == (STATE.storage, 4)


def test_an_unknown_command_or_flag_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upp"]) == 2
    assert main(["up", "--hosts", "x"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert main([]) == 0


@pytest.mark.parametrize(
    ("host", "local", "everywhere"), [("127.0.0.1", True, False), ("0.0.0.0", False, True)]
)
def test_hosts_are_told_apart(host: str, local: bool, everywhere: bool) -> None:
    assert (parts.is_local(host), parts.is_any(host)) == (local, everywhere)


def test_a_parts_environment_names_the_token_and_holds_no_secret(
    monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    for name in ("RAY_AUTH_TOKEN", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "5ecre7")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    environment = parts._environment(Part(mark="m").mark)
    assert "5ecre7" not in environment.values()
    assert (environment["RAY_AUTH_MODE"], environment["RAY_AUTH_TOKEN_PATH"]) == (
        "token",
        str(place / "service" / "token"),
    )
