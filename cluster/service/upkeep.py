"""The life of a sweep service: started, what has died of it started again, and ended.

A supervisor of its own, since a service is one command away for every user: without root, without
systemd, without Docker.
"""

from __future__ import annotations

import importlib.util
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
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
from cluster.service.finding import find
from cluster.service.jobs import STOP_WITHIN_S
from cluster.service.jobserver import JobServer
from cluster.service.parts import DASHBOARD, RAYLET, StartError
from cluster.service.processes import Process, boot, family
from cluster.service.state import Part, State

END_WITHIN_S = 5.0
# Characters of Ray's folder: its sockets are below it, and their paths may have 107.
LONGEST_TEMPORARY = 45
# Packages of ray[default].
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
    """Return all living processes of a service."""
    of_ray, of_mlflow = (family(part.mark, state.known(part)) for part in (state.ray, state.mlflow))
    return of_ray | of_mlflow


def dead(state: State) -> list[str]:
    """Return what has died of a service, by name."""
    return [*state.ray.dead(), *state.mlflow.dead()]


def start(state: State, backend: str) -> State:
    """Start a service of which nothing runs.

    Args:
        state: The service that is wanted; its processes are not looked at.
        backend: MLflow's database.

    Raises:
        Refused: It cannot be started, for one reason or several.
        StartError: It did not start; nothing of it is left.
    """
    _check(state, backend)
    Path(state.storage).mkdir(parents=True, exist_ok=True)
    state = replace(
        state,
        temporary=_temporary_folder(),
        started=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        boot=boot(),
        ray=Part(mark=token_hex(16)),
        mlflow=Part(mark=token_hex(16)),
    )
    service.make_token()
    # First, so that what is started can be ended whatever comes.
    service.save(state)
    try:
        # Both at once; each takes seconds.
        with_mlflow = parts.start_mlflow(state, backend)
        with_ray = parts.start_ray(state)
        state = replace(state, mlflow=with_mlflow().mlflow)
        state = replace(state, ray=with_ray().ray)
    except (StartError, KeyboardInterrupt):
        end(state, lambda line: None)
        raise
    service.save(state)
    return state


def mend(state: State, backend: str) -> State:
    """Start what has died again. Sweeps keep running unless the heart of Ray is what died.

    Raises:
        Refused: MLflow's database is not known any more.
        StartError: Something did not start; the rest keeps running.
    """
    if state.mlflow.dead():
        closed = _closed(backend)
        if closed:
            raise Refused(closed)
        _end(state, state.mlflow)
        fresh = replace(state, mlflow=Part(mark=token_hex(16)))
        started = parts.start_mlflow(fresh, backend)()
        state = replace(state, mlflow=started.mlflow)
        service.save(state)
    gone = state.ray.dead()
    if not gone:
        return state

    # The dashboard alone can be started again beside the rest; without another part Ray is lost.
    if gone == [DASHBOARD]:
        state = parts.start_dashboard(state)()
    else:
        _end(state, state.ray)
        clear(state)
        fresh = replace(state, temporary=_temporary_folder(), ray=Part(mark=token_hex(16)))
        service.save(fresh)
        state = parts.start_ray(fresh)()
    service.save(state)
    return state


def end(state: State, say: Callable[[str], None]) -> tuple[int, set[Process]]:
    """Stop the jobs cleanly, end all processes, and forget the service.

    Args:
        state: The service.
        say: Shows a line before what takes long.

    Returns:
        The number of processes that ended, and those that did not.
    """
    before = processes(state)
    if before and state.ray.members and not state.ray.dead():
        # A job server that does not answer cannot stop them; their sweeps are resumed later.
        with suppress(Refused):
            _stop_jobs(find(None), say)
    # MLflow last: it is told how a sweep ended.
    left = _end(state, state.ray) | _end(state, state.mlflow)
    if not left:
        clear(state)
        service.forget()
    return len(before - left), left


def clear(state: State) -> None:
    """Delete Ray's folder."""
    if state.temporary:
        shutil.rmtree(state.temporary, ignore_errors=True)


def is_own(host: str) -> bool:
    """Return whether it is an address of this machine: one can listen there."""
    return _can_listen(host, 0)


def _check(state: State, backend: str) -> None:
    """Refuse what cannot be started, for all reasons at once."""
    if sys.platform != "linux":
        raise Refused(
            "the service needs Linux, which says which processes are its own: run sweeps without "
            "it here."
        )
    problems = [
        *_missing_packages(),
        _closed(backend),
        *_taken_ports(state),
        _unwritable(Path(state.storage)),
    ]
    told = [problem for problem in problems if problem]
    if told:
        raise Refused(*told)


def _missing_packages() -> Iterator[str]:
    missing = [name for name in _NEEDED if not _is_installed(name)]
    if missing:
        yield (
            f"Ray's dashboard and job server must be installed, but {', '.join(missing)} are "
            f"missing: pip install 'ray[default]=={version('ray')}'."
        )
    # An installation of before may name a module that is not there any more.
    gate = f"{mlflow_gate.__name__}:{mlflow_gate.create_app.__name__}"
    found = entry_points(group="mlflow.app", name=mlflow_gate.NAME)
    if gate not in [entry.value for entry in found]:
        yield (
            "MLflow must find this project, but its installation is older than the service: "
            "pip install -e ."
        )


def _is_installed(name: str) -> bool:
    # What is imported already may have no spec: colorful has none.
    return name in sys.modules or importlib.util.find_spec(name) is not None


def _closed(backend: str) -> str:
    """Return why MLflow's database does not open; empty where it does."""
    if not backend:
        return (
            "MLflow's database has a password, which is not written down: give "
            "--backend-store-uri again."
        )
    closed = database.problem(backend, "--backend-store-uri")
    return f"MLflow's database {closed}" if closed else ""


def _taken_ports(state: State) -> Iterator[str]:
    ports = {"--dashboard-port": state.dashboard_port, "--mlflow-port": state.mlflow_port}
    for flag, port in ports.items():
        if not _can_listen(state.host, port):
            yield (
                f"{flag} must be free, but something else listens on {port}: end it, or give "
                "another port."
            )
    if state.dashboard_port == state.mlflow_port:
        yield (
            f"--dashboard-port and --mlflow-port must differ, but both are {state.mlflow_port}: "
            "give another one."
        )


def _unwritable(storage: Path) -> str:
    """Return why nothing can be kept in a folder that need not exist yet; empty where it can."""
    try:
        parent = next(path for path in (storage, *storage.parents) if path.exists())
        with tempfile.TemporaryFile(dir=parent):
            return ""
    except OSError as error:
        return (
            f"--storage must be a folder that can be written to, but {storage} cannot "
            f"({error.strerror}): give another one."
        )


def _stop_jobs(server: JobServer, say: Callable[[str], None]) -> None:
    running = [job.name for job in server.jobs() if not job.over]
    if running:
        say(f"Stopping {', '.join(running)}; each can be resumed.")
        jobs.stop(server, running, STOP_WITHIN_S + 10)


def _end(state: State, part: Part) -> set[Process]:
    """End a part's processes; return those that outlive that.

    Ray's node goes first: without Ray's other processes it would wait for them.
    """
    known = state.known(part)
    first = part.members.get(RAYLET) if known else None
    return system.end(part.mark, known, patience=END_WITHIN_S, first=first)


def _temporary_folder() -> str:
    """Make a folder for Ray, where its name is short."""
    parent = tempfile.gettempdir()
    if len(parent) > LONGEST_TEMPORARY - len("/dvt-ray-12345678"):
        parent = "/tmp"
    return tempfile.mkdtemp(prefix="dvt-ray-", dir=parent)


def _can_listen(host: str, port: int) -> bool:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return True
    except (OSError, UnicodeError):
        return False
