"""The results of a sweep in memory: a record per trial, and the one definition of "best"."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from trainables.metrics import (
    EPOCH,
    EPOCH_PASSES,
    HISTORY,
    SCORE,
    TEST,
    TEST_PASSES,
    VAL_SCORES,
    Score,
)
from trainables.recipe import Recipe

# Random trials of an arm before TPE guides. Of 16 trials per arm, Optuna's default of 10 would
# leave next to none guided.
STARTUP_TRIALS = 5

# An arm gets no more trials after this many have failed for one reason and none has completed.
SAME_FAILURES = 3


class Outcome(StrEnum):
    """The ways in which a trial ends; the values of the tag `sweep.outcome`."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Finalist:
    """The part of a training run that makes it a finalist.

    Attributes:
        group: The trial whose recipe is trained again; of an ablation, with what was taken away.
        without: Of an ablation: the recipe field that has its neutral value; else None.
    """

    group: str
    without: str | None = None


def outcome_of(result: Mapping[str, Any]) -> Outcome | None:
    """Return the outcome that a trial itself reported, `diverged` or `failed`, or None."""
    if not result.get("outcome"):
        return None
    return Outcome(result["outcome"])


def epochs_of(result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the metrics of each epoch of a report, in order.

    There are none where the trial diverged, or the report is of the test.
    """
    if outcome_of(result) is not None or SCORE not in result or TEST in result:
        return []
    history: Sequence[Mapping[str, Any]] = result.get(HISTORY) or [result]
    return history


def trial_name(arm: str, number: int) -> str:
    """Return the readable name of a trial, such as `resnet34/tricks/007`."""
    return f"{arm}/{number:03d}"


def finalist_name(group: str, seed: int) -> str:
    """Return the name of a seed of a finalist, such as `resnet34/tricks/007/s0`."""
    return f"{group}/s{seed}"


def seed_number(trial_id: str) -> int | None:
    """Return the number of a finalist's seed, which ends its name; None of a trial."""
    last = trial_id.rpartition("/s")[2]
    if "/s" in trial_id and last.isdecimal():
        return int(last)
    return None


@dataclass(slots=True)
class TrialRecord:
    """One trial, running or ended.

    Attributes:
        trial_id: Its name, unique in the sweep.
        arm: Its arm.
        number: Its number in its arm; a finalist has that of the trial whose recipe it has.
        recipe: What it trains.
        finalist: None for a trial of the search.
        started: By the monotonic clock; time in earlier runs of the sweep counts.
        outcome: None while it runs.
        reason: Why it diverged or failed.
        epoch: The last epoch that is done.
        score: The best of the last stage on val.
        best_epoch: The epoch of the score.
        val: The metric that decides, of the last epoch on val.
        trained_passes: Image passes of its epochs.
        wall_seconds: From start to end.
        device_seconds: Wall time, multiplied by the share of a device that it had.
        test: Of a finalist: what the test split said, by metric.
    """

    trial_id: str
    arm: str
    number: int
    recipe: Recipe
    finalist: Finalist | None = None
    started: float = field(default_factory=time.monotonic)
    outcome: Outcome | None = None
    reason: str = ""
    epoch: int = 0
    score: float | None = None
    best_epoch: int = 0
    val: float | None = None
    trained_passes: int = 0
    wall_seconds: float = 0.0
    device_seconds: float = 0.0
    test: Mapping[str, float] = field(default_factory=dict)

    @property
    def image_passes(self) -> int:
        """Image passes of its epochs, and of its test."""
        return self.trained_passes + int(self.test.get(TEST_PASSES, 0))


class Results:
    """All records of a search, or of the finalists, in the order of their start.

    Another thread may read them.

    Args:
        planned: Number of trials by arm.
        score: The score that decides which of them is best.
    """

    def __init__(self, planned: Mapping[str, int], score: Score = "accuracy") -> None:
        self.planned = dict(planned)
        self.score = score
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
        finalist: Finalist | None = None,
    ) -> TrialRecord:
        """Enter a trial; one that starts again after a failure keeps its record."""
        record = TrialRecord(trial_id, arm, number, recipe, finalist)
        # Only a trial that is new to this run gets the new record.
        with self._lock:
            return self._records.setdefault(trial_id, record)

    def expect(self, more: Mapping[str, int]) -> None:
        """Plan more trials by arm."""
        for arm, number in more.items():
            self.planned[arm] = self.planned.get(arm, 0) + number

    def report(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Take in an epoch."""
        record = self[trial_id]
        if outcome_of(result) is not None:
            return
        record.epoch = int(result[EPOCH])
        record.val = float(result[VAL_SCORES[self.score]])
        record.trained_passes += int(result.get(EPOCH_PASSES, 0))
        # The best epoch is the one at which the score last changed, or a stage began.
        if record.score != result[SCORE] or record.epoch <= record.recipe.stage1_epochs + 1:
            record.score = float(result[SCORE])
            record.best_epoch = record.epoch

    def __getitem__(self, trial_id: str) -> TrialRecord:
        with self._lock:
            return self._records[trial_id]

    def records(self, arm: str | None = None) -> list[TrialRecord]:
        """Return all records, or those of an arm."""
        with self._lock:
            records = list(self._records.values())
        if arm is None:
            return records
        return [record for record in records if record.arm == arm]

    def ended(self, arm: str | None = None) -> list[TrialRecord]:
        """Return the records of trials that are over."""
        return [record for record in self.records(arm) if record.outcome is not None]

    def peers(self, record: TrialRecord) -> list[TrialRecord]:
        """Return the trials of an arm, or the seeds of a finalist, that are over.

        The one given may be among them.
        """
        return [other for other in self.ended(record.arm) if other.finalist == record.finalist]

    def lacking(self) -> set[str]:
        """Return the arms of which trials are still to end."""
        return {arm for arm in self.planned if self.left_of(arm) > 0}

    @property
    def total(self) -> int:
        """The number of trials that are planned."""
        return sum(self.planned.values())

    @property
    def left(self) -> int:
        """The number of trials that are still to end."""
        return sum(map(self.left_of, self.planned))

    def left_of(self, arm: str) -> int:
        """Return the number of an arm's trials that are still to end."""
        done = sum(record.outcome is not Outcome.INTERRUPTED for record in self.ended(arm))
        return max(0, self.planned.get(arm, 0) - done)


class Scored(Protocol):
    """The part of a trial by which it is ranked."""

    @property
    def trial_id(self) -> str:
        """Its name."""

    @property
    def number(self) -> int:
        """Its number in its arm."""

    @property
    def outcome(self) -> Outcome | None:
        """Its outcome; None while it runs."""

    @property
    def score(self) -> float | None:
        """Its score, by the metric that decides."""


AnyScored = TypeVar("AnyScored", bound=Scored)


def best(trials: Iterable[AnyScored]) -> AnyScored | None:
    """Return the completed trial with the highest score, the earlier one where two are equal.

    A pruned or diverged one never is the best.
    """
    return min(filter(_ranked, trials), key=rank, default=None)


def rank(trial: Scored) -> tuple[float, int, str]:
    """Return a key that sorts the best trial first, whatever the order in which trials came."""
    return -(trial.score or 0.0), trial.number, trial.trial_id


def ranked(trials: Iterable[AnyScored]) -> list[AnyScored]:
    """Return the completed trials, the best first."""
    return sorted(filter(_ranked, trials), key=rank)


def default(trials: Iterable[AnyScored]) -> AnyScored | None:
    """Return trial 0 of an arm, if it completed."""
    for trial in trials:
        if trial.number == 0 and trial.outcome is Outcome.COMPLETED:
            return trial
    return None


def _ranked(trial: Scored) -> bool:
    """Return whether a trial can be the best."""
    return trial.outcome is Outcome.COMPLETED and trial.score is not None
