"""The token goes to the service's own MLflow and to no other."""

from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import pytest

from cluster.service import mlflow_gate, mlflow_login
from cluster.service import state as service
from cluster.service.mlflow_login import CHOSEN, Login, let_in
from tests.unit.cluster.service.test_state import STATE


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service that was up."""
    monkeypatch.setenv(service.FOLDER, str(tmp_path))
    monkeypatch.setenv(CHOSEN, "")
    monkeypatch.delenv(CHOSEN)
    service.make_token()
    service.save(STATE)
    return tmp_path


def chosen(uri: str) -> str | None:
    import os

    os.environ.pop(CHOSEN, None)
    let_in(uri)
    return os.environ.get(CHOSEN)


def test_only_the_services_address_is_logged_in_to(place: Path) -> None:
    assert chosen("http://127.0.0.1:5000/") == mlflow_gate.NAME
    assert chosen("http://127.0.0.1:5001") is None
    assert chosen("sqlite:////srv/mlruns/mlflow.db") is None
    (place / "state.json").write_text("damaged")
    assert chosen("http://127.0.0.1:5000") is None


def test_a_login_of_the_users_own_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv(CHOSEN, "kubernetes")
    let_in(STATE.tracking)
    assert os.environ[CHOSEN] == "kubernetes"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:50001/api", "http://127.0.0.1:5000.evil/", "http://elsewhere/api"]
)
def test_a_request_elsewhere_is_left_alone(url: str) -> None:
    request = SimpleNamespace(url=url, headers={})
    assert Login().get_auth()(request).headers == {}


def test_a_request_to_it_has_the_token_of_now(place: Path) -> None:
    for token in ("first", "second"):
        (place / "token").write_text(token)
        request = SimpleNamespace(
            url="http://127.0.0.1:5000/api/2.0/mlflow/runs/create", headers={}
        )
        assert mlflow_login.sign(request).headers == {"Authorization": f"Bearer {token}"}


def test_mlflow_finds_both_ends() -> None:
    assert [entry.load() for entry in entry_points(group="mlflow.app", name=mlflow_gate.NAME)] == [
        mlflow_gate.create_app
    ]
    found = entry_points(group="mlflow.request_auth_provider", name=Login().get_name())
    assert [entry.load() for entry in found] == [Login]
