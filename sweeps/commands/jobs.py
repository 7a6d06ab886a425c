"""`dvt jobs`: the jobs that were submitted to a cluster, and their state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from cluster.service.jobserver import find
from sweeps.commands import kit

HEADINGS = ("job", "study", "state", "exit", "started", "took")


@kit.command("dvt jobs")
@click.option(
    "--address",
    metavar="URL",
    help="A cluster's dashboard; default: that of this machine's `dvt service`.",
)
def command(address: str | None) -> int:
    """List the jobs of a cluster, newest first."""
    jobs = find(address).jobs()
    if not jobs:
        click.echo("No jobs.")
        return kit.DONE
    rows = [HEADINGS, *map(row, jobs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        padded = map(str.ljust, cells, widths)
        click.echo("  ".join(padded).rstrip())
    return kit.DONE


def row(job: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a job as the table shows it."""
    code = job.get("driver_exit_code")
    start = job.get("start_time")  # milliseconds, as is the end
    started = took = "-"
    if start:
        end = job.get("end_time") or datetime.now().timestamp() * 1000
        started = f"{datetime.fromtimestamp(start / 1000):%Y-%m-%d %H:%M}"
        took = _duration((end - start) / 1000)
    return (
        job["submission_id"],
        (job.get("metadata") or {}).get("study", "-"),
        job["status"].lower(),
        "-" if code is None else str(code),
        started,
        took,
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
