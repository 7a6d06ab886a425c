"""`dvt sync [NAME]`: send MLflow what it missed of a sweep, and the end of one that was killed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from cluster.addresses import is_masked, without_password
from cluster.refused import Refused
from sweeps.commands import kit
from sweeps.records.events import EventError, SweepFinished, to_json
from sweeps.records.folder import JOURNAL, MANIFEST, claimed, sweep_folder
from sweeps.records.history import read_history
from sweeps.records.journal import Journal, JournalError
from sweeps.records.manifest import read_manifest
from sweeps.records.results import Outcome
from sweeps.runner import flag_values as values
from sweeps.terminal.screen import say, screen
from sweeps.tracking.chosen import with_login


@kit.command("dvt sync")
@click.argument("word", metavar="[NAME]", required=False, type=values.SWEEP)
@kit.flags("storage", "tracking_uri")
def command(word: str | None, storage: Path | None, tracking_uri: str | None) -> int:
    """Send MLflow what the journal of a sweep has and MLflow lacks.

    NAME can be any unique part of its name; default: the newest sweep.
    """
    # The sweep, and the store that is to have it.
    storage = kit.storage_of(storage)
    name = kit.sweep_of(storage, word)
    folder = sweep_folder(storage, name)
    if not (folder / JOURNAL).is_file():
        raise Refused(f"{folder} must hold {JOURNAL}, but does not: there is nothing to send.")
    uri = _store(folder, tracking_uri)
    console = screen()
    from sweeps.tracking.delivery import sync  # MLflow takes seconds to import
    from sweeps.tracking.store import TrackingError, prepare_store

    try:
        prepared = prepare_store(uri, storage, partial(say, console))
        if end_abandoned(folder):
            say(console, f"No process runs {name}: what it left open is closed as interrupted.")
        done = sync(folder, prepared, storage)
    except TrackingError as error:
        raise Refused(str(error)) from error
    say(console, done.line)
    _show(folder, prepared)
    return kit.DONE if done.whole else kit.FAILED


def _show(folder: Path, tracking_uri: str) -> None:
    """Give the sweep's experiment its views; what fails is said, and `dvt ui` tries again."""
    from sweeps.tracking.experiment import show_views
    from sweeps.tracking.store import one_line
    from sweeps.tracking.views import views

    try:
        manifest = read_manifest(folder)
        # A description that was damaged may still name its store.
        if isinstance(manifest.get("study"), str):
            show_views(tracking_uri, manifest["study"], views(folder.name, manifest))
    except Exception as error:  # noqa: BLE001  MLflow has the record, and this is not of it
        click.echo(f"MLflow's views were not set ({one_line(error)}): `dvt ui` tries again.")


def _store(folder: Path, tracking_uri: str | None) -> str | None:
    """Return the store that is asked for, or the sweep's own."""
    # The sweep's own, without the password that it may have had.
    uri = tracking_uri
    if uri is None:
        try:
            uri = with_login(read_manifest(folder)["options"]["tracking_uri"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise Refused(
                f"{folder / MANIFEST} must be readable, but is not ({error}): pass --tracking-uri."
            ) from error
    if uri and is_masked(uri):
        shown = without_password(uri)
        raise Refused(f"--tracking-uri must be given, since its password is not stored: {shown}.")
    return uri


def end_abandoned(folder: Path) -> bool:
    """Write the end of a sweep whose driver was killed, so that MLflow does not show it as running.

    The time of that end is the last one at which the sweep did something. A resume opens it again.
    A damaged journal is left as it is: the delivery says where the damage is.

    Returns:
        Whether it was killed.

    Raises:
        Refused: The journal cannot be written.
    """
    try:
        with claimed(folder) as free:
            if not free:
                return False
            history = read_history(folder / JOURNAL)
            if not history.open:
                return False

            # What a driver writes when it is interrupted, without its summary.
            end = SweepFinished(
                outcome=Outcome.INTERRUPTED, tags={"sweep.partial": "true"}, time=history.time
            )
            journal = Journal(folder / JOURNAL)
            journal.append(to_json(end))
            journal.close()
            return True
    except (JournalError, EventError):
        return False
    except OSError as error:
        raise Refused(
            f"{folder} must be writable, but is not ({error.strerror}): change its permissions."
        ) from error
