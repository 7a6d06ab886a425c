"""The state of the sweeps in a storage, as each folder tells it, whatever it holds."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from cluster.refused import Refused
from sweeps.records import folder as names
from sweeps.records.folder import UNREADABLE, claimed, kept_champion, size_of, sweeps_folder
from sweeps.records.history import History, read_history
from sweeps.records.journal import delivered, events_after
from sweeps.records.manifest import Described, described
from sweeps.records.results import Outcome
from trainables.metrics import Score

State: TypeAlias = Literal["running", "finished", "failed", "interrupted", "damaged"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepStatus:
    """The state of a sweep.

    Attributes:
        name: Name of the sweep, and of its folder.
        folder: Everything of it but what MLflow has.
        state: `damaged` is a folder that holds no sweep that can be read; `reason` says why.
        study: Its study's name; empty where it is not known, as are the following.
        resume: The command that continues it.
        arms: Names of its arms.
        trials_per_arm: The number that it was last asked for.
        done: Number of trials and finalists that are over.
        left: Number of trials that are not done, and of finalists, once they are chosen.
        started: When it was first started.
        champion: Name of the trial or finalist that was kept as the champion.
        score: The champion's, or the best one so far.
        metric: The metric that the score is.
        undelivered: Number of events that MLflow does not have yet.
        size: Bytes on the disk.
        reason: Why it is damaged.
    """

    name: str
    folder: Path
    state: State
    study: str = ""
    resume: str = ""
    arms: tuple[str, ...] = ()
    trials_per_arm: int = 0
    done: int = 0
    left: int = 0
    started: datetime | None = None
    champion: str = ""
    score: float | None = None
    metric: Score = "accuracy"
    undelivered: int = 0
    size: int = 0
    reason: str = ""


def status_of(folder: Path) -> SweepStatus:
    """Return the state of the sweep in a folder. What is in the folder may be anything."""
    # Asked first: a driver that ends meanwhile has written all it will.
    running = False
    # What is closed to us is said below.
    with suppress(OSError), claimed(folder, shared=True) as free:
        running = not free
    empty = SweepStatus(name=folder.name, folder=folder, state="damaged", size=size_of(folder))
    try:
        manifest = described(folder)
        status = replace(empty, **_asked(folder, manifest))
        status = replace(status, **_done(folder, manifest))
    except UNREADABLE as error:
        status = replace(empty, reason=_reason(error))
    # A driver that has just begun has written little or nothing.
    if running:
        return replace(status, state="running", reason="")
    return status


def all_sweeps(storage: Path) -> list[SweepStatus]:
    """Return the sweeps of a storage, newest first; folders without one come last, as damaged.

    Raises:
        Refused: The storage cannot be read.
    """
    try:
        entries = sorted(sweeps_folder(storage).iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Refused(
            f"--storage must be a folder that can be read, but {storage} cannot "
            f"({error.strerror}): choose another."
        ) from error
    folders = [path for path in entries if path.is_dir() and not path.name.startswith(".")]
    return sorted(map(status_of, folders), key=_age, reverse=True)


def _asked(folder: Path, manifest: Described) -> dict[str, Any]:
    """Return the fields that the manifest tells."""
    storage = folder.absolute().parents[1]
    resume = names.resume_command(
        manifest.study_file, folder.name, storage, submitted=manifest.submitted
    )
    return {
        "study": manifest.study,
        "resume": resume,
        "arms": manifest.arms,
        "trials_per_arm": manifest.trials_per_arm,
        "started": manifest.started,
        "metric": manifest.metric,
    }


def _done(folder: Path, manifest: Described) -> dict[str, Any]:
    """Return the fields that the journal and the champion's file tell."""
    journal = folder / names.JOURNAL
    history = read_history(journal)
    fields: dict[str, Any] = {
        "state": history.state,
        "trials_per_arm": history.trials_per_arm(manifest.trials_per_arm),
        "done": len(history.done()),
        "left": history.left(manifest.searched, manifest.trials_per_arm),
        "score": _best_score(history),
        "undelivered": events_after(journal, delivered(journal)),
    }
    kept = kept_champion(folder)
    if kept:
        fields |= {"champion": kept.trial, "score": kept.score}
    return fields


def _best_score(history: History) -> float | None:
    """Return the best score so far, of trials and finalists."""
    scores = []
    for trial in history.trials.values():
        if trial.outcome is Outcome.COMPLETED and trial.score is not None:
            scores.append(trial.score)
    return max(scores, default=None)


def _reason(error: BaseException) -> str:
    """Return why a sweep is damaged, on one line."""
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"it has no {Path(error.filename).name}"
    return " ".join(str(error).split()) or type(error).__name__


def _age(sweep: SweepStatus) -> float:
    """Return when a sweep was started, in seconds since 1970; 0 where that is not known."""
    if sweep.started is None:
        return 0.0
    return sweep.started.timestamp()
