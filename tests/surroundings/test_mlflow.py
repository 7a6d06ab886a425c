"""MLflow as people have it: behind logins and TLS, named by the environment, or not to be had."""

from __future__ import annotations

import base64
import socket
import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.surroundings.commands import dvt, run, sweep
from tests.surroundings.servers import answering, experiments, signed

LOGIN = "Basic " + base64.b64encode(b"anna:secret").decode()
SLOW = pytest.mark.slow
OTHERS = "--tracking-uri"


def _store(place: Path) -> str:
    """Another store with tables than the storage's own."""
    path = place / "other.db"
    path.write_bytes((place / "mlruns" / "mlflow.db").read_bytes())
    return f"sqlite:///{path}"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, "", "MLFLOW_TRACKING_USERNAME"),
        pytest.param(403, "", "MLFLOW_TRACKING_TOKEN", marks=SLOW),
        (404, "", "a path prefix belongs to it"),
        (200, "<html>Log in</html>", "a page is what answers there"),
        pytest.param(503, "", "HTTP 503: look at its log", marks=SLOW),
        pytest.param(407, "", "a proxy that wants a login", marks=SLOW),
    ],
)
def test_what_is_wrong_with_a_server_is_named(
    place: Path, status: int, body: str, said: str
) -> None:
    with answering(status, body) as uri:
        ran = run(sweep(place / "small.py", "--dry-run", OTHERS, uri), place)
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1, ran.err


@pytest.mark.slow
def test_a_server_counts_by_its_api_with_the_login_of_the_environment(place: Path) -> None:
    with answering(200, experiments(), login=LOGIN) as uri:
        words = sweep(place / "small.py", "--dry-run", OTHERS, uri)
        stranger = run(words, place)
        known = run(
            words, place, MLFLOW_TRACKING_USERNAME="anna", MLFLOW_TRACKING_PASSWORD="secret"
        )
    assert stranger.code == 2
    assert "answers HTTP 401: check the login" in stranger.err
    assert known.code == 0, known.said
    assert "secret" not in known.said


@pytest.mark.slow
def test_a_certificate_of_an_own_authority_is_named_and_accepted(place: Path) -> None:
    authority, certificate = signed(place)
    with answering(200, experiments(), certificate=certificate) as uri:
        words = sweep(place / "small.py", "--dry-run", OTHERS, uri)
        stranger = run(words, place)
        by_mlflow = run(words, place, MLFLOW_TRACKING_SERVER_CERT_PATH=str(authority))
        by_bundle = run(words, place, REQUESTS_CA_BUNDLE=str(authority))
        gone = run(words, place, MLFLOW_TRACKING_SERVER_CERT_PATH=str(place / "gone.pem"))
        plain = run([*words[:-1], uri.replace("https", "http")], place)
    assert stranger.code == 2
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in stranger.err
    assert by_mlflow.code == 0, by_mlflow.said
    assert by_bundle.code == 0, by_bundle.said
    assert gone.code == 2
    assert "gone.pem" in gone.err
    assert plain.code == 2


def test_a_server_without_tls_is_told_from_one_that_is_away(place: Path) -> None:
    with answering(200, experiments()) as uri:
        ran = run(
            sweep(place / "small.py", "--dry-run", OTHERS, uri.replace("http", "https")), place
        )
    assert ran.code == 2
    assert "it speaks no TLS: begin with http://" in ran.err


def test_a_server_that_says_nothing_keeps_nobody_waiting(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ran = run(sweep(place / "small.py", "--dry-run", OTHERS, uri), place)
    assert ran.code == 2
    assert "must answer within 3 s" in ran.err


@pytest.mark.parametrize(
    "uri",
    [
        "./mlruns",
        *(
            pytest.param(uri, marks=SLOW)
            for uri in ("file:///tmp/x", "databricks", "mlruns", "http:/x")
        ),
    ],
)
def test_the_variable_that_names_no_store_is_named(place: Path, uri: str) -> None:
    ran = run(sweep(place / "small.py", "--dry-run"), place, MLFLOW_TRACKING_URI=uri)
    assert ran.code == 2
    assert "MLFLOW_TRACKING_URI must name a database or a server" in ran.err
    assert "unset it" in ran.err
    assert OTHERS not in ran.err


def test_the_store_of_the_environment_is_honored_and_said(place: Path) -> None:
    uri = _store(place)
    words = sweep(place / "small.py", "--dry-run")
    honored = run(words, place, MLFLOW_TRACKING_URI=uri)
    own = run(words, place, MLFLOW_TRACKING_URI="sqlite:///mlruns/mlflow.db")
    other = run([*words, OTHERS, uri], place, MLFLOW_TRACKING_URI="sqlite:////tmp/third.db")
    assert f"MLflow: {uri}, by MLFLOW_TRACKING_URI." in honored.out
    assert "MLflow:" not in own.out
    assert f"MLflow: {uri}, not sqlite:////tmp/third.db" in other.out


@pytest.mark.slow
def test_what_mlflow_reads_but_a_sweep_does_not_follow_is_said(place: Path) -> None:
    words = sweep(place / "small.py", "--dry-run")
    named = run(words, place, MLFLOW_EXPERIMENT_NAME="mine", MLFLOW_RUN_ID="abc")
    same = run(words, place, MLFLOW_EXPERIMENT_NAME="small")
    assert "MLFLOW_EXPERIMENT_NAME=mine is not used" in named.out
    assert "MLFLOW_RUN_ID=abc is not used" in named.out
    assert "MLFLOW" not in same.out


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("file:///proc/nowhere", "MLflow's artifacts must be written to file:///proc/nowhere"),
        ("s3://bucket/place", "pip install boto3"),
        pytest.param("gs://bucket/place", "pip install google-cloud-storage", marks=SLOW),
        pytest.param(
            "wasbs://c@a.blob.core.windows.net/x",
            "pip install azure-storage-blob",
            marks=SLOW,
        ),
        pytest.param("strange://place", "cannot be", marks=SLOW),
    ],
)
def test_artifacts_without_a_place_are_refused_before_the_first_trial(
    place: Path, cache: str, location: str, said: str
) -> None:
    uri = _store(place)
    MlflowClient(uri).create_experiment("small", location)
    ran = run(sweep(place / "small.py", OTHERS, uri), place, DVT_CACHE_DIR=cache)
    assert ran.code == 2, ran.said
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1, ran.err
    assert not (place / "mlruns" / "sweeps").exists()


def test_a_name_that_a_prompt_has_is_refused(place: Path, cache: str) -> None:
    uri = _store(place)
    MlflowClient(uri, registry_uri=uri).register_prompt("small-digits-demo", "Say it")
    ran = run(sweep(place / "small.py", OTHERS, uri), place, DVT_CACHE_DIR=cache)
    assert ran.code == 2, ran.said
    assert "a prompt has it" in ran.err


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("0123456789ab", "newer one"),
        pytest.param("cc1f77228345", "mlflow db upgrade", marks=SLOW),
    ],
)
def test_a_database_of_another_version_is_named(place: Path, revision: str, said: str) -> None:
    with sqlite3.connect(place / "mlruns" / "mlflow.db") as database:
        database.execute("update alembic_version set version_num = ?", (revision,))
    database.close()
    ran = run(sweep(place / "small.py"), place)
    assert ran.code == 2, ran.said
    assert said in ran.err


@pytest.mark.slow
def test_what_was_in_the_trash_or_is_taken_is_told(place: Path, cache: str) -> None:
    uri = _store(place)
    client = MlflowClient(uri, registry_uri=uri)
    client.delete_experiment(client.create_experiment("small"))
    client.create_registered_model("small-digits-demo")
    client.create_model_version("small-digits-demo", (place / "x").as_uri())
    ran = run(
        sweep(place / "small.py", "--name", "told"),
        place,
        MLFLOW_TRACKING_URI=uri,
        DVT_CACHE_DIR=cache,
    )
    assert ran.code == 0, ran.said
    assert "was taken back" in ran.out
    assert "that no sweep made" in ran.out
    assert "as models:/small-digits-demo@champion" in ran.out

    # The sweep keeps its store: whoever syncs it needs no variable.
    synced = run(dvt("sync", "told"), place)
    assert (synced.code, synced.out) == (0, "MLflow has all of told already.\n")
