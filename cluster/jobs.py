"""`dvt jobs`: what was submitted to a cluster, and how it stands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from cluster.commandline import CONTEXT, answer
from cluster.service.jobserver import find


@click.command("dvt jobs", context_settings=CONTEXT)
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
        return 0
    rows = [("job", "study", "state", "exit", "started", "took"), *map(row, jobs)]
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]
    for line in rows:
        click.echo(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status. `--help` lists its flags."""
    return answer(command, arguments or ["--"])


def row(job: dict[str, Any]) -> tuple[str, ...]:
    """A job as the table shows it."""
    code, start, end = job.get("driver_exit_code"), job.get("start_time"), job.get("end_time")
    now = datetime.now().timestamp() * 1000
    return (
        job["submission_id"],
        (job.get("metadata") or {}).get("study", "-"),
        job["status"].lower(),
        "-" if code is None else str(code),
        f"{datetime.fromtimestamp(start / 1000):%Y-%m-%d %H:%M}" if start else "-",
        _duration(((end or now) - start) / 1000) if start else "-",
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
