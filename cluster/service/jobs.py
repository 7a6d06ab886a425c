"""A job from its sending to its end: sent with the project's code, followed, and stopped."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from cluster import package
from cluster.refused import FAILED, INTERRUPTED
from cluster.service import state as service
from cluster.service.jobserver import Job, JobServer, Silent
from cluster.session import RESUME

STOP_WITHIN_S = 180
"""The time that a job has to stop cleanly: its trials end, MLflow is told. Each trial's last epoch
is saved already."""


_LOST_FOR_S = 60.0  # how long a job server that is being started again is waited for
_POLL_S = 0.5


def send(
    server: JobServer,
    name: str,
    command: Sequence[str],
    *,
    root: Path,
    packages: Sequence[str],
    resume: str,
    variables: Mapping[str, str],
) -> None:
    """Pack the project and run a command in it, as a job.

    Args:
        server: Where.
        name: The job's.
        command: A Python file of the project, and its arguments.
        root: The project's folder.
        packages: Those that are shipped where git does not say which files are.
        resume: The command that resumes what the job does, from here.
        variables: Of the job's environment. They are on record, as is the command: no secrets.

    Raises:
        Refused: The project cannot be shipped, or the job was not accepted.
    """
    # Of the folders of this machine's service nothing is shipped, whatever git says.
    ours = []
    if server.state:
        ours = [Path(server.state.storage), service.folder()]
    stop = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WITHIN_S)}

    # The archive is uploaded when `submit` returns.
    with tempfile.TemporaryDirectory(prefix="dvt-submit-") as folder:
        archive = Path(folder) / "project.zip"
        package.pack(root, package.files(root, packages, without=ours), archive)
        server.submit(
            name=name,
            entrypoint=f"exec python {shlex.join(command)}",
            archive=archive,
            variables={**stop, RESUME: resume, **variables},
            metadata={"study": command[0], "resume": resume},
        )


def follow(server: JobServer, name: str, show: Callable[[str], None]) -> Job:
    """Show a job's log until the job ends; return what is known of it then.

    Raises:
        Refused: The job server is gone, or another one is there.
    """
    shown = 0
    while True:
        shown = server.tail(name, shown, show)
        job = _asked(server, name)
        if job.over:
            # What it wrote in its last moment.
            show(server.log(name)[shown:])
            return job
        time.sleep(1)


def stop(server: JobServer, names: Collection[str], within: float) -> set[str]:
    """Ask jobs to stop cleanly, and wait for them; return those that have not ended in time.

    Raises:
        Refused: As `JobServer.job`.
    """
    for name in names:
        server.stop(name)
    left = set(names)
    deadline = time.monotonic() + within
    while left and time.monotonic() < deadline:
        left = {name for name in left if not server.job(name).over}
        if left:
            time.sleep(_POLL_S)
    return left


def exit_status(job: Job) -> int:
    """Return the exit status of a job that has ended: its driver's; 130 of one that was stopped."""
    if job.status == "STOPPED":
        return INTERRUPTED
    if job.exit_code is not None:
        return job.exit_code
    if job.status == "SUCCEEDED":
        return 0
    return FAILED


def _asked(server: JobServer, name: str) -> Job:
    """Return what is known of a job, from a server that may be away for a while."""
    deadline = time.monotonic() + _LOST_FOR_S
    while True:
        try:
            return server.job(name)
        except Silent:
            if time.monotonic() > deadline:
                raise
            time.sleep(2)
