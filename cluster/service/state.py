"""The record of a sweep service: where it is, and which processes it consists of.

The token is named by its path.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cluster.refused import Refused
from cluster.service.processes import Process, boot
from trainables.files import PRIVATE, leftovers, write_whole

FOLDER = "DVT_SERVICE_DIR"
# Files in `folder`.
_STATE = "state.json"
_LOCK = "lock"
_TOKEN = "token"
_EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Ray, or MLflow.

    Attributes:
        mark: The value of `processes.MARK` in the environment of its processes.
        members: The processes that it cannot do without, by name.
        known: All processes that were seen when it had started.
        arguments: The command line of each member.
    """

    mark: str
    members: dict[str, Process] = field(default_factory=dict)
    known: tuple[Process, ...] = ()
    arguments: dict[str, list[str]] = field(default_factory=dict)

    def dead(self) -> list[str]:
        """Return the names of its members that have ended."""
        return [name for name, member in self.members.items() if not member.alive()]


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """A service that is up, or was.

    Attributes:
        storage: The folder of the sweeps that name no other one.
        backend: MLflow's database; empty where its address holds a password, which is not written
            down.
        host: The address at which dashboard, job server and MLflow listen.
        dashboard_port: Port of dashboard and job server.
        mlflow_port: Port of MLflow.
        cpus: CPUs of Ray.
        gpus: GPUs of Ray; None leaves it to Ray to count them.
        temporary: Ray's own folder.
        started: Its start, in ISO 8601.
        boot: The start of the machine in which it was started.
        ray: Ray's processes.
        mlflow: MLflow's processes.
    """

    storage: str
    backend: str
    host: str
    dashboard_port: int
    mlflow_port: int
    cpus: int
    gpus: int | None
    temporary: str
    started: str
    boot: str
    ray: Part
    mlflow: Part

    @property
    def dashboard(self) -> str:
        """Address of the dashboard and the job server."""
        return f"http://{_reached(self.host)}:{self.dashboard_port}"

    @property
    def tracking(self) -> str:
        """Address of MLflow."""
        return f"http://{_reached(self.host)}:{self.mlflow_port}"

    def known(self, part: Part) -> tuple[Process, ...]:
        """Return the processes of a part that were seen.

        None of another start of the machine is there: their numbers mean other processes now.
        """
        if self.boot != boot():
            return ()
        return part.known


def folder() -> Path:
    """Return the folder of record, token and logs; it may not exist.

    There is one service per user and machine.
    """
    if given := os.environ.get(FOLDER):
        return Path(given).expanduser().absolute()
    # A home may be on several machines; each has a service of its own.
    base = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser().absolute()
    return base / "depth-vs-tricks" / f"service-{socket.gethostname()}"


def token_path() -> Path:
    """Return the file that holds the service's token."""
    return folder() / _TOKEN


def make_token() -> None:
    """Write a token unless there is one."""
    if not token_path().exists():
        write_whole(token_path(), secrets.token_hex(32), mode=PRIVATE)


def make_folder() -> Path:
    """Make the folder, for this user alone.

    Raises:
        Refused: It cannot be written.
    """
    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o700)
    except OSError as error:
        raise Refused(
            f"{place} must be a folder that can be written to, but cannot ({error.strerror}): "
            f"name another with {FOLDER}."
        ) from error
    return place


def load() -> State | None:
    """Return the record, if there is one.

    Raises:
        Refused: It cannot be read.
    """
    path = folder() / _STATE
    try:
        record = json.loads(path.read_text())
        parts = {name: _part(record[name]) for name in ("ray", "mlflow")}
        return State(**record | parts)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise Refused(
            f"{path} must say what the service consists of, but cannot be read ({reason}): "
            "end its processes, then delete it."
        ) from error


def save(state: State) -> None:
    """Write the record, whole or not at all."""
    write_whole(folder() / _STATE, json.dumps(asdict(state), indent=2) + "\n", mode=PRIVATE)


def forget() -> None:
    """Delete record and token."""
    (folder() / _STATE).unlink(missing_ok=True)
    token_path().unlink(missing_ok=True)
    for left in leftovers(folder()):  # of killed processes; one may hold a token
        left.unlink(missing_ok=True)


@contextmanager
def alone() -> Iterator[None]:
    """Keep other commands from changing the service meanwhile.

    Raises:
        Refused: Another one is changing it.
    """
    # The system lets go of the lock when the process ends, however it ends.
    held = os.open(make_folder() / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(
                "another command is starting or ending the service just now: wait for it."
            ) from error
        yield
    finally:
        os.close(held)


def _part(record: dict[str, Any]) -> Part:
    return Part(
        mark=record["mark"],
        members={name: Process(**member) for name, member in record["members"].items()},
        known=tuple(Process(**one) for one in record["known"]),
        arguments=record["arguments"],
    )


def _reached(host: str) -> str:
    """Return the address by which this machine reaches what listens at `host`."""
    if host in _EVERYWHERE:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
