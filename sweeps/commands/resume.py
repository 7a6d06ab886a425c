"""`dvt resume [NAME] [OPTION]…`: continue the newest interrupted sweep, or the one that is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cluster.refused import Refused
from sweeps.commands import kit
from sweeps.commands.run import SWEEPS, run_file
from sweeps.records.folder import UNREADABLE, at, is_call, sweep_folder
from sweeps.records.manifest import described
from sweeps.records.status import all_sweeps
from sweeps.runner import flag_values as values
from sweeps.runner.options import FLAGS, NEW_ONLY, VERBOSE

OPTIONS = [
    name
    for name in (flag.removeprefix("--").replace("-", "_") for flag in FLAGS)
    if name != "resume" and name not in NEW_ONLY
]
"""What a study takes with --resume."""


@kit.command("dvt resume")
@click.argument("word", metavar="[NAME]", required=False, type=values.SWEEP)
@kit.flags(*OPTIONS)
@click.option("-v", "--verbose", **VERBOSE)
@click.pass_context
def command(ctx: click.Context, /, word: str | None, storage: Path | None, **_: Any) -> int:
    """Continue a sweep, as python sweeps/STUDY.py --resume NAME does.

    NAME can be any unique part of its name; default: the newest interrupted sweep. A higher
    --trials or --seeds extends a finished one.
    """
    folder = kit.storage_of(storage)
    name = kit.sweep_of(folder, word, default=newest_interrupted)
    study = _study(folder, name)
    return run_file(study, ["--resume", name, *kit.typed_options(ctx)])


def newest_interrupted(storage: Path) -> str:
    """Return the name of the newest sweep that was interrupted or broke off.

    Raises:
        Refused: There is none.
    """
    for sweep in all_sweeps(storage):
        if sweep.state in ("interrupted", "failed"):
            return sweep.name
    raise Refused(
        f"no interrupted sweep in {storage}: `dvt list{at(storage)}` shows all. A finished one "
        "is extended by its name and a higher --trials or --seeds."
    )


def _study(storage: Path, name: str) -> Path:
    """Return the file of the study that made a sweep.

    Raises:
        Refused: It is not here, or the sweep is continued elsewhere.
    """
    folder = sweep_folder(storage, name)
    try:
        sweep = described(folder)
    except UNREADABLE as error:
        raise Refused(f"{folder} must hold a sweep, but cannot be read: {error}.") from error
    in_notebook = is_call(sweep.submitted)
    if sweep.submitted and not in_notebook:
        raise Refused(f"{name} was submitted as a job: continue it by  {sweep.submitted}")
    for file in (Path(sweep.study_file), SWEEPS / f"{sweep.study}.py"):
        if file.is_file():
            return file
    if in_notebook:
        raise Refused(
            f"{name} has its study in a notebook: continue it there by  {sweep.submitted}"
        )
    raise Refused(
        f"the study's file must be here, but there is no {sweep.study_file}: "
        f"run it where it is, with --resume {name}."
    )
