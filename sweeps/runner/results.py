"""What the trials of a sweep have come to: one record a trial, the table of arms, and the one definition of "best"."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

from trainables.recipe import EPOCH, HISTORY, SCORE, VAL_ACCURACY, Recipe

ROW = (
    *("trial_id", "arm", "number", "outcome", "reason"),
    *("score", "best_epoch", "epochs_done", "wall_seconds", "device_seconds"),
)
"""Columns of `results.csv` before the recipe's fields."""


class Outcome(StrEnum):
    """How a trial ended; the values of the tag `sweep.outcome`."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


def outcome_of(result: Mapping[str, Any]) -> Outcome | None:
    """The outcome that a trial itself reported: `diverged` or `failed`."""
    return Outcome(result["outcome"]) if result.get("outcome") else None


def epochs_of(result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What each epoch of a report brought, in order; nothing where the trial diverged."""
    if outcome_of(result) is not None or SCORE not in result:
        return []
    history: Sequence[Mapping[str, Any]] = result.get(HISTORY) or [result]
    return history


def trial_name(arm: str, number: int) -> str:
    """Our readable name of a trial, `resnet34/tricks/007`."""
    return f"{arm}/{number:03d}"


@dataclass(slots=True)
class TrialRecord:
    """One trial, running or ended."""

    trial_id: str
    arm: str
    number: int
    recipe: Recipe
    started: float = field(default_factory=time.monotonic)
    outcome: Outcome | None = None  # None while it runs
    reason: str = ""
    epoch: int = 0
    score: float | None = None
    best_epoch: int = 0
    val_accuracy: float | None = None
    wall_seconds: float = 0.0
    device_seconds: float = 0.0

    def as_row(self) -> dict[str, Any]:
        """A row of `results.csv`: the record and every field of the recipe."""
        row = {name: getattr(self, "epoch" if name == "epochs_done" else name) for name in ROW}
        return row | self.recipe.as_dict()


class Results:
    """All records of a sweep, in the order of their start. Safe to read from another thread."""

    def __init__(self, arms: Sequence[str], trials_per_arm: int) -> None:
        self.arms = tuple(arms)
        self.trials_per_arm = trials_per_arm
        self._records: dict[str, TrialRecord] = {}
        self._lock = threading.Lock()

    def start(self, trial_id: str, arm: str, number: int, recipe: Recipe) -> TrialRecord:
        """Enter a trial; one that starts again after a failure keeps its record."""
        with self._lock:
            return self._records.setdefault(trial_id, TrialRecord(trial_id, arm, number, recipe))

    def report(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Take in an epoch: the score's is the one at which the score last changed or a stage began."""
        record = self[trial_id]
        if outcome_of(result) is not None:
            return
        record.epoch, record.val_accuracy = int(result[EPOCH]), float(result[VAL_ACCURACY])
        if record.score != result[SCORE] or record.epoch <= record.recipe.stage1_epochs + 1:
            record.score, record.best_epoch = float(result[SCORE]), record.epoch

    def __getitem__(self, trial_id: str) -> TrialRecord:
        with self._lock:
            return self._records[trial_id]

    def records(self, arm: str | None = None) -> list[TrialRecord]:
        """All records, or an arm's."""
        with self._lock:
            return [record for record in self._records.values() if arm is None or record.arm == arm]

    def ended(self, arm: str | None = None) -> list[TrialRecord]:
        """Records of trials that are over."""
        return [record for record in self.records(arm) if record.outcome is not None]

    @property
    def total(self) -> int:
        """Trials of the whole sweep."""
        return len(self.arms) * self.trials_per_arm

    def frame(self) -> pd.DataFrame:
        """A row a trial, ordered by arm and number."""
        import pandas as pd  # here, since `dvt list` must not wait for it

        records = sorted(self.records(), key=lambda record: (self.arms.index(record.arm), record.number))
        return pd.DataFrame([record.as_row() for record in records], columns=[*ROW, *Recipe.field_names()])


def best(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """The completed trial with the highest score, the earlier one where two are equal; a pruned or diverged one never is."""
    completed = [record for record in records if record.outcome is Outcome.COMPLETED and record.score is not None]
    return max(completed, key=lambda record: (record.score or 0.0, -record.number), default=None)


def default(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """Trial 0 of an arm, if it completed."""
    return next((r for r in records if r.number == 0 and r.outcome is Outcome.COMPLETED), None)
