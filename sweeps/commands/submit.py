"""`dvt submit STUDY [--address URL] [--follow] -- FLAG…`: run a study as a job on a Ray cluster."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex

import click

from cluster.addresses import without_password
from cluster.refused import Refused
from cluster.service import jobs
from cluster.service.finding import find
from cluster.service.jobserver import JobServer
from sweeps.commands import kit, logs
from sweeps.runner import options as study_options
from sweeps.runner.typed import Typed, as_typed, as_words

ROOT = Path(__file__).parents[2]
PACKAGES = ("cluster", "search_spaces", "sweeps", "trainables")
_NOT_DESCRIBED = ("--gpus", "--gpus-per-trial", "--stuck-after")
_PATHS = ("--data", "--weights")
_STUDY_VARIABLES = ("DVT_CACHE_DIR", "DVT_CACHE_SHARE", "DVT_REPORT_EVERY")


# Not by `kit.command`, which would take a flag that stands before the -- for one of the study's.
@click.command(
    "dvt submit", cls=kit.Command, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.argument("study", metavar="sweeps/STUDY.py")
@click.option(
    "--address",
    metavar="URL",
    help="Dashboard of a cluster; default: that of this machine's `dvt service`.",
)
@click.option(
    "--follow", is_flag=True, help="Show its log until it ends, and exit with its status."
)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="-- [OPTIONS OF THE STUDY]")
def command(study: str, address: str | None, follow: bool, flags: tuple[str, ...]) -> int:
    """Run a study on a Ray cluster, with the code as it is here.

    After the -- come the study's own options. Storage and MLflow are the service's, unless they say
    otherwise.
    """
    # All that can be refused comes before anything is packed.
    script = _script(study)
    given = flags_of(script.stem, flags)
    server = find(address)
    server.check_versions()
    name, sweep = _names(script.stem, given)
    arguments = _arguments(server, given, sweep)
    jobs.send(
        server,
        name,
        [script.as_posix(), *arguments],
        root=ROOT,
        packages=PACKAGES,
        resume=_resume_command(address, script, given, sweep),
        variables=_variables(server),
    )
    click.echo(f"Submitted {name} to {server.address}")
    if follow:
        return logs.follow(server, name)
    click.echo(f"  dvt logs {name} --follow\n  dvt stop {name}")
    return kit.DONE


def flags_of(study: str, arguments: Sequence[str]) -> Typed:
    """Return the study's flags, in the order in which they were given; of repeated ones the last.

    Raises:
        Refused: One line per flag that the study would refuse, or that a job must not have.
        click.exceptions.Exit: `--help` was asked for and printed.
    """
    command = study_options.command(study, "")
    study_options.parse(command, arguments)
    given = as_typed(command, arguments)

    # What the study would take, but a job must not have.
    problems = []
    address = given.get("--address")
    if address not in (None, "auto"):
        problems.append(
            f"--address after the -- must be auto, since a job runs on the cluster that it is "
            f"submitted to, but got {address!r}: the cluster's address goes before the --."
        )
    uri = given.get("--tracking-uri")
    if uri and without_password(uri) != uri:
        problems.append(
            "--tracking-uri must have no password, since a job's command is recorded: set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or the database's password "
            "file, in the cluster's own environment."
        )
    if "://" in (given.get("--notify") or ""):
        problems.append(
            "--notify must hold no URL, since a job's command is on record: let the cluster's own "
            "environment have DVT_NOTIFY."
        )
    if problems:
        raise Refused(*problems)
    return given


def _script(study: str) -> Path:
    """Return the study's file, relative to the project. Its name alone will do."""
    path = Path(study)
    if not study.endswith(".py"):
        path = ROOT / "sweeps" / f"{study}.py"
    if not path.is_file():
        files = [file.name for file in sorted((ROOT / "sweeps").glob("*.py"))]
        known = ", ".join(f"sweeps/{name}" for name in files if name != "__init__.py")
        raise Refused(
            f"a study must be a file, but there is no {study}; those of the project: {known}."
        )
    if not path.resolve().is_relative_to(ROOT.resolve()):
        raise Refused(
            f"a study must be in the project that is shipped, {ROOT}, but {path} is elsewhere: "
            "copy it to sweeps/."
        )
    return path.resolve().relative_to(ROOT.resolve())


def _names(study: str, given: Typed) -> tuple[str, str]:
    """Return the job's name and the sweep's. A sweep can have several jobs, one after the other."""
    sweep = given.get("--resume") or given.get("--name")
    if sweep:
        return f"{sweep}.{token_hex(2)}", sweep
    sweep = f"{study}-{time.strftime('%Y%m%d-%H%M%S')}-{token_hex(2)}"
    return sweep, sweep


def _arguments(server: JobServer, given: Typed, sweep: str) -> list[str]:
    """Return the study's arguments on the cluster: the flags given, and those left out.

    Paths of this machine are made absolute where the cluster is this machine's service.
    """
    flags = dict(given)
    own = server.state
    storage = given.get("--storage")

    # The storage, which all nodes must see.
    if own:
        _put(flags, "--storage", str(_absolute(storage or own.storage)))
    elif storage is None:
        raise Refused(
            f"--storage must be given after the --, since {server.address} is not this machine's "
            "service: a folder that all nodes of the cluster share."
        )
    elif not storage.startswith("/"):
        raise Refused(
            f"--storage must be an absolute path for a cluster's job, but got {storage!r}."
        )

    # What else is on this machine.
    if own:
        for flag in _PATHS:
            value = given.get(flag)
            if value and _is_here(_absolute(value)):
                _put(flags, flag, str(_absolute(value)))
        if "--tracking-uri" not in given:
            _put(flags, "--tracking-uri", own.tracking)
    if "--resume" not in given:
        _put(flags, "--name", sweep)
    _put(flags, "--address", "auto")
    return as_words(flags)


def _put(flags: dict[str, str | None], flag: str, value: str) -> None:
    """Set a flag, as the last one."""
    flags.pop(flag, None)
    flags[flag] = value


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()


def _is_here(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # it is no path: its name is too long
        return False


def _resume_command(address: str | None, script: Path, given: Typed, sweep: str) -> str:
    """Return what a person types to resume the sweep; the rest is in the sweep's description."""
    where = []
    if address:
        where = ["--address", address]
    kept = {flag: given[flag] for flag in _NOT_DESCRIBED if flag in given}
    storage = given.get("--storage")
    if storage:
        kept["--storage"] = str(_absolute(storage))
    words = ["dvt", "submit", *where, script.as_posix(), "--", "--resume", sweep]
    return shlex.join([*words, *as_words(kept)])


def _variables(server: JobServer) -> dict[str, str]:
    """Return what a job of this machine's service takes from this environment."""
    if server.state is None:
        return {}
    return {name: os.environ[name] for name in _STUDY_VARIABLES if name in os.environ}
