"""What the trials of a sweep have come to: one record a trial, the table of arms, and the one definition of "best"."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trainables.metrics import EPOCH, HISTORY, SCORE, TEST, VAL_SCORES, Score
from trainables.recipe import Recipe

STARTUP_TRIALS = 5
"""Random trials of an arm before TPE guides; Optuna's 10 would leave next to none guided at 16 trials an arm."""


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
    """What each epoch of a report brought, in order; nothing where the trial diverged, or the report is of the test."""
    if outcome_of(result) is not None or SCORE not in result or TEST in result:
        return []
    history: Sequence[Mapping[str, Any]] = result.get(HISTORY) or [result]
    return history


def trial_name(arm: str, number: int) -> str:
    """Our readable name of a trial, `resnet34/tricks/007`."""
    return f"{arm}/{number:03d}"


@dataclass(slots=True)
class TrialRecord:
    """One trial, running or ended. A finalist has the `group` of its recipe, and in the end what the test split said."""

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
    val: float | None = None  # of the last epoch, by the metric that decides
    wall_seconds: float = 0.0
    device_seconds: float = 0.0
    group: str = ""
    without: str = ""  # of an ablation: the trick that was taken away
    test: Mapping[str, float] = field(default_factory=dict)


class Results:
    """All records of a search, or of the finalists, in the order of their start. Safe to read from another thread.

    Args:
        planned: Trials by arm.
        score: What decides which of them is best.
    """

    def __init__(self, planned: Mapping[str, int], score: Score = "accuracy") -> None:
        self.planned, self.score = dict(planned), score
        self._records: dict[str, TrialRecord] = {}
        self._lock = threading.Lock()

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms."""
        return tuple(self.planned)

    def start(
        self,
        trial_id: str,
        arm: str,
        number: int,
        recipe: Recipe,
        group: str = "",
        without: str = "",
    ) -> TrialRecord:
        """Enter a trial; one that starts again after a failure keeps its record."""
        with self._lock:
            return self._records.setdefault(
                trial_id, TrialRecord(trial_id, arm, number, recipe, group=group, without=without)
            )

    def expect(self, more: Mapping[str, int]) -> None:
        """Plan more trials by arm."""
        for arm, number in more.items():
            self.planned[arm] = self.planned.get(arm, 0) + number

    def report(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Take in an epoch: the score's is the one at which the score last changed or a stage began."""
        record = self[trial_id]
        if outcome_of(result) is not None:
            return
        record.epoch, record.val = int(result[EPOCH]), float(result[VAL_SCORES[self.score]])
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
        """Trials that are planned."""
        return sum(self.planned.values())

    @property
    def left(self) -> int:
        """Trials that are still to end."""
        done = {
            arm: sum(record.outcome is not Outcome.INTERRUPTED for record in self.ended(arm))
            for arm in self.planned
        }
        return sum(max(0, planned - done[arm]) for arm, planned in self.planned.items())


def best(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """The completed trial with the highest score, the earlier one where two are equal; a pruned or diverged one never is."""
    completed = [
        record
        for record in records
        if record.outcome is Outcome.COMPLETED and record.score is not None
    ]
    return min(completed, key=rank, default=None)


def rank(record: TrialRecord) -> tuple[float, int, str]:
    """Sorts the best first, in whatever order trials came."""
    return -(record.score or 0.0), record.number, record.trial_id


def default(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """Trial 0 of an arm, if it completed."""
    return next((r for r in records if r.number == 0 and r.outcome is Outcome.COMPLETED), None)
