"""The two parts of a sweep service, Ray's head and MLflow's server: how each is started, and whether it answers."""

from __future__ import annotations

import ipaddress
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from cluster.service.mlflow_gate import NAME, TOKEN
from cluster.service.processes import MARK, Process, family, process
from cluster.service.state import State, folder, token_path
from cluster.session import OBJECT_STORE_BYTES, SETTINGS

STARTS_WITHIN_S = 180.0
PROBE_S = 5.0
GCS, RAYLET, DASHBOARD, MLFLOW = "Ray's GCS", "Ray's node", "dashboard and job server", "MLflow"
_NEEDED = {GCS: "gcs_server", RAYLET: "raylet", DASHBOARD: "dashboard.py"}
_FREE_PORTS = (
    "",
    "node-manager-",
    "object-manager-",
    "min-worker-",
    "max-worker-",
    "dashboard-agent-listen-",
)
_UNUSED = "ray.util.client.server"
_SECRETS = ("RAY_AUTH_TOKEN", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD")


class StartError(RuntimeError):
    """A part did not start; one line."""


def start_mlflow(state: State, backend: str) -> Callable[[], State]:
    """Start MLflow's server; what is returned waits until it answers, and tells the state then.

    Args:
        state: Says where; its part `mlflow` holds a mark only.
        backend: The database. It is passed in the environment, since it may hold a password.

    Raises:
        StartError: It ended, or takes too long; by what is returned.
    """
    scripts, storage = Path(sys.executable).parent, Path(state.storage)
    command = [
        sys.executable,
        str(scripts / "mlflow"),
        "server",
        "--app-name",
        NAME,
        "--workers",
        "1",
    ]
    command += ["--host", state.host, "--port", str(state.mlflow_port)]
    command += ["--artifacts-destination", str(storage / "artifacts")]
    settings = {"MLFLOW_BACKEND_STORE_URI": backend, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = folder() / "mlflow.log"
    server = _started(
        command,
        _environment(state.mlflow.mark) | settings | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        log,
    )

    def wait() -> State:
        _wait(server, lambda: answers(f"{state.tracking}/health"), "MLflow", log)
        known = tuple(family(state.mlflow.mark, ()))
        member = process(server.pid)
        if member is None:
            raise StartError(f"MLflow did not start: {_last_line(log)}")
        part = replace(
            state.mlflow, members={MLFLOW: member}, known=known, arguments={MLFLOW: command}
        )
        return replace(state, mlflow=part)

    return wait


def start_ray(state: State) -> Callable[[], State]:
    """Start Ray's head with its dashboard and job server; what is returned waits, as `start_mlflow` says.

    On loopback all of Ray listens there: by the switch for desktops, where it takes the loopback for the node's address.

    Raises:
        StartError: It ended, or takes too long; by what is returned.
    """
    command = [
        sys.executable,
        str(Path(sys.executable).parent / "ray"),
        "start",
        "--head",
        "--disable-usage-stats",
    ]
    command += [f"--{name}port=0" for name in _FREE_PORTS] + [f"--temp-dir={state.temporary}"]
    command += [f"--dashboard-host={state.host}", f"--dashboard-port={state.dashboard_port}"]
    command += [f"--num-cpus={state.cpus}", f"--object-store-memory={OBJECT_STORE_BYTES}"]
    command += [] if state.gpus is None else [f"--num-gpus={state.gpus}"]
    command += [
        "--no-monitor",
        "--include-log-monitor=false",
    ]  # nothing is scaled here, and drivers do not print workers' logs
    environment = _environment(state.ray.mark)
    if is_local(state.host):
        command += ["--node-ip-address=127.0.0.1"]
        environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    elif not is_any(state.host):
        command += [f"--node-ip-address={state.host}"]
    log = folder() / "ray.log"
    starter = _started(command, environment, log)

    def wait() -> State:
        _wait(starter, lambda: starter.poll() is not None, "Ray", log)
        part = replace(state.ray, known=tuple(family(state.ray.mark, ())))
        for one in (
            part.known
        ):  # Ray's server for clients elsewhere: no sweep comes that way, so its door is closed
            if _UNUSED in one.arguments():
                one.send(signal.SIGTERM)
        members = {
            name: found for name, file in _NEEDED.items() if (found := _member(part.known, file))
        }
        part = replace(
            part,
            members=members,
            arguments={name: one.arguments() for name, one in members.items()},
        )
        if missing := [name for name in _NEEDED if name not in members]:
            raise StartError(
                f"Ray started without {', '.join(missing)}; see {log} and {state.temporary}."
            )
        return _dashboard_answers(replace(state, ray=part))

    return wait


def start_dashboard(state: State) -> Callable[[], State]:
    """Start a dashboard that ended, beside a Ray and its sweeps that go on; what is returned waits, as `start_mlflow` says."""
    command = state.ray.arguments[DASHBOARD]
    environment = _environment(state.ray.mark)
    if is_local(state.host):
        environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    started = _started(command, environment, folder() / "ray.log")

    def wait() -> State:
        if not (member := process(started.pid)):
            raise StartError(f"the dashboard did not start; see {state.temporary}.")
        part = replace(state.ray, members=state.ray.members | {DASHBOARD: member})
        return _dashboard_answers(replace(state, ray=part))

    return wait


def answers(url: str, headers: Mapping[str, str] | None = None) -> bool:
    """Whether a server answers with success within 5 s."""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=dict(headers or {})), timeout=PROBE_S
        ):
            return True
    except (OSError, ValueError):
        return False


def authorization() -> dict[str, str]:
    """The header that lets in to the service."""
    return {"Authorization": f"Bearer {token_path().read_text().strip()}"}


def is_local(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_any(host: str) -> bool:
    """Whether it stands for all addresses of the machine."""
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified


def gcs_address(state: State) -> str:
    """Where other nodes join; empty where it is not known."""
    words = state.ray.arguments.get(DASHBOARD, [])
    return next((word.partition("=")[2] for word in words if word.startswith("--gcs-address=")), "")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _environment(mark: str) -> dict[str, str]:
    """Of a part's processes, and so of the jobs: this process's, without secrets that are there by value."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if name not in (*_SECRETS, "RAY_ADDRESS", "MLFLOW_TRACKING_URI")
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{ours.get('PATH', os.defpath)}"  # `python`, and MLflow's `uvicorn`
    return (
        SETTINGS
        | ours
        | {MARK: mark, "RAY_AUTH_MODE": "token", TOKEN: str(token_path()), "PATH": path}
    )


def _started(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a terminal that is closed does not end it
        )


def _wait(
    started: subprocess.Popen[bytes], ready: Callable[[], bool], name: str, log: Path
) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not ready():
        if started.poll() is not None:
            raise StartError(f"{name} did not start: {_last_line(log)}")
        if time.monotonic() > deadline:
            raise StartError(f"{name} did not answer within {STARTS_WITHIN_S:g} s; see {log}.")
        time.sleep(0.2)
    if started.poll():
        raise StartError(f"{name} did not start: {_last_line(log)}")


def _dashboard_answers(state: State) -> State:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not answers(f"{state.dashboard}/api/jobs/", authorization()):
        if time.monotonic() > deadline or not state.ray.members[DASHBOARD].alive():
            raise StartError(f"the job server did not answer; see {state.temporary}.")
        time.sleep(0.2)
    known = tuple(family(state.ray.mark, state.ray.known))
    return replace(state, ray=replace(state.ray, known=known))


def _member(known: tuple[Process, ...], file: str) -> Process | None:
    """The process that runs a program or a script of that name."""
    return next(
        (one for one in known if any(Path(word).name == file for word in one.arguments()[:2])), None
    )


def _last_line(log: Path) -> str:
    said = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    lines = [
        line for line in said if line and not line.startswith("(Background on this error")
    ]  # SQLAlchemy's last word
    return f"{lines[-1][:300] if lines else 'it said nothing'} (all of it: {log})"
