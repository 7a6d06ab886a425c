"""The life of a sweep service: all of it started, what has died of it started again, and all of it ended."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import entry_points, version
from pathlib import Path
from secrets import token_hex

from cluster.refused import Refused
from cluster.service import database, jobs, mlflow_gate, parts
from cluster.service import processes as system
from cluster.service import state as service
from cluster.service.jobs import STOP_WITHIN_S
from cluster.service.jobserver import JobServer, find
from cluster.service.parts import DASHBOARD, RAYLET, StartError
from cluster.service.processes import Process, boot, family
from cluster.service.state import Part, State

END_WITHIN_S = 5.0
LONGEST_TEMPORARY = (
    45  # characters of Ray's folder: its sockets are below it, and their paths may have 107
)
_NEEDED = (
    "aiohttp_cors",
    "colorful",
    "grpc",
    "opencensus",
    "prometheus_client",
    "smart_open",
    "virtualenv",
)


def processes(state: State) -> set[Process]:
    """All living processes of a service."""
    return {
        one for part in (state.ray, state.mlflow) for one in family(part.mark, _known(state, part))
    }


def dead(state: State) -> list[str]:
    """What has died of a service, by name."""
    return [*state.ray.dead(), *state.mlflow.dead()]


def start(state: State, backend: str) -> State:
    """Start a service of which nothing runs.

    Args:
        state: What is wanted; its processes are not looked at.
        backend: MLflow's database.

    Raises:
        Refused: It cannot be started, for one reason or several.
        StartError: It did not start; nothing of it is left.
    """
    _check(state, backend)
    Path(state.storage).mkdir(parents=True, exist_ok=True)
    state = replace(
        state,
        temporary=tempfile.mkdtemp(prefix="dvt-ray-", dir=_temporary()),
        started=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        boot=boot(),
        ray=Part(mark=token_hex(16)),
        mlflow=Part(mark=token_hex(16)),
    )
    service.make_token()
    service.save(state)  # first, so that what is started can be ended whatever comes
    try:
        tracked, joined = parts.start_mlflow(state, backend), parts.start_ray(state)
        state = replace(state, mlflow=tracked().mlflow)
        state = replace(state, ray=joined().ray)
    except (StartError, KeyboardInterrupt):
        end(state, lambda line: None)
        raise
    service.save(state)
    return state


def mend(state: State, backend: str) -> State:
    """Start what has died again. Sweeps go on unless the heart of Ray is what died.

    Raises:
        Refused: MLflow's database is not known any more.
        StartError: Something did not start; the rest goes on.
    """
    if gone := state.mlflow.dead():
        if not backend:
            raise Refused(
                "MLflow's database has a password, which is not written down: give --backend-store-uri again."
            )
        if closed := database.problem(backend, "--backend-store-uri"):
            raise Refused(f"MLflow's database {closed}")
        _end(state, state.mlflow)
        state = _again(
            state,
            "mlflow",
            parts.start_mlflow(replace(state, mlflow=Part(mark=token_hex(16))), backend),
        )
    gone = state.ray.dead()
    if gone == [DASHBOARD]:
        state = _again(state, "ray", parts.start_dashboard(state))
    elif gone:
        _end(state, state.ray)
        clear(state)
        fresh = replace(
            state,
            temporary=tempfile.mkdtemp(prefix="dvt-ray-", dir=_temporary()),
            ray=Part(mark=token_hex(16)),
        )
        service.save(fresh)
        state = _again(fresh, "ray", parts.start_ray(fresh))
    return state


def end(state: State, say: Callable[[str], None]) -> tuple[int, set[Process]]:
    """Stop the jobs in order, end all processes, and forget the service.

    Args:
        state: The service.
        say: Shows a line before what takes long.

    Returns:
        How many processes ended, and those that did not.
    """
    before = processes(state)
    if before and not state.ray.dead() and state.ray.members:
        with suppress(
            Refused
        ):  # a job server that does not answer cannot stop them; their sweeps are resumed later
            _stop_jobs(find(None), say)
    left = set()
    for part in (state.ray, state.mlflow):  # MLflow last: it is told how a sweep ended
        left |= _end(state, part)
    if not left:
        clear(state)
        service.forget()
    return len(before - left), left


def clear(state: State) -> None:
    """Delete Ray's folder."""
    if state.temporary:
        shutil.rmtree(state.temporary, ignore_errors=True)


def is_own(host: str) -> bool:
    """Whether it is an address of this machine: one can listen there."""
    return _can_listen(host, 0)


def _check(state: State, backend: str) -> None:
    problems = []
    if sys.platform != "linux":
        raise Refused(
            "the service needs Linux, which says which processes are its own: run sweeps without it here."
        )
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        problems.append(
            f"Ray's dashboard and job server must be installed, but {', '.join(missing)} are missing: "
            f"pip install 'ray[default]=={version('ray')}'."
        )
    if not entry_points(group="mlflow.app", name=mlflow_gate.NAME):
        problems.append(
            "MLflow must find this project, but its installation is older than the service: pip install -e ."
        )
    if not backend:
        problems.append(
            "MLflow's database has a password, which is not written down: give --backend-store-uri again."
        )
    elif closed := database.problem(backend, "--backend-store-uri"):
        problems.append(f"MLflow's database {closed}")
    for flag, port in (
        ("--dashboard-port", state.dashboard_port),
        ("--mlflow-port", state.mlflow_port),
    ):
        if not _can_listen(state.host, port):
            problems.append(
                f"{flag} must be free, but something else listens on {port}: end it, or give another port."
            )
    if state.dashboard_port == state.mlflow_port:
        problems.append(
            f"--dashboard-port and --mlflow-port must differ, but both are {state.mlflow_port}."
        )
    try:
        parent = next(
            path for path in (Path(state.storage), *Path(state.storage).parents) if path.exists()
        )
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        problems.append(
            f"--storage must be a folder that can be written to, but {state.storage} cannot ({error.strerror})."
        )
    if problems:
        raise Refused(*problems)


def _again(state: State, part: str, wait: Callable[[], State]) -> State:
    started = wait()
    state = replace(state, **{part: getattr(started, part)})
    service.save(state)
    return state


def _stop_jobs(server: JobServer, say: Callable[[str], None]) -> None:
    running = [job.name for job in server.jobs() if not job.over]
    if running:
        say(f"Stopping {', '.join(running)}; each can be resumed.")
        jobs.stop(server, running, STOP_WITHIN_S + 10)


def _end(state: State, part: Part) -> set[Process]:
    """Ray's node goes first: without Ray's other processes it would wait for them."""
    known = _known(state, part)
    return system.end(
        part.mark, known, patience=END_WITHIN_S, first=part.members.get(RAYLET) if known else None
    )


def _known(state: State, part: Part) -> tuple[Process, ...]:
    """After a start of the machine the numbers mean other processes."""
    return part.known if state.boot == boot() else ()


def _temporary() -> str:
    given = tempfile.gettempdir()
    return given if len(given) <= LONGEST_TEMPORARY - len("/dvt-ray-12345678") else "/tmp"


def _can_listen(host: str, port: int) -> bool:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return True
    except (OSError, UnicodeError):
        return False
