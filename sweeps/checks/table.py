"""The checks of this machine: `dvt doctor` shows them all, and a sweep starts where none fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from cluster.refused import Refused
from sweeps.checks import folders, limits, machine, rays_variables
from sweeps.checks.finding import Finding, Subject
from sweeps.tracking.store import one_line

Asked = TypeVar("Asked")
Look: TypeAlias = Callable[[Subject], Iterator[Finding]]
MOST_LINES = 8
_INSTALL = "pip install -e . in the project's folder."


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One row of the table.

    Attributes:
        look: Yields what is found; it may raise anything.
        mend: What to do where it raises.
        at_start: Whether the start of a sweep makes it: it takes milliseconds and imports nothing.
        told: Whether its warnings are shown at the start too.
    """

    look: Look
    mend: str
    at_start: bool = False
    told: bool = False


TABLE = {
    "python": Check(look=machine.python, mend=_INSTALL),
    "packages": Check(look=machine.packages, mend=_INSTALL),
    "code": Check(look=machine.code, mend=_INSTALL),
    "CPU": Check(look=limits.cpu, mend="mount /proc and /sys: CPUs are counted there."),
    "memory": Check(
        look=limits.memory, mend="mount /proc and /sys: memory is read there.", at_start=True
    ),
    "limits": Check(
        look=limits.limits, mend="mount /proc and /sys: limits are read there.", at_start=True
    ),
    "storage": Check(look=folders.storage, mend="give another --storage.", at_start=True),
    "cache": Check(
        look=folders.cache, mend="choose another place with DVT_CACHE_DIR.", at_start=True
    ),
    "temporary": Check(
        look=folders.temporary, mend="choose another place with RAY_TMPDIR.", at_start=True
    ),
    "variables": Check(
        look=rays_variables.variables,
        mend="take them out: unset RAY_ADDRESS RAY_AUTH_MODE.",
        at_start=True,
        told=True,
    ),
    "GPUs": Check(
        look=machine.gpus,
        mend="reload NVIDIA's driver, or leave a broken GPU out with CUDA_VISIBLE_DEVICES.",
    ),
    "precision": Check(
        look=machine.precision,
        mend="install torch again: pip install --force-reinstall torch torchvision.",
    ),
}


def check_start(subject: Subject) -> tuple[str, ...]:
    """Make the checks of a sweep's start.

    Returns:
        Lines to show.

    Raises:
        Refused: One line per check that failed.
    """
    problems = []
    notes = []
    for check in TABLE.values():
        if check.at_start:
            for finding in findings(check.look, subject, check.mend):
                if finding.state == "failed":
                    problems.append(finding.line)
                elif finding.state == "warning" and check.told:
                    notes.append(finding.line)
    if len(problems) > MOST_LINES:
        more = len(problems) - MOST_LINES + 1
        problems = problems[: MOST_LINES - 1]
        problems.append(f"{more} more checks failed: dvt doctor says which.")
    if problems:
        raise Refused(*problems)
    return tuple(notes)


def findings(
    look: Callable[[Asked], Iterator[Finding]], asked: Asked, mend: str
) -> Iterator[Finding]:
    """Yield what a check finds; one that raises has failed.

    Args:
        look: The check.
        asked: Of what.
        mend: What to do where it raises.
    """
    try:
        yield from look(asked)
    except Exception as error:  # noqa: BLE001 - of the machine anything may be broken
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        yield Finding("failed", f"{kind}{one_line(error)}", mend)
