"""What is written down of a sweep service: where it is, and which processes it consists of. The token is named by its path."""

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
_STATE, _LOCK, _TOKEN = "state.json", "lock", "token"
_EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Ray, or MLflow.

    Attributes:
        mark: In the environment of its processes.
        members: Those that it cannot do without, by name.
        known: All that were seen when it had started.
        arguments: The command line of each member.
    """

    mark: str
    members: dict[str, Process] = field(default_factory=dict)
    known: tuple[Process, ...] = ()
    arguments: dict[str, list[str]] = field(default_factory=dict)

    def dead(self) -> list[str]:
        """Names of its members that have ended."""
        return [name for name, member in self.members.items() if not member.alive()]


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """A service that is up, or was.

    Attributes:
        storage: Where sweeps are kept that name no other place.
        backend: MLflow's database; empty where its address holds a password, which is not written down.
        host: Where dashboard, job server and MLflow listen.
        dashboard_port: Of the first two.
        mlflow_port: Of the third.
        cpus: CPUs of Ray.
        gpus: GPUs of Ray; None leaves it to Ray to count them.
        temporary: Ray's own folder.
        started: When, in ISO 8601.
        boot: The start of the machine in which it was started.
        ray: Its processes.
        mlflow: Its processes.
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

    @property
    def known(self) -> tuple[Process, ...]:
        """All processes that were seen; of another start of the machine none is there any more."""
        return (*self.ray.known, *self.mlflow.known) if self.boot == boot() else ()


def folder() -> Path:
    """Where service, token and logs are written down: one service for each user and machine. It may not exist."""
    if given := os.environ.get(FOLDER):
        return Path(given).expanduser().absolute()
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return (
        Path(base).expanduser().absolute() / "depth-vs-tricks" / f"service-{socket.gethostname()}"
    )


def token_path() -> Path:
    """The file that holds the service's token."""
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
        said = f"{place} must be a folder that can be written to, but cannot ({error.strerror}): name another with {FOLDER}."
        raise Refused(said) from error
    return place


def load() -> State | None:
    """What is written down, if anything.

    Raises:
        Refused: It cannot be read.
    """
    path = folder() / _STATE
    try:
        found = json.loads(path.read_text())
        return State(**found | {name: _part(found[name]) for name in ("ray", "mlflow")})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise Refused(
            f"{path} must say what the service consists of, but cannot be read ({reason}): end its processes, then delete it."
        ) from error


def save(state: State) -> None:
    """Write it down, whole or not at all."""
    write_whole(folder() / _STATE, json.dumps(asdict(state), indent=2) + "\n", mode=PRIVATE)


def forget() -> None:
    """Delete state and token."""
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


def _part(found: dict[str, Any]) -> Part:
    members = {name: Process(**member) for name, member in found["members"].items()}
    known = tuple(Process(**one) for one in found["known"])
    return Part(mark=found["mark"], members=members, known=known, arguments=found["arguments"])


def _reached(host: str) -> str:
    """An address on this machine for what listens there."""
    return "127.0.0.1" if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
