"""`dvt sync NAME`: give MLflow what it missed of a sweep, and the end of one that was killed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from sweeps.commands.list import claimed
from sweeps.records.journal import Journal, JournalError, events_from
from sweeps.runner.resume import DESCRIPTION, JOURNAL
from sweeps.tracking.store import TrackingError, is_masked, prepare_store, without_password
from trainables.problems import unknown_name

REFUSED = 2
_END = {
    "event": "finish",
    "outcome": "interrupted",
    "artifacts": {},
    "metrics": {},
    "tags": {"sweep.partial": "true"},
}


@click.command("dvt sync", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
@click.option(
    "--storage",
    type=click.Path(path_type=Path),
    default=Path("mlruns"),
    help="Where sweeps are kept; default: mlruns.",
)
@click.option("--tracking-uri", metavar="URI", help="MLflow's store; default: the sweep's.")
def COMMAND(name: str, storage: Path, tracking_uri: str | None) -> None:  # noqa: N802 - as the other commands have it
    """Deliver to MLflow what the journal of sweep NAME holds and MLflow has not."""
    storage = storage.expanduser().absolute()
    folder = storage / "sweeps" / name
    if not (folder / JOURNAL).is_file():
        known = sorted(path.parent.name for path in (storage / "sweeps").glob(f"*/{JOURNAL}"))
        raise _Refused(
            unknown_name(name, known, f"sweep in {storage}")
            if known
            else f"{storage} holds no sweep."
        )
    try:
        uri = (
            tracking_uri
            or json.loads((folder / DESCRIPTION).read_text())["options"]["tracking_uri"]
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _Refused(
            f"{folder / DESCRIPTION} must be readable, but is not ({error}): pass --tracking-uri."
        ) from error
    if uri and is_masked(uri):
        raise _Refused(
            f"--tracking-uri must be given, since its password is not stored: {without_password(uri)}."
        )
    from sweeps.tracking.delivery import sync  # MLflow takes seconds to import

    try:
        prepared = prepare_store(uri, storage)
        if end_abandoned(folder):
            click.echo(
                f"{name} is being run by nobody: what is open of it is closed as interrupted."
            )
        click.echo(sync(folder, prepared, storage))
    except TrackingError as error:
        raise _Refused(str(error)) from error


def end_abandoned(folder: Path) -> bool:
    """Enter the end of a sweep whose driver was killed, so that MLflow does not show it as running; whether it was so.

    The time of that end is the last one at which the sweep did something. A resume opens it again.

    Raises:
        TrackingError: The journal cannot be written.
    """
    try:
        with claimed(folder) as free:
            if not free:
                return False
            last, open_ = 0, False
            for event, _ in events_from(folder / JOURNAL, 0):
                last = event.get("time", last)
                open_ = event["event"] != "finish" and (open_ or event["event"] == "sweep")
            if open_:
                journal = Journal(folder / JOURNAL)
                journal.append({**_END, "time": last})
                journal.close()
            return open_
    except JournalError:  # the delivery brings what comes before the damage, and says where it is
        return False
    except OSError as error:
        raise TrackingError(
            f"{folder} must be writable, but is not ({error.strerror}): give yourself the right."
        ) from error


class _Refused(click.ClickException):
    exit_code = REFUSED


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    try:
        COMMAND.main(list(arguments), standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        return error.exit_code
    return 0
