"""`dvt ui`: MLflow in the browser, with the trials of a sweep, best first."""

from __future__ import annotations

import webbrowser
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from cluster import signals
from cluster.addresses import SERVERS, is_masked, without_login, without_password
from cluster.refused import Refused
from sweeps.commands import kit
from sweeps.records.folder import MANIFEST, at, sweep_folder
from sweeps.records.manifest import read_manifest
from sweeps.runner import flag_values as values
from sweeps.terminal.screen import say, screen
from sweeps.terminal.waiting import waiting
from sweeps.tracking.chosen import DATABASE, with_login

if TYPE_CHECKING:
    from sweeps.tracking.page import Server


@kit.command("dvt ui")
@click.argument("name", required=False, type=values.SWEEP)
@kit.flags("storage")
@click.option(
    "--port",
    metavar="N",
    type=values.Checked(values.whole(1024, 65535), "N"),
    help="Port on 127.0.0.1; default: 5000, or a free one.",
)
@click.option("--no-open", is_flag=True, help="Print the link only.")
def command(name: str | None, storage: Path | None, port: int | None, no_open: bool) -> int:
    """Show a sweep in MLflow: its trials, best first. Ctrl-C ends it.

    NAME is any part of its name that no other has; default: the newest sweep.
    """
    storage = kit.storage_of(storage)
    sweep = kit.sweep_of(storage, name)
    manifest = _manifest(storage, sweep)
    uri = _store(storage, sweep, manifest)
    console = screen()
    from sweeps.tracking.page import Server, free_port  # MLflow takes seconds to import
    from sweeps.tracking.store import TrackingError, prepare_store

    try:
        prepared = prepare_store(uri, storage, partial(say, console))
        place = _place(storage, sweep, manifest, prepared)
        if prepared.partition("://")[0] in SERVERS:
            _show(console, place, without_login(prepared), opens=not no_open)
            return kit.DONE
        port = free_port(port)
        # A terminal that is closed ends it too, as Ctrl-C does.
        before = signals.catch(signals.interrupt)
        try:
            with closing(Server(prepared, storage, port)) as server:
                _start(console, server)
                _show(console, place, server.address, opens=not no_open)
                say(console, "Ctrl-C ends it.")
                server.wait()
        except KeyboardInterrupt:
            say(console, "MLflow was stopped.")
            return kit.DONE
        finally:
            signals.restore(before)
    except TrackingError as error:
        raise Refused(str(error)) from error
    click.echo("error: MLflow ended by itself: run `dvt ui` again.", err=True)
    return kit.FAILED


def _start(console: Console, server: Server) -> None:
    """Wait until a server answers, and say so."""
    say(console, f"Starting MLflow at {server.address}: some 10 s.")
    with waiting("MLflow starts"):
        seconds = server.wait_until_it_answers()
    say(console, f"MLflow answers after {seconds:.0f} s.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where MLflow has a sweep: its name, and the ids of its experiment and of its own run."""

    sweep: str
    experiment: str
    run: str


def _place(storage: Path, sweep: str, manifest: Mapping[str, Any], tracking_uri: str) -> Place:
    """Find a sweep in MLflow, and set the views of its experiment.

    Raises:
        Refused: MLflow does not have it, or its description is damaged.
        TrackingError: MLflow does not answer.
    """
    from sweeps.tracking.experiment import show_views, sweep_run_id
    from sweeps.tracking.views import views

    try:
        wanted = views(sweep, manifest)
    except (LookupError, TypeError, AttributeError) as error:
        raise Refused(
            f"{MANIFEST} of {sweep} must describe it, but is damaged: choose another sweep."
        ) from error
    run = None
    experiment = show_views(tracking_uri, str(manifest["study"]), wanted)
    if experiment is not None:
        run = sweep_run_id(tracking_uri, experiment, sweep)
    if experiment is None or run is None:
        raise Refused(
            f"MLflow must have {sweep}, but {without_password(tracking_uri)} has not: "
            f"`dvt sync {sweep}{at(storage)}` delivers it."
        )
    return Place(sweep=sweep, experiment=experiment, run=run)


def _show(console: Console, place: Place, address: str, *, opens: bool) -> None:
    """Print the links of a sweep, and open the first."""
    from sweeps.tracking.views import TRIALS, link, run_link

    trials = link(address, place.experiment, TRIALS)
    answer = run_link(address, place.experiment, place.run)
    # What begins with two spaces is there to be copied.
    say(console, f"Trials of {place.sweep}, best first:\n  {trials}")
    say(console, f"Its answer:\n  {answer}")
    if opens:
        webbrowser.open(trials)


def _manifest(storage: Path, sweep: str) -> dict[str, Any]:
    path = sweep_folder(storage, sweep)
    try:
        manifest = read_manifest(path)
    except (OSError, ValueError) as error:
        raise Refused(f"{path / MANIFEST} must be readable, but is not: {error}.") from error
    if not isinstance(manifest.get("study"), str):
        raise Refused(f"{path / MANIFEST} must name its study, but does not: choose another sweep.")
    return manifest


def _store(storage: Path, sweep: str, manifest: dict[str, Any]) -> str | None:
    """Return the store that has a sweep; None is the storage's own.

    Raises:
        Refused: It needs a password, or the storage has no database.
    """
    options = manifest.get("options")
    uri = with_login(options.get("tracking_uri") if isinstance(options, dict) else None)
    if uri and is_masked(uri):
        raise Refused(
            f"MLflow of {sweep} is {without_password(uri)}, and its password is not stored: "
            "set MLFLOW_TRACKING_URI to the address with it."
        )
    if uri is None and not (storage / DATABASE).is_file():
        raise Refused(
            f"{storage} must hold MLflow's {DATABASE}, but does not: "
            f"`dvt sync {sweep}{at(storage)}` makes it from the sweep's record."
        )
    return uri
