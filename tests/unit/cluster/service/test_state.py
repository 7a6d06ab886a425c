"""What is written down of a service comes back, is its user's alone, and holds no token."""

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.refused import Refused
from cluster.service import state as service
from cluster.service.processes import Process, boot
from cluster.service.state import Part, State

STATE = State(
    storage="/srv/mlruns",
    backend="sqlite:////srv/mlruns/mlflow.db",
    host="127.0.0.1",
    dashboard_port=8265,
    mlflow_port=5000,
    cpus=2,
    gpus=None,
    temporary="/tmp/dvt-ray-x",
    started="2026-11-22T05:42:00+01:00",
    boot="another",
    ray=Part(
        mark="a",
        members={"Ray's node": Process(7, 70)},
        known=(Process(7, 70), Process(8, 80)),
        arguments={"x": ["y"]},
    ),
    mlflow=Part(mark="b"),
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(service.FOLDER, str(tmp_path / "service"))
    return tmp_path / "service"


def test_it_comes_back_as_it_was_and_goes(place: Path) -> None:
    assert service.load() is None
    service.make_folder()
    service.make_token()
    service.save(STATE)
    assert service.load() == STATE
    assert (place / "token").read_text() not in (place / "state.json").read_text()
    service.forget()
    assert service.load() is None
    assert not service.token_path().exists()


def test_only_its_user_can_read_it(place: Path) -> None:
    place.mkdir(mode=0o777)
    service.make_folder()
    service.make_token()
    service.save(STATE)
    assert [
        path.stat().st_mode & 0o777 for path in (place, place / "token", place / "state.json")
    ] == [0o700, 0o600, 0o600]


def test_a_token_stays_until_it_is_forgotten_and_is_new_then() -> None:
    service.make_folder()
    service.make_token()
    token = service.token_path().read_text()
    assert len(token) == 64
    service.make_token()
    assert service.token_path().read_text() == token
    service.forget()
    service.make_token()
    assert service.token_path().read_text() != token


def test_processes_of_another_start_of_the_machine_are_not_its_own() -> None:
    assert STATE.known(STATE.ray) == ()
    assert replace(STATE, boot=boot()).known(STATE.ray) == (Process(7, 70), Process(8, 80))


def test_what_a_killed_writer_left_goes_too(place: Path) -> None:
    service.make_folder()
    service.make_token()
    service.token_path().rename(place / ".token.0badcafe.tmp")
    service.forget()
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"storage": 1}'])
def test_what_cannot_be_read_is_refused_by_its_path(place: Path, text: str) -> None:
    place.mkdir()
    (place / "state.json").write_text(text)
    with pytest.raises(Refused, match=r"state\.json must say"):
        service.load()


def test_a_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(service.FOLDER, str(tmp_path / "file" / "service"))
    with pytest.raises(Refused, match="must be a folder that can be written to"):
        service.make_folder()


def test_one_command_at_a_time_changes_it() -> None:
    with service.alone(), pytest.raises(Refused, match="another command"), service.alone():
        pass
    with service.alone():
        pass


@pytest.mark.parametrize(
    ("host", "reached"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")]
)
def test_addresses_can_be_used_on_this_machine(host: str, reached: str) -> None:
    state = replace(STATE, host=host)
    assert (state.dashboard, state.tracking) == (f"http://{reached}:8265", f"http://{reached}:5000")
