"""`dvt sync NAME`: give MLflow what it missed of a sweep."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from sweeps.runner.resume import DESCRIPTION, JOURNAL
from trainables.recipe import unknown_name

REFUSED = 2


@click.command("dvt sync", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
@click.option(
    "--storage", type=click.Path(path_type=Path), default=Path("mlruns"), help="Where sweeps are kept; default: mlruns."
)
@click.option("--tracking-uri", metavar="URI", help="MLflow's store; default: the sweep's.")
def COMMAND(name: str, storage: Path, tracking_uri: str | None) -> None:  # noqa: N802 - as the other commands have it
    """Deliver to MLflow what the journal of sweep NAME holds and MLflow has not."""
    storage = storage.expanduser().absolute()
    folder = storage / "sweeps" / name
    if not (folder / JOURNAL).is_file():
        known = sorted(path.parent.name for path in (storage / "sweeps").glob(f"*/{JOURNAL}"))
        raise _Refused(unknown_name(name, known, f"sweep in {storage}") if known else f"{storage} holds no sweep.")
    try:
        uri = tracking_uri or json.loads((folder / DESCRIPTION).read_text())["options"]["tracking_uri"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _Refused(f"{folder / DESCRIPTION} must be readable, but is not ({error}): pass --tracking-uri.") from error
    if uri and ":***@" in uri:
        raise _Refused(f"--tracking-uri must be given, since its password is not stored: {uri}.")
    from sweeps.runner.delivery import sync  # MLflow takes seconds to import
    from sweeps.runner.mlflow_store import TrackingError, prepare_store

    try:
        click.echo(sync(folder, prepare_store(uri, storage), storage))
    except TrackingError as error:
        raise _Refused(str(error)) from error


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
