"""`dvt jobs`: the jobs that were submitted to a cluster, and their state."""

from __future__ import annotations

import time
from datetime import datetime

import click

from cluster.service.finding import find
from cluster.service.jobserver import Job
from sweeps.commands import kit
from sweeps.terminal.grid import Column, Grid
from sweeps.terminal.screen import screen

COLUMNS = (
    Column(title="job"),
    Column(title="study", rank=3),
    Column(title="state"),
    Column(title="exit", number=True, rank=1),
    Column(title="started", rank=2),
    Column(title="took", number=True, rank=4),
)


@kit.command("dvt jobs")
@click.option(
    "--address",
    metavar="URL",
    help="Dashboard of a cluster; default: that of this machine's `dvt service`.",
)
def command(address: str | None) -> int:
    """List the jobs of a cluster, newest first."""
    jobs = find(address).jobs()
    if not jobs:
        click.echo("No jobs.")
        return kit.DONE
    screen().print(Grid(columns=COLUMNS, rows=[row(job) for job in jobs]))
    return kit.DONE


def row(job: Job) -> tuple[str, ...]:
    """Return a job as the table shows it."""
    code = "-"
    if job.exit_code is not None:
        code = str(job.exit_code)
    started = took = "-"
    if job.started:
        started = f"{datetime.fromtimestamp(job.started):%Y-%m-%d %H:%M}"
        took = _duration((job.ended or time.time()) - job.started)
    return (
        job.name,
        job.study or "-",
        job.status.lower(),
        code,
        started,
        took,
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
