"""`dvt service up | status | down`: Ray with its job server, and MLflow, on this machine."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from cluster.addresses import SERVER_DATABASES
from cluster.refused import Refused
from cluster.service import parts, upkeep
from cluster.service import state as service
from cluster.service.finding import find
from cluster.service.listeners import listeners
from cluster.service.processes import Process
from cluster.service.state import State
from cluster.service.wanted import DASHBOARD_PORT, MLFLOW_PORT, SQLITE, wanted
from sweeps.commands import kit
from sweeps.runner import flag_values as values
from sweeps.terminal.screen import say, say_wrong, screen

PORT = values.Checked(values.whole(1024, 65535), "N")


def own_address(value: str) -> str:
    """An address at which this machine can listen."""
    if not upkeep.is_own(values.text(value)):
        raise ValueError("an IP address of this machine")
    return value


def database(value: str) -> str:
    """The address of a database that MLflow writes to; an SQLite file's path becomes absolute."""
    scheme, _, place = values.text(value).partition("://")
    dialect = scheme.partition("+")[0]
    if dialect not in ("sqlite", *SERVER_DATABASES) or not place.strip("/"):
        raise ValueError(
            "the address of a database, such as sqlite:///PATH or postgresql://USER@HOST/NAME "
            "with the password in a file that PGPASSFILE names"
        )
    if value.startswith(SQLITE):
        return f"{SQLITE}{Path(value.removeprefix(SQLITE)).absolute()}"
    return value


@kit.group("dvt service")
def command() -> None:
    """Run Ray with dashboard and job server, and MLflow, on this machine, behind one token."""


@kit.subcommand(command, "up")
@click.option(
    "--storage",
    metavar="DIR",
    type=values.Checked(values.folder, "DIR"),
    help="Where sweeps and MLflow's records are kept; default: mlruns.",
)
@click.option(
    "--backend-store-uri",
    "backend",
    metavar="URI",
    envvar="MLFLOW_BACKEND_STORE_URI",
    type=values.Checked(database, "URI"),
    help="MLflow's database; default: mlflow.db in the storage.",
)
@click.option(
    "--host",
    metavar="HOST",
    type=values.Checked(own_address, "HOST"),
    help="The address to listen at; default: 127.0.0.1, this machine only.",
)
@click.option(
    "--dashboard-port",
    metavar="N",
    type=PORT,
    help=f"Port of dashboard and job server; default: {DASHBOARD_PORT}.",
)
@click.option(
    "--mlflow-port", metavar="N", type=PORT, help=f"Port of MLflow; default: {MLFLOW_PORT}."
)
@click.option(
    "--cpus",
    metavar="N",
    type=values.Checked(values.whole(1, 100_000), "N"),
    help="CPUs for sweeps; default: all.",
)
@click.option(
    "--gpus",
    metavar="N",
    type=values.Checked(values.whole(0, 100_000), "N"),
    help="GPUs for sweeps; default: all.",
)
def up(
    storage: Path | None,
    backend: str | None,
    host: str | None,
    dashboard_port: int | None,
    mlflow_port: int | None,
    cpus: int | None,
    gpus: int | None,
) -> int:
    """Start the service, or those of its parts that have died."""
    # One command at a time: two that start it would start two.
    try:
        with service.alone():
            before = service.load()
            state = wanted(
                before,
                storage=storage,
                backend=backend,
                host=host,
                dashboard_port=dashboard_port,
                mlflow_port=mlflow_port,
                cpus=cpus,
                gpus=gpus,
            )
            state, done = _brought_up(before, state, backend or state.backend)
    except parts.StartError as error:
        say_wrong([str(error)])
        return kit.FAILED
    click.echo(done)
    _say_where(state)
    return kit.DONE


@kit.subcommand(command, "status")
def status() -> int:
    """Show where the service is, and whether it answers.

    With the running jobs, and all addresses at which it listens. Exit status: 0 it is up, 1 it is
    not, or a part is dead.
    """
    state = service.load()
    if state is None:
        click.echo("The service is not up.")
        return kit.FAILED
    alive = upkeep.processes(state)
    if not alive:
        gone = "Its processes are gone: `dvt service up` starts it again."
        say(screen(), f"The service is not up. {gone}")
        return kit.FAILED
    dead = upkeep.dead(state)
    runs_jobs = parts.answers(f"{state.dashboard}/api/jobs/", parts.authorization())
    tracks = parts.answers(f"{state.tracking}/health")

    # What there is, and whether it answers.
    click.echo(f"The service is up since {datetime.fromisoformat(state.started):%Y-%m-%d %H:%M}.")
    _say_where(state, jobs=_health(runs_jobs), tracks=_health(tracks))
    if runs_jobs:
        running = [job.name for job in find(None).jobs() if not job.over]
        click.echo(f"  running             {', '.join(running) or 'no job'}")
    _say_listeners(state, alive)

    # What is to be done about it.
    for name in dead:
        places = f"{service.folder()} and {state.temporary}"
        say(screen(), f"Dead: {name}. `dvt service up` starts it again; logs are in {places}.")
    if dead:
        return kit.FAILED
    if runs_jobs and tracks:
        return kit.DONE
    say(
        screen(),
        "All processes are running, but not all answer: wait a little, or run "
        "`dvt service down` and `up`.",
    )
    return kit.FAILED


@kit.subcommand(command, "down")
def down() -> int:
    """Stop its jobs cleanly, then the service.

    Everything that `up` started is stopped, and nothing else.
    """
    with service.alone():
        state = service.load()
        if state is None:
            click.echo("The service is not up.")
            return kit.DONE
        ended, left = upkeep.end(state, click.echo)
        if left:
            numbers = ", ".join(map(str, sorted(one.pid for one in left)))
            say_wrong([f"not even SIGKILL ended the processes {numbers}."])
            return kit.FAILED
        click.echo(f"The service is down: {ended} processes ended.")
        return kit.DONE


def _brought_up(before: State | None, asked: State, backend: str) -> tuple[State, str]:
    """Start what is missing of a service; return the service, and a line that says what was done.

    Raises:
        Refused: It is up with other flags, or cannot be started.
        StartError: A part did not start.
    """
    if before is None or not upkeep.processes(before):
        if before:
            upkeep.clear(before)
        return upkeep.start(asked, backend), "The service is up."
    if asked != before:
        raise Refused(
            "the service is up, and its options cannot change while it is: "
            "`dvt service down` first."
        )
    dead = upkeep.dead(before)
    if dead:
        return upkeep.mend(before, backend), f"Started again: {', '.join(dead)}."
    return before, "The service is up already."


def _say_where(state: State, jobs: str = "", tracks: str = "") -> None:
    click.echo(f"  dashboard and jobs  {state.dashboard}{jobs}")
    click.echo(f"  MLflow              {state.tracking}{tracks}")
    click.echo(f"  Ray                 {parts.gcs_address(state)}")
    click.echo(f"  storage             {state.storage}")
    click.echo(f"  token               in {service.token_path()}")


def _say_listeners(state: State, alive: set[Process]) -> None:
    # Members by the service's names, others by what they call themselves.
    names = {one.pid: one.name() or "ended" for one in alive}
    for part in (state.ray, state.mlflow):
        for name, member in part.members.items():
            names[member.pid] = name
    for listener in listeners(alive):
        line = f"  listens             {listener.host}:{listener.port}  {names[listener.pid]}"
        if not listener.local:
            line += "  (the network reaches it)"
        click.echo(line)


def _health(good: bool) -> str:
    return "  answers" if good else "  does not answer"
