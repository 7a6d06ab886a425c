"""The service that is wanted: as it was asked for, else as it was, else by default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cluster.addresses import without_password
from cluster.service.state import Part, State
from trainables.cpus import available_cpus

LOCAL = "127.0.0.1"
DASHBOARD_PORT = 8265
MLFLOW_PORT = 5000
SQLITE = "sqlite:///"


def wanted(
    before: State | None,
    *,
    storage: Path | None = None,
    backend: str | None = None,
    host: str | None = None,
    dashboard_port: int | None = None,
    mlflow_port: int | None = None,
    cpus: int | None = None,
    gpus: int | None = None,
) -> State:
    """Return the service that is asked for; None leaves a thing as it was.

    Args:
        before: The service as it was, if there was one.
        storage: The folder of sweeps and MLflow's records; by default `mlruns`.
        backend: MLflow's database; by default an SQLite file in the storage.
        host: The address to listen at; by default one that only this machine reaches.
        dashboard_port: Port of the dashboard and the job server.
        mlflow_port: Port of MLflow.
        cpus: CPUs of Ray; by default all.
        gpus: GPUs of Ray; by default Ray counts them.
    """
    state = before or _default(storage or Path("mlruns").absolute())
    # What was asked for goes over what was.
    asked = {
        "storage": storage and str(storage),
        "backend": backend and _without_secret(backend),
        "host": host,
        "dashboard_port": dashboard_port,
        "mlflow_port": mlflow_port,
        "cpus": cpus,
        "gpus": gpus,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return replace(state, **given)  # type: ignore[arg-type]


def _default(storage: Path) -> State:
    return State(
        storage=str(storage),
        backend=f"{SQLITE}{storage}/mlflow.db",
        host=LOCAL,
        dashboard_port=DASHBOARD_PORT,
        mlflow_port=MLFLOW_PORT,
        cpus=available_cpus(),
        gpus=None,
        temporary="",
        started="",
        boot="",
        ray=Part(mark=""),
        mlflow=Part(mark=""),
    )


def _without_secret(uri: str) -> str:
    """Return a database's address, or nothing where it holds a secret: that is not written down."""
    if without_password(uri) != uri:
        return ""
    return uri
