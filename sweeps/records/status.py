"""How the sweeps of a storage stand: what each folder says, whatever it holds."""

from __future__ import annotations

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
    """How a sweep stands.

    Attributes:
        name: Of the sweep, and of its folder.
        folder: Everything of it but what MLflow has.
        state: `damaged` is a folder that holds no sweep that can be read; `reason` says why.
        study: Its study's name; empty where it is not known, as are the following.
        resume: What goes on with it.
        arms: Names of its arms.
        trials_per_arm: The number that it was last asked for.
        done: Trials and finalists that are over.
        left: Trials that are not done, and finalists, once they are chosen.
        started: When it was first started.
        champion: Name of the trial or finalist that was kept as the champion.
        score: The champion's, or the best one so far.
        metric: What the score is.
        undelivered: Events that MLflow has not got.
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
    """Return how the sweep in a folder stands. What is in the folder may be anything."""
    with claimed(folder, shared=True) as free:
        running = not free
    empty = SweepStatus(name=folder.name, folder=folder, state="damaged", size=size_of(folder))
    try:
        manifest = described(folder)
        status = replace(empty, **_asked(folder, manifest))
        status = replace(status, **_done(folder, manifest))
    except UNREADABLE as error:
        status = replace(empty, reason=_reason(error))
    return replace(status, state="running", reason="") if running else status


def all_sweeps(storage: Path) -> list[SweepStatus]:
    """Return the sweeps of a storage, newest first; folders that hold none come last, as damaged ones.

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
    """Return what the manifest says."""
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
    """Return what the journal says, and the champion's file."""
    journal = folder / names.JOURNAL
    history = read_history(journal)
    found: dict[str, Any] = {
        "state": history.state,
        "trials_per_arm": history.trials_per_arm(manifest.trials_per_arm),
        "done": len(history.done()),
        "left": history.left(manifest.searched, manifest.trials_per_arm),
        "score": _best_score(history),
        "undelivered": events_after(journal, delivered(journal)),
    }
    kept = kept_champion(folder)
    if kept:
        found |= {"champion": kept.trial, "score": kept.score}
    return found


def _best_score(history: History) -> float | None:
    """Return the best score so far, of trials and finalists."""
    completed = [t for t in history.trials.values() if t.outcome is Outcome.COMPLETED]
    scores = [trial.score for trial in completed if trial.score is not None]
    return max(scores, default=None)


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"it has no {Path(error.filename).name}"
    return " ".join(str(error).split()) or type(error).__name__


def _age(sweep: SweepStatus) -> float:
    return sweep.started.timestamp() if sweep.started else 0.0
