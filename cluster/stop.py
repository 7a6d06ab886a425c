"""`dvt stop JOB`: a job stops in order, its trials saved and MLflow told, and can be resumed."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click

from cluster.commandline import CONTEXT, answer
from cluster.logs import resume_command
from cluster.service.jobserver import ENDED, find
from cluster.service.upkeep import STOP_WITHIN_S

FAILED = 1


@click.command("dvt stop", context_settings=CONTEXT)
@click.argument("name", metavar="JOB")
@click.option(
    "--address",
    metavar="URL",
    help="A cluster's dashboard; default: that of this machine's `dvt service`.",
)
def command(name: str, address: str | None) -> int:
    """Stop a job in order, and wait until it has ended."""
    server = find(address)
    if (job := server.job(name))["status"] in ENDED:
        click.echo(f"{name} has ended already: {job['status'].lower()}.")
        return 0
    server.stop(name)
    deadline = time.monotonic() + STOP_WITHIN_S + 30
    while (job := server.job(name))["status"] not in ENDED:
        if time.monotonic() > deadline:
            click.echo(
                f"error: {name} has not ended within {STOP_WITHIN_S + 30} s: `dvt logs {name}` may say why.",
                err=True,
            )
            return FAILED
        time.sleep(0.5)
    click.echo(f"{name} was stopped. To go on:\n  {resume_command(job)}")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    return answer(command, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
