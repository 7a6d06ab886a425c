"""`dvt logs JOB [--follow]`: what a job has written, and what it writes until it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from cluster.commandline import CONTEXT, INTERRUPTED, answer
from cluster.refused import Refused
from cluster.service.jobserver import ENDED, JobServer, Silent, find

FAILED = 1
_LOST_FOR_S = 60.0  # a job server that is started again is waited for so long


@click.command("dvt logs", context_settings=CONTEXT)
@click.argument("name", metavar="JOB")
@click.option(
    "--address",
    metavar="URL",
    help="A cluster's dashboard; default: that of this machine's `dvt service`.",
)
@click.option(
    "--follow",
    "-f",
    "following",
    is_flag=True,
    help="Go on until it ends, and exit with its status.",
)
def command(name: str, address: str | None, following: bool) -> int:
    """Show the log of a job."""
    server = find(address)
    server.job(name)
    if following:
        return follow(server, name)
    click.echo(server.log(name), nl=False)
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    return answer(command, arguments)


def follow(server: JobServer, name: str) -> int:
    """Show a job's log until it ends; its exit status. Ctrl-C leaves it running."""
    shown, job = 0, server.job(name)
    try:
        while True:
            shown = server.tail(name, shown, _show)
            job = _asked(server, name)
            if job["status"] in ENDED:
                _show(server.log(name)[shown:])  # of its last moment
                return exit_status(job, name)
            time.sleep(1)
    except KeyboardInterrupt:
        click.echo(f"\n{name} goes on. To see it again, or to end it in order:", err=True)
        click.echo(f"  dvt logs {name} --follow\n  dvt stop {name}", err=True)
        return INTERRUPTED
    except Refused as error:  # the cluster's head is gone, or another one is there
        click.echo(f"error: {error}\nTo go on with the sweep:\n  {resume_command(job)}", err=True)
        return FAILED


def exit_status(job: dict[str, Any], name: str) -> int:
    """Of a job that has ended: its driver's; 130 of one that was stopped. Says so where the log does not."""
    if job["status"] == "STOPPED":
        click.echo(f"{name} was stopped. To go on:\n  {resume_command(job)}", err=True)
        return INTERRUPTED
    code = job.get("driver_exit_code")
    if job["status"] == "SUCCEEDED" or code is not None:
        return int(code or 0)
    reason = " ".join((job.get("message") or "no reason is known").split())[:300]
    click.echo(f"error: {name} failed: {reason}. To go on:\n  {resume_command(job)}", err=True)
    return FAILED


def resume_command(job: dict[str, Any]) -> str:
    """What goes on with a job's sweep."""
    return (job.get("metadata") or {}).get(
        "resume"
    ) or "dvt submit sweeps/STUDY.py -- --resume NAME"


def _show(text: str) -> None:
    click.echo(text, nl=False)


def _asked(server: JobServer, name: str) -> dict[str, Any]:
    """The job's state, from a server that may be away for a while."""
    deadline = time.monotonic() + _LOST_FOR_S
    while True:
        try:
            return server.job(name)
        except Silent:
            if time.monotonic() > deadline:
                raise
            time.sleep(2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
