"""The two parts of a sweep service, Ray's head and MLflow's server: started, and asked."""

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
from cluster.session import LOOPBACK, OBJECT_STORE_BYTES, SETTINGS

STARTS_WITHIN_S = 180.0
PROBE_S = 5.0
GCS = "Ray's GCS"
RAYLET = "Ray's node"
DASHBOARD = "dashboard and job server"
MLFLOW = "MLflow"
_NEEDED = {GCS: "gcs_server", RAYLET: "raylet", DASHBOARD: "dashboard.py"}
# The ports that Ray chooses by itself, as `--...port=0`.
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
    """Start MLflow's server; what is returned waits until it answers, and returns the state then.

    Args:
        state: The service; its part `mlflow` holds a mark only.
        backend: The database. It is passed in the environment, since it may hold a password.

    Raises:
        StartError: It ended, or takes too long; by what is returned.
    """
    command = [*_script("mlflow"), "server", "--app-name", NAME, "--workers", "1"]
    command += ["--host", state.host, "--port", str(state.mlflow_port)]
    command += ["--artifacts-destination", str(Path(state.storage) / "artifacts")]
    settings = {
        "MLFLOW_BACKEND_STORE_URI": backend,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    log = folder() / "mlflow.log"
    server = _started(command, _environment(state.mlflow.mark) | settings, log)

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
    """Start Ray's head with its dashboard and job server; what is returned waits.

    Args:
        state: The service; its part `ray` holds a mark only.

    Raises:
        StartError: It ended, or takes too long; by what is returned.
    """
    # The command: each port is free, or the one that was asked for.
    command = [*_script("ray"), "start", "--head", "--disable-usage-stats"]
    command += [f"--{name}port=0" for name in _FREE_PORTS]
    command += [f"--temp-dir={state.temporary}"]
    command += [f"--dashboard-host={state.host}", f"--dashboard-port={state.dashboard_port}"]
    command += [f"--num-cpus={state.cpus}", f"--object-store-memory={OBJECT_STORE_BYTES}"]
    if state.gpus is not None:
        command.append(f"--num-gpus={state.gpus}")
    # Nothing is scaled here, and drivers do not print workers' logs.
    command += ["--no-monitor", "--include-log-monitor=false"]

    # All of it on the loopback, on one address, or, by default, on all.
    environment = _environment(state.ray.mark)
    if is_local(state.host):
        command.append("--node-ip-address=127.0.0.1")
        environment |= LOOPBACK
    elif not is_any(state.host):
        command.append(f"--node-ip-address={state.host}")
    log = folder() / "ray.log"
    starter = _started(command, environment, log)

    def wait() -> State:
        _wait(starter, lambda: starter.poll() is not None, "Ray", log)
        known = tuple(family(state.ray.mark, ()))
        members = _members(known)
        missing = [name for name in _NEEDED if name not in members]
        if missing:
            raise StartError(
                f"Ray started without {', '.join(missing)}; see {log} and {state.temporary}."
            )
        # By these a dashboard that has died is started again.
        arguments = {name: one.arguments() for name, one in members.items()}
        # Ray's server for clients elsewhere: no sweep comes that way, so its door is closed.
        for one in known:
            if _UNUSED in one.arguments():
                one.send(signal.SIGTERM)
        part = replace(state.ray, members=members, known=known, arguments=arguments)
        return _dashboard_answers(replace(state, ray=part))

    return wait


def start_dashboard(state: State) -> Callable[[], State]:
    """Start a dashboard that ended, beside a Ray whose sweeps keep running; what is returned waits.

    Raises:
        StartError: It ended, or takes too long; by what is returned.
    """
    command = state.ray.arguments[DASHBOARD]
    environment = _environment(state.ray.mark)
    if is_local(state.host):
        environment |= LOOPBACK
    started = _started(command, environment, folder() / "ray.log")

    def wait() -> State:
        member = process(started.pid)
        if member is None:
            raise StartError(f"the dashboard did not start; see {state.temporary}.")
        part = replace(state.ray, members=state.ray.members | {DASHBOARD: member})
        return _dashboard_answers(replace(state, ray=part))

    return wait


def answers(url: str, headers: Mapping[str, str] | None = None) -> bool:
    """Return whether a server answers with success within `PROBE_S`."""
    try:
        request = urllib.request.Request(url, headers=dict(headers or {}))
        with urllib.request.urlopen(request, timeout=PROBE_S):
            return True
    except (OSError, ValueError):
        return False


def authorization() -> dict[str, str]:
    """Return the header that lets in to the service."""
    return {"Authorization": f"Bearer {token_path().read_text().strip()}"}


def is_local(host: str) -> bool:
    """Return whether only this machine reaches what listens there."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_any(host: str) -> bool:
    """Return whether it stands for all addresses of the machine."""
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified


def gcs_address(state: State) -> str:
    """Return the address at which other nodes join; empty where it is not known."""
    for word in state.ray.arguments.get(DASHBOARD, []):
        if word.startswith("--gcs-address="):
            return word.partition("=")[2]
    return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _environment(mark: str) -> dict[str, str]:
    """Return the environment of a part's processes, and so of the jobs.

    It is this process's, without secrets that are there by value.
    """
    ours = dict(os.environ)
    for name in (*_SECRETS, "RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        ours.pop(name, None)
    # `python`, and MLflow's `uvicorn`, are found beside this Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{ours.get('PATH', os.defpath)}"
    service = {MARK: mark, "RAY_AUTH_MODE": "token", TOKEN: str(token_path()), "PATH": path}
    return SETTINGS | ours | service


def _script(name: str) -> list[str]:
    """Return the command line of a program that is installed beside this Python."""
    return [sys.executable, str(Path(sys.executable).parent / name)]


def _started(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # A terminal that is closed does not end it.
            start_new_session=True,
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


def _members(known: tuple[Process, ...]) -> dict[str, Process]:
    """Return the processes that Ray cannot do without, by the program or script that each runs."""
    members: dict[str, Process] = {}
    for one in known:
        files = [Path(word).name for word in one.arguments()[:2]]
        for name, file in _NEEDED.items():
            if file in files:
                members.setdefault(name, one)
    return members


def _last_line(log: Path) -> str:
    """Return what a part said last, without SQLAlchemy's last word, a link."""
    last = "it said nothing"
    for line in log.read_text(errors="replace").splitlines():
        if line.strip() and not line.strip().startswith("(Background on this error"):
            last = line.strip()
    return f"{last[:300]} (all of it: {log})"
