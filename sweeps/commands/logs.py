"""`dvt logs JOB [--follow]`: what a job has written, and what it writes until it ends."""

from __future__ import annotations

import click

from cluster.refused import Refused
from cluster.service import jobs
from cluster.service.finding import find
from cluster.service.jobserver import Job, JobServer
from sweeps.commands import kit


@kit.command("dvt logs")
@click.argument("name", metavar="JOB")
@click.option(
    "--address",
    metavar="URL",
    help="Dashboard of a cluster; default: that of this machine's `dvt service`.",
)
@click.option(
    "--follow",
    "-f",
    "following",
    is_flag=True,
    help="Show what is added until it ends, and exit with its status.",
)
def command(name: str, address: str | None, following: bool) -> int:
    """Show the log of a job."""
    server = find(address)
    server.job(name)
    if following:
        return follow(server, name)
    click.echo(server.log(name), nl=False)
    return kit.DONE


def follow(server: JobServer, name: str) -> int:
    """Show a job's log until it ends; its exit status. Ctrl-C leaves it running."""
    # Asked first: a cluster that is lost later no longer knows how to resume.
    started = server.job(name)
    try:
        ended = jobs.follow(server, name, lambda text: click.echo(text, nl=False))
    except KeyboardInterrupt:
        click.echo(f"\n{name} keeps running. To follow it again, or to stop it cleanly:", err=True)
        click.echo(f"  dvt logs {name} --follow\n  dvt stop {name}", err=True)
        return kit.INTERRUPTED
    except Refused as error:  # the cluster's head is gone, or another one is there
        click.echo(f"error: {error}\nTo resume the sweep:", err=True)
        click.echo(f"  {resume_command(started)}", err=True)
        return kit.FAILED
    _say_end(ended)
    return jobs.exit_status(ended)


def resume_command(job: Job) -> str:
    """Return the command that resumes a job's sweep."""
    return job.resume or "dvt submit sweeps/STUDY.py -- --resume NAME"


def _say_end(job: Job) -> None:
    """Say how a job ended, where its log does not."""
    if job.status == "STOPPED":
        click.echo(f"{job.name} was stopped. To resume:", err=True)
    elif job.status == "FAILED" and job.exit_code is None:
        reason = " ".join((job.message or "no reason is known").split())[:300]
        click.echo(f"error: {job.name} failed: {reason}. To resume:", err=True)
    else:
        return
    click.echo(f"  {resume_command(job)}", err=True)
