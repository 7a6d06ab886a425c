"""`dvt service up | status | down`: Ray with its job server, and MLflow, on this machine for as long as they are wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from cluster.addresses import SERVER_DATABASES, without_password
from cluster.commandline import CONTEXT, answer, whole
from cluster.refused import Refused
from cluster.service import parts, upkeep
from cluster.service import state as service
from cluster.service.jobserver import ENDED, find
from cluster.service.listeners import listeners
from cluster.service.processes import PROC
from cluster.service.state import Part, State
from trainables.cpus import available_cpus

LOCAL, DASHBOARD_PORT, MLFLOW_PORT = "127.0.0.1", 8265, 5000
FAILED = 1
_BOUNDS = {
    "dashboard_port": (1024, 65535),
    "mlflow_port": (1024, 65535),
    "cpus": (1, 100_000),
    "gpus": (0, 100_000),
}
_SQLITE = "sqlite:///"
_DATABASES = ("sqlite", *SERVER_DATABASES)


@click.group("dvt service", context_settings=CONTEXT)
def command() -> None:
    """A sweep service on this machine: Ray with dashboard and job server, and MLflow, behind one token."""


@command.command("up")
@click.option(
    "--storage", metavar="DIR", help="Where sweeps and MLflow's records are kept; default: mlruns."
)
@click.option(
    "--backend-store-uri",
    metavar="URI",
    help="MLflow's database; default: mlflow.db in the storage.",
)
@click.option(
    "--host",
    metavar="HOST",
    help="Where others may come in; default: 127.0.0.1, this machine only.",
)
@click.option(
    "--dashboard-port", metavar="N", help=f"Of dashboard and job server; default: {DASHBOARD_PORT}."
)
@click.option("--mlflow-port", metavar="N", help=f"Of MLflow; default: {MLFLOW_PORT}.")
@click.option("--cpus", metavar="N", help="CPUs for sweeps; default: all.")
@click.option("--gpus", metavar="N", help="GPUs for sweeps; default: all.")
def up(**given: str | None) -> int:
    """Start it, or those of its parts that have died."""
    uri = given["backend_store_uri"] or os.environ.get("MLFLOW_BACKEND_STORE_URI", "")
    try:
        with service.alone():
            before = service.load()
            alive = before is not None and bool(upkeep.processes(before))
            state = _wanted(given, uri, before)
            if before is None or not alive:
                if before:
                    upkeep.clear(before)
                state = upkeep.start(state, state.backend or uri)
                click.echo("The service is up.")
            elif state != before:
                raise Refused(
                    "the service is up, and its flags stay as they are while it is: `dvt service down` first."
                )
            elif dead := upkeep.dead(before):
                state = upkeep.mend(before, before.backend or uri)
                click.echo(f"Started again: {', '.join(dead)}.")
            else:
                click.echo("The service is up already.")
    except parts.StartError as error:
        click.echo(f"error: {error}", err=True)
        return FAILED
    _say_where(state)
    return 0


@command.command("status")
def status() -> int:
    """Say where it is, whether it answers, what runs on it, and where else it listens. Exit status 1 where a part is dead."""
    state = service.load()
    if state is None or not (alive := upkeep.processes(state)):
        click.echo(
            "The service is not up."
            + (" Its processes are gone: `dvt service up` starts it again." if state else "")
        )
        return FAILED
    dead = upkeep.dead(state)
    jobs = parts.answers(f"{state.dashboard}/api/jobs/", parts.authorization())
    tracks = parts.answers(f"{state.tracking}/health")
    click.echo(f"The service is up since {datetime.fromisoformat(state.started):%Y-%m-%d %H:%M}.")
    _say_where(state, jobs=_health(jobs), tracks=_health(tracks))
    if jobs:
        running = [job["submission_id"] for job in find(None).jobs() if job["status"] not in ENDED]
        click.echo(f"  running             {', '.join(running) or 'no job'}")
    names = {
        one.pid: name for part in (state.ray, state.mlflow) for name, one in part.members.items()
    }
    for listener in listeners(alive):
        name = names.get(listener.pid) or _name(listener.pid)
        wide = "" if listener.local else "  (the network reaches it)"
        click.echo(f"  listens             {listener.host}:{listener.port}  {name}{wide}")
    for name in dead:
        click.echo(
            f"Dead: {name}. `dvt service up` starts it again; logs are in {service.folder()} and {state.temporary}."
        )
    if not dead and not (jobs and tracks):
        click.echo(
            "All processes are there, but not all answer: wait a little, or `dvt service down` and `up`."
        )
    return 0 if jobs and tracks and not dead else FAILED


@command.command("down")
def down() -> int:
    """Stop its jobs in order, and end all that `up` started and nothing else."""
    with service.alone():
        state = service.load()
        if state is None:
            click.echo("The service is not up.")
            return 0
        ended, left = upkeep.end(state, click.echo)
        if left:
            numbers = ", ".join(str(one.pid) for one in sorted(left, key=lambda one: one.pid))
            click.echo(f"error: not even SIGKILL ended the processes {numbers}.", err=True)
            return FAILED
        click.echo(f"The service is down: {ended} processes ended.")
        return 0


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    return answer(command, arguments)


def _wanted(given: dict[str, str | None], uri: str, before: State | None) -> State:
    """What the flags ask for; what they leave out is as it was, else a default."""
    problems: list[str] = []
    asked: dict[str, object] = {
        name: whole(f"--{name.replace('_', '-')}", given[name], *bounds, problems)
        for name, bounds in _BOUNDS.items()
    }
    if (host := given["host"]) and not upkeep.is_own(host):
        problems.append(
            f"--host must be an IP address of this machine, but got {host!r}: give one, or leave it out."
        )
    scheme, _, place = uri.partition("://")
    if uri and (scheme.partition("+")[0] not in _DATABASES or not place.strip("/")):
        shown = f"{scheme}://…" if place else scheme  # the rest may hold a password
        problems.append(
            f"--backend-store-uri must name a database, but got {shown!r}: give postgresql://USER@HOST/NAME, with the password "
            "in a file that PGPASSFILE names, or sqlite:///PATH, or leave it out."
        )
    if problems:
        raise Refused(*problems)
    asked["host"] = host
    asked["storage"] = (
        str(Path(given["storage"]).expanduser().absolute()) if given["storage"] else None
    )
    storage = str(asked["storage"] or (before.storage if before else Path("mlruns").absolute()))
    if uri.startswith(_SQLITE):
        uri = f"{_SQLITE}{Path(uri.removeprefix(_SQLITE)).absolute()}"
    asked["backend"] = (
        None if before and not uri else _written(uri or f"{_SQLITE}{storage}/mlflow.db")
    )
    default = before or State(
        storage=storage,
        backend="",
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
    return replace(default, **{name: value for name, value in asked.items() if value is not None})  # type: ignore[arg-type]


def _written(uri: str) -> str:
    """Return a database's address, or nothing where it holds a password: that is not written down."""
    return uri if without_password(uri) == uri else ""


def _say_where(state: State, jobs: str = "", tracks: str = "") -> None:
    click.echo(f"  dashboard and jobs  {state.dashboard}{jobs}")
    click.echo(f"  MLflow              {state.tracking}{tracks}")
    click.echo(f"  Ray                 {parts.gcs_address(state)}")
    click.echo(f"  storage             {state.storage}")
    click.echo(f"  token               in {service.token_path()}")


def _health(good: bool) -> str:
    return "  answers" if good else "  does not answer"


def _name(pid: int) -> str:
    """What a process calls itself, such as `ray::DashboardA` and `raylet`."""
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:  # it has ended just now
        return "ended"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
