"""`dvt stop JOB`: a job stops cleanly, its trials saved and MLflow told, and can be resumed."""

from __future__ import annotations

import click

from cluster.service import jobs
from cluster.service.finding import find
from sweeps.commands import kit
from sweeps.commands.logs import resume_command
from sweeps.terminal.screen import say_wrong

WITHIN_S = jobs.STOP_WITHIN_S + 30


@kit.command("dvt stop")
@click.argument("name", metavar="JOB")
@click.option(
    "--address",
    metavar="URL",
    help="Dashboard of a cluster; default: that of this machine's `dvt service`.",
)
def command(name: str, address: str | None) -> int:
    """Stop a job cleanly, and wait until it has ended."""
    server = find(address)
    job = server.job(name)
    if job.over:
        click.echo(f"{name} has ended already: {job.status.lower()}.")
        return kit.DONE
    # It is asked, and has time to save its trials and to tell MLflow.
    if jobs.stop(server, [name], WITHIN_S):
        say_wrong([f"{name} has not ended within {WITHIN_S} s: `dvt logs {name}` may say why."])
        return kit.FAILED
    click.echo(f"{name} was stopped. To resume:\n  {resume_command(job)}")
    return kit.DONE
