"""All that a sweep will ask of MLflow, tried before the first trial.

The experiment, a run, a file where its artifacts go, and the model registry. Nothing is left behind
but the experiment, and in its trash the run.
"""

from __future__ import annotations

import secrets
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from cluster.addresses import without_password
from sweeps.tracking.experiment import ensure_experiment
from sweeps.tracking.store import SERVERS, TrackingError, artifact_location, one_line

# Name of the run and of the file that are made and deleted.
SCRATCH = "dvt-scratch"
# An object store's client tries for minutes.
WITHIN_S = 15.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# What the client of a scheme's store is installed by, where it is not MLflow's own requirement.
_CLIENTS = {
    "s3": "boto3",
    "gs": "google-cloud-storage",
    "wasbs": "azure-storage-blob azure-identity",
    "abfss": "azure-storage-file-datalake azure-identity",
    "hdfs": "pyarrow",
    "sftp": "pysftp",
}


def rehearse(uri: str, storage: Path, study: str, model: str, question: str = "") -> list[str]:
    """Do what a sweep does: find its experiment, make a run, write a file, look into the registry.

    Args:
        uri: What `prepare_store` returned.
        storage: The sweeps' folder.
        study: Name of the experiment; it is made where there is none.
        model: Name under which the champion will be registered.
        question: Shown above a new experiment's runs.

    Returns:
        A line for each thing that the user should know.

    Raises:
        TrackingError: Something cannot be had.
    """
    shown = without_password(uri)
    client = MlflowClient(uri, registry_uri=uri)
    try:
        before = client.get_experiment_by_name(study)
        number = ensure_experiment(client, study, artifact_location(uri, storage, study), question)
        experiment = client.get_experiment(number)
        scratch = client.create_run(number, run_name=SCRATCH).info.run_id
        client.set_terminated(scratch)
        client.delete_run(scratch)
        notes = list(_experiment_notes(study, before, experiment, uri))
        _look_for_models(client, number, shown)
        notes += _registry_notes(client, model)
    except MlflowException as error:
        raise TrackingError(
            f"MLflow must take a sweep's runs, but {shown} does not ({one_line(error)}): "
            "check the permissions of its login, or give another --tracking-uri."
        ) from error
    try_artifacts(experiment.artifact_location, uri)
    return notes


def try_artifacts(location: str, uri: str) -> None:
    """Write a small file where an experiment's artifacts go, and delete it.

    Args:
        location: The experiment's place for them.
        uri: The store's.

    Raises:
        TrackingError: It cannot be written, or not within `WITHIN_S`.
    """
    shown = without_password(location)
    must = f"MLflow's artifacts must be written to {shown}, but cannot be"
    mend = "change its permissions, or give another --tracking-uri."
    try:
        _within(WITHIN_S, lambda: _write_and_delete(location, uri))
    except ImportError as error:
        scheme = location.partition(":")[0]
        package = _CLIENTS.get(scheme, error.name or "its client")
        raise TrackingError(
            f"MLflow's artifacts are at {shown}, which needs {error.name or package} here: "
            f"pip install {package}."
        ) from error
    except TimeoutError as error:
        raise TrackingError(f"{must} within {WITHIN_S:g} s: {mend}") from error
    # Each kind of store has errors of its own.
    except Exception as error:
        raise TrackingError(f"{must} ({_said(error)}): {mend}") from error


def _write_and_delete(location: str, uri: str) -> None:
    new = list(_to_be_made(location))
    repository = get_artifact_repository(location, tracking_uri=uri, registry_uri=uri)
    name = f"{SCRATCH}-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder, name)
        scratch.write_text("A file that shows whether artifacts can be written here.\n")
        repository.log_artifact(str(scratch))  # type: ignore[no-untyped-call]
    repository.delete_artifacts(name)  # type: ignore[no-untyped-call]
    for made in new:
        made.rmdir()


def _to_be_made(location: str) -> Iterator[Path]:
    """Yield the folders of a place on this machine that are not there yet, the lowest first."""
    if not _is_local(location):
        return
    path = Path(urllib.parse.unquote(urllib.parse.urlsplit(location).path))
    for folder in (path, *path.parents):
        if folder.exists():
            return
        yield folder


def _is_local(location: str) -> bool:
    return location.startswith(("/", "file:"))


def _within(seconds: float, act: Callable[[], None]) -> None:
    """Do something on a thread, which may go on where it takes too long.

    Raises:
        TimeoutError: It takes longer.
        Exception: What it raised.
    """
    pool = ThreadPoolExecutor(1, "MLflow-rehearsal")
    try:
        pool.submit(act).result(seconds)
    finally:
        pool.shutdown(wait=False)


def _experiment_notes(
    study: str, before: Experiment | None, experiment: Experiment, uri: str
) -> Iterator[str]:
    """Yield what is to be said of the experiment that was found."""
    if before is not None and before.lifecycle_stage == "deleted":
        yield f"MLflow had experiment {study!r} in its trash: it was taken back."
    # A server that tells its clients a place of its own file system.
    location = experiment.artifact_location
    server = urllib.parse.urlsplit(uri)
    if _is_local(location) and server.scheme in SERVERS and server.hostname not in _LOOPBACK:
        yield (
            f"MLflow's artifacts go to {location} on this machine: "
            f"{server.hostname} shows them only where it has the same folder."
        )


def _look_for_models(client: MlflowClient, experiment: str, shown: str) -> None:
    """Check that a store keeps models beside runs, as MLflow does since its version 3.

    Raises:
        TrackingError: It does not.
        MlflowException: It does not answer.
    """
    try:
        client.search_logged_models([experiment], max_results=1)
    except MlflowException as error:
        if error.error_code not in ("ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"):
            raise
        raise TrackingError(
            f"MLflow must be of version 3 or newer to take a champion, but {shown} is older "
            f"({one_line(error)}): update the server, or give another --tracking-uri."
        ) from error


def _registry_notes(client: MlflowClient, model: str) -> Iterator[str]:
    """Yield what is to be said of a registered name that is taken.

    Raises:
        TrackingError: It is taken by something that is no model.
    """
    if client.get_prompt(model) is not None:
        raise TrackingError(
            f"MLflow's registered name {model!r} must be free for the champion, but a prompt has "
            "it: rename the prompt, or give another --tracking-uri."
        )
    versions = client.search_model_versions(f"name = '{model}'")
    if versions and not any("sweep.name" in version.tags for version in versions):
        yield (
            f"MLflow has a registered model {model!r} that no sweep made: "
            "the champion becomes its next version."
        )


def _said(error: Exception) -> str:
    """Return what went wrong, with the kind of error where the text alone says little."""
    strerror: Any = getattr(error, "strerror", None)
    if strerror:
        return str(strerror)
    line = one_line(error)
    return line if isinstance(error, MlflowException) else f"{type(error).__name__}: {line}"
