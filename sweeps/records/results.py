"""What the trials of a sweep have come to: one record a trial, the table of arms, and the one definition of "best"."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import fmean
from typing import Any, Protocol, TypeVar

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


@dataclass(frozen=True, slots=True)
class Finalist:
    """What makes a training run a finalist.

    Attributes:
        group: The trial whose recipe is trained again; of an ablation, with what was taken away.
        without: Of an ablation: the recipe field that has its neutral value; else None.
    """

    group: str
    without: str | None = None


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
    """One trial, running or ended.

    Attributes:
        trial_id: Its name, unique in the sweep.
        arm: Its arm.
        number: Of the trial in its arm, or of the trial whose recipe it has.
        recipe: What it trains.
        finalist: None for a trial of the search.
        started: By the monotonic clock; earlier runs of the sweep count.
        outcome: None while it runs.
        reason: Why it diverged or failed.
        epoch: The last one that is done.
        score: The best of the last stage on val.
        best_epoch: The epoch of the score.
        val: Of the last epoch, by the metric that decides.
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
    wall_seconds: float = 0.0
    device_seconds: float = 0.0
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
        finalist: Finalist | None = None,
    ) -> TrialRecord:
        """Enter a trial; one that starts again after a failure keeps its record."""
        record = TrialRecord(trial_id, arm, number, recipe, finalist)
        with self._lock:
            return self._records.setdefault(trial_id, record)

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

    def peers(self, record: TrialRecord) -> list[TrialRecord]:
        """Return the trials of an arm, or the seeds of a finalist, that are over; the one given may be among them."""
        return [other for other in self.ended(record.arm) if other.finalist == record.finalist]

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


class Scored(Protocol):
    """A trial as far as it is ranked."""

    @property
    def trial_id(self) -> str:
        """Its name."""

    @property
    def number(self) -> int:
        """Of the trial in its arm."""

    @property
    def outcome(self) -> Outcome | None:
        """How it ended."""

    @property
    def score(self) -> float | None:
        """What decides."""


class Retrained(Protocol):
    """A recipe that was trained again over seeds, as far as it is ranked."""

    @property
    def arm(self) -> str:
        """Its arm."""

    @property
    def number(self) -> int:
        """Of the trial that had the recipe."""

    @property
    def scores(self) -> Sequence[float]:
        """The score of each seed that completed, on val."""


AnyScored = TypeVar("AnyScored", bound=Scored)
AnyRetrained = TypeVar("AnyRetrained", bound=Retrained)


def best(trials: Iterable[AnyScored]) -> AnyScored | None:
    """Return the completed trial with the highest score, the earlier one where two are equal.

    A pruned or diverged one never is the best.
    """
    return min(filter(_ranked, trials), key=rank, default=None)


def rank(trial: Scored) -> tuple[float, int, str]:
    """Return a key that sorts the best first, in whatever order trials came."""
    return -(trial.score or 0.0), trial.number, trial.trial_id


def default(trials: Iterable[AnyScored]) -> AnyScored | None:
    """Return trial 0 of an arm, if it completed."""
    completed = (trial for trial in trials if trial.outcome is Outcome.COMPLETED)
    return next((trial for trial in completed if trial.number == 0), None)


def champion(candidates: Iterable[AnyRetrained], arms: Sequence[str]) -> AnyRetrained | None:
    """Return the recipe to ship: of those with most seeds the one with the best mean on val.

    Where means are equal, the arm and the trial that come first.

    Args:
        candidates: Recipes that were trained again; those without a completed seed do not count.
        arms: In the study's order.
    """

    def order(recipe: AnyRetrained) -> tuple[int, float, int, int]:
        return -len(recipe.scores), -fmean(recipe.scores), arms.index(recipe.arm), recipe.number

    return min((recipe for recipe in candidates if recipe.scores), key=order, default=None)


def _ranked(trial: Scored) -> bool:
    return trial.outcome is Outcome.COMPLETED and trial.score is not None
