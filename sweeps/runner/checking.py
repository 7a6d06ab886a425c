"""The flags of a study, checked before they are sent to a cluster: `python -m sweeps.runner.checking STUDY FLAG…`.

A program of its own, since what sends them, `cluster.submit`, knows nothing of sweeps.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from cluster.addresses import without_password
from cluster.refused import Refused
from sweeps.runner.options import command, parse


def problems(study: str, arguments: Sequence[str]) -> tuple[str, ...]:
    """A line for each flag that a study would refuse, or that must not be in the record of a job.

    Raises:
        click.exceptions.Exit: `--help` was asked for and printed.
    """
    try:
        options = parse(command(study, ""), arguments)
    except Refused as error:
        return error.problems
    found = []
    if options.address not in ("local", "auto"):
        found.append(
            f"--address after the -- must be auto, but got {options.address!r}: the cluster's goes before the --."
        )
    if options.tracking_uri and without_password(options.tracking_uri) != options.tracking_uri:
        found.append(
            "--tracking-uri must hold no password, since a job's command is on record: let the cluster's own environment have "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or the database's password file."
        )
    return tuple(found)


def main(arguments: Sequence[str]) -> int:
    """Print the lines; exit status 2 where there is one."""
    try:
        found = problems(arguments[0], arguments[1:])
    except click.exceptions.Exit as stop:
        return stop.exit_code
    for problem in found:
        click.echo(f"error: {problem}", err=True)
    return 2 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
