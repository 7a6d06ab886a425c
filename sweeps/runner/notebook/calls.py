"""Sweeps from a notebook: `run_sweep`, with the command line's flags as keywords, and its result.

The sweep runs in a process of its own; what goes wrong there is an exception here.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.addresses import MASK, without_password
from cluster.refused import BROKEN_OFF, DONE, FAILED, INTERRUPTED, REFUSED, Refused
from cluster.session import RESUME
from sweeps.records.folder import MANIFEST, STORAGE, resume_call, sweep_folder
from sweeps.records.manifest import CALLED
from sweeps.records.named import sweep_named
from sweeps.runner.notebook.errors import SweepFailed, SweepInterrupted, SweepRefused
from sweeps.runner.notebook.process import Ended, run_apart
from sweeps.runner.notebook.result import SweepResult
from sweeps.runner.options import FLAGS, VERBOSE, command, parse
from sweeps.runner.study import Study, new_name

_DURATIONS = ("time_limit", "stuck_after")
_SWITCHES = tuple(flag for flag, given in FLAGS.items() if given.get("is_flag"))
# A flag in a message, with a value that follows it.
_FLAG = re.compile(r"--(?P<name>[a-z][a-z-]*)(?: (?P<value>\d[\w.]*\b|'[^']*'))?")
# How a sweep's last lines begin that say why it has no result.
_REASONS = ("The sweep ", "Ray broke off", "No trial completed", "To continue", "  ")


def run_sweep(
    study: Study,
    *,
    gpus: int | None = None,
    gpus_per_trial: float | None = None,
    trials: int | None = None,
    arms: str | Sequence[str] | None = None,
    data: str | Path | None = None,
    layout: str | None = None,
    columns: str | tuple[str, str] | None = None,
    group: str | None = None,
    weights: str | Path | None = None,
    preset: str | None = None,
    score: str | None = None,
    seeds: int | None = None,
    draws: str | None = None,
    max_ms: float | None = None,
    max_mb: float | None = None,
    keep: str | None = None,
    name: str | None = None,
    storage: str | Path | None = None,
    tracking_uri: str | None = None,
    address: str | None = None,
    seed: int | None = None,
    resume: str | None = None,
    stuck_after: str | float | None = None,
    time_limit: str | float | None = None,
    notify: str | None = None,
    keep_copies: bool = False,
    accept_changes: bool = False,
    exact: bool = False,
    ablate: bool = False,
    dry_run: bool = False,
    verbose: bool = False,
) -> SweepResult | None:
    """Run a study from a notebook, and return its result; what it prints is in the cell.

    Every keyword is the flag of that name, with the same checks: `python sweeps/x.py --help` says
    what each means. Several arms may be a list, and a duration a number of seconds. Interrupting
    the kernel stops the sweep cleanly; a kernel that is restarted does too.

    Returns:
        The result; None with `dry_run`, which prints what would run.

    Raises:
        SweepRefused: Something that was asked for is wrong; nothing was started.
        SweepFailed: The sweep came to no result.
        SweepInterrupted: The kernel was interrupted.
    """
    given = dict(locals())
    del given["study"]
    # A zero is an answer.
    asked = {key: value for key, value in given.items() if value is not None and value is not False}
    arguments = arguments_of(asked)
    try:
        options = parse(command(study.name, study.question), arguments)
        # The name is chosen here, so that the sweep's folder is known.
        called = options.name or new_name(study.name)
        if options.resume:
            called = sweep_named(options.storage.absolute(), options.resume)
    except Refused as error:
        raise _refused(error.problems) from None
    if not options.resume and not options.name and not dry_run:
        arguments.append(f"--name={called}")
    folder = sweep_folder(options.storage.absolute(), called)
    again = resume_call(called, options.storage)
    ended = run_apart(study, arguments, {RESUME: again, CALLED: _call(study, asked)})
    if dry_run and ended.status == DONE:
        return None
    return _result(ended, folder, again)


def open_sweep(sweep: str | Path, *, storage: str | Path = STORAGE) -> SweepResult:
    """Return the result of a sweep that ran before, or still runs: what there is of it.

    Args:
        sweep: Any part of its name that no other has, or its folder.
        storage: Where it is kept, if a name is given.

    Raises:
        SweepRefused: There is no such sweep.
    """
    folder = Path(sweep).expanduser()
    if (folder / MANIFEST).is_file():
        return SweepResult(folder.absolute())
    place = Path(storage).expanduser().absolute()
    try:
        return SweepResult(sweep_folder(place, sweep_named(place, str(sweep))))
    except Refused as error:
        raise _refused(error.problems) from None


def arguments_of(options: Mapping[str, Any]) -> list[str]:
    """Return the command line that asks for the same."""
    arguments = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            arguments.append(flag)
        else:
            arguments.append(f"{flag}={_text(name, value)}")
    return arguments


def _text(name: str, value: object) -> str:
    """Return a value as a shell would give it."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    if name in _DURATIONS and isinstance(value, int | float):
        return f"{round(value)}s"
    return str(value)


def _call(study: Study, asked: Mapping[str, Any]) -> str:
    """Return the call that started a sweep, for its record; without passwords and tokens."""
    words = [study.name]
    for name, value in asked.items():
        shown = value
        if name == "notify":
            shown = MASK
        elif isinstance(value, str | Path):
            shown = without_password(str(value))
        words.append(f"{name}={shown!r}")
    return f"run_sweep({', '.join(words)})"


def _result(ended: Ended, folder: Path, again: str) -> SweepResult:
    """Return the result of a process that came to its end, or raise what kept it from that.

    Raises:
        SweepRefused, SweepFailed, SweepInterrupted: By its exit status.
    """
    if ended.status == REFUSED:
        raise _refused(ended.problems)
    result = SweepResult(folder) if (folder / MANIFEST).is_file() else None
    to_continue = f"To continue: {again}"
    # Whoever interrupts often enough has it killed.
    if ended.status == INTERRUPTED or (ended.interrupts and ended.status != DONE):
        said = f"the sweep stopped. {to_continue}" if result else "the sweep had not begun."
        raise SweepInterrupted(said, result)
    if result and ended.status == DONE:
        return result

    # It failed, or its process did.
    if ended.status < 0:
        why = f"its process was ended by {signal.Signals(-ended.status).name}."
        raise SweepFailed(f"{why} {to_continue}" if result else why, result)
    reasons = list(ended.said)
    if ended.status in (FAILED, BROKEN_OFF):
        reasons = [line for line in ended.said if line.startswith(_REASONS)] or reasons
    raise SweepFailed("\n".join(reasons) or f"exit status {ended.status}", result)


def _refused(problems: Sequence[str]) -> SweepRefused:
    """Return the exception for what is wrong, with keywords where the command line has flags."""
    return SweepRefused(*(_FLAG.sub(_keyword, problem) for problem in problems))


def _keyword(flag: re.Match[str]) -> str:
    """Return a flag of a message as the keyword that it is here."""
    name = f"--{flag['name']}"
    if name not in FLAGS and name != "--verbose":
        return flag[0]
    keyword = flag["name"].replace("-", "_")
    if flag["value"]:
        return f"{keyword}={flag['value']}"
    if name in _SWITCHES or FLAGS.get(name) is VERBOSE:
        return f"{keyword}=True"
    return keyword
