"""`dvt submit STUDY [--address URL] [--follow] -- FLAG…`: a study with the project's code, run as a job on a Ray cluster."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex

import click

from cluster import logs, package
from cluster.commandline import CONTEXT, answer
from cluster.refused import Refused
from cluster.service import state as service
from cluster.service.jobserver import JobServer, find
from cluster.service.upkeep import STOP_WITHIN_S
from cluster.session import RESUME

ROOT = Path(__file__).parents[1]
_NOT_DESCRIBED = ("--gpus", "--gpus-per-trial", "--stuck-after")
_PATHS = ("--data", "--weights")
_STUDY_VARIABLES = ("DVT_CACHE_DIR", "DVT_CACHE_SHARE", "DVT_REPORT_EVERY")
_CHECK = "sweeps.runner.checking"


@click.command("dvt submit", context_settings=CONTEXT)
@click.argument("study", metavar="sweeps/STUDY.py")
@click.option(
    "--address",
    metavar="URL",
    help="A cluster's dashboard; default: that of this machine's `dvt service`.",
)
@click.option(
    "--follow", is_flag=True, help="Show its log until it ends, and exit with its status."
)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="-- FLAG…")
def command(study: str, address: str | None, follow: bool, flags: tuple[str, ...]) -> int:
    """Run a study on a Ray cluster, with the code as it is here.

    What follows the -- are the study's own flags. Storage and MLflow are the service's unless they name others.
    """
    given = list(flags)
    script = _script(study)
    if code := _checked(script.stem, given):
        return code
    if "--help" in given or "-h" in given:
        return 0
    server = find(address)
    server.check_versions()
    name, sweep = _names(script.stem, given)
    arguments = _arguments(server, given, sweep)
    resume = _resume_command(address, script, given, sweep)
    ours = [Path(server.state.storage), service.folder()] if server.state else []
    with tempfile.TemporaryDirectory(prefix="dvt-submit-") as folder:
        archive = Path(folder) / "project.zip"
        package.pack(ROOT, package.files(ROOT, without=ours), archive)
        _send(server, archive, name, script, arguments, resume)
    click.echo(f"Submitted {name} to {server.address}")
    if follow:
        return logs.follow(server, name)
    click.echo(f"  dvt logs {name} --follow\n  dvt stop {name}")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    return answer(command, arguments)


def value_of(flag: str, arguments: Sequence[str]) -> str | None:
    """What a flag is set to among a study's arguments; the last one counts."""
    found = None
    for position, argument in enumerate(arguments):
        if argument.startswith(f"{flag}="):
            found = argument.partition("=")[2]
        elif argument == flag and position + 1 < len(arguments):
            found = arguments[position + 1]
    return found


def _script(study: str) -> Path:
    """The study's file, relative to the project. Its name alone will do."""
    path = Path(study) if study.endswith(".py") else ROOT / "sweeps" / f"{study}.py"
    if not path.is_file():
        known = ", ".join(
            f"sweeps/{found.name}"
            for found in sorted((ROOT / "sweeps").glob("*.py"))
            if found.stem != "__init__"
        )
        raise Refused(
            f"a study must be a file, but there is no {study}; those of the project: {known}."
        )
    if not path.resolve().is_relative_to(ROOT.resolve()):
        raise Refused(
            f"a study must be in the project that is shipped, {ROOT}, but {path} is elsewhere: copy it to sweeps/."
        )
    return path.resolve().relative_to(ROOT.resolve())


def _checked(study: str, given: Sequence[str]) -> int:
    """The exit status of the project's own check of its flags."""
    line = [sys.executable, "-m", _CHECK, study, *given]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    }
    code = subprocess.run(line, env=environment, check=False).returncode
    if code == 0 and value_of("--address", given) not in (None, "auto"):
        raise Refused(
            "--address after the -- must be auto: a job runs on the cluster that it was submitted to."
        )
    return code


def _names(study: str, given: Sequence[str]) -> tuple[str, str]:
    """The job's name and the sweep's. A sweep can have several jobs, one after the other."""
    sweep = value_of("--resume", given) or value_of("--name", given)
    if sweep:
        return f"{sweep}.{token_hex(2)}", sweep
    sweep = f"{study}-{time.strftime('%Y%m%d-%H%M%S')}-{token_hex(2)}"
    return sweep, sweep


def _arguments(server: JobServer, given: Sequence[str], sweep: str) -> list[str]:
    """The study's flags on the cluster: those given, with paths of this machine made whole, and those left out."""
    arguments = list(given)
    own = server.state
    storage = value_of("--storage", given)
    if storage and not own and not storage.startswith("/"):
        raise Refused(
            f"--storage must be an absolute path for a cluster's job, but got {storage!r}."
        )
    if storage is None and own is None:
        raise Refused(
            f"--storage must be given after the --, since {server.address} is not this machine's service: a folder that all "
            "nodes of the cluster share."
        )
    if own:
        arguments = _set(arguments, "--storage", str(_whole(storage)) if storage else own.storage)
        for flag in _PATHS:
            if (value := value_of(flag, given)) and _whole(value).exists():
                arguments = _set(arguments, flag, str(_whole(value)))
        if value_of("--tracking-uri", given) is None:
            arguments = _set(arguments, "--tracking-uri", own.tracking)
    if value_of("--resume", given) is None:
        arguments = _set(arguments, "--name", sweep)
    return _set(arguments, "--address", "auto")


def _set(arguments: Sequence[str], flag: str, value: str) -> list[str]:
    kept = [
        argument
        for before, argument in zip(["", *arguments], arguments, strict=False)
        if before != flag and argument != flag and not argument.startswith(f"{flag}=")
    ]
    return [*kept, flag, value]


def _whole(path: str) -> Path:
    return Path(path).expanduser().absolute()


def _resume_command(address: str | None, script: Path, given: Sequence[str], sweep: str) -> str:
    """What a person types to go on with the sweep; the flags that it lacks are in the sweep's own description."""
    where = ["--address", address] if address else []
    kept = [
        word
        for flag in _NOT_DESCRIBED
        if (value := value_of(flag, given))
        for word in (flag, value)
    ]
    if storage := value_of("--storage", given):
        kept += ["--storage", str(_whole(storage))]
    return shlex.join(["dvt", "submit", *where, script.as_posix(), "--", "--resume", sweep, *kept])


def _send(
    server: JobServer, archive: Path, name: str, script: Path, arguments: Sequence[str], resume: str
) -> None:
    variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WITHIN_S), RESUME: resume}
    if server.state:
        variables |= {
            variable: os.environ[variable]
            for variable in _STUDY_VARIABLES
            if variable in os.environ
        }
    server.submit(
        name=name,
        entrypoint=f"exec python {shlex.join([script.as_posix(), *arguments])}",
        archive=archive,
        variables=variables,
        metadata={"study": script.as_posix(), "resume": resume},
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
