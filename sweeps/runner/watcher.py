"""From Tune's callbacks to the sweep's record, MLflow and the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from cluster.resources import Slots
from sweeps.runner import tracking
from sweeps.runner.results import Outcome, Results, TrialRecord, epochs_of, outcome_of
from trainables import recipe as names
from trainables.checkpoint import LAST
from trainables.recipe import EPOCH, Recipe

REPORTED = (
    names.VAL_ACCURACY,
    names.VAL_LOSS,
    names.TRAIN_ACCURACY,
    names.TRAIN_LOSS,
    names.LR,
    names.STAGE,
    names.EPOCH_SECONDS,
    names.IMAGES_PER_SECOND,
)
"""What goes to MLflow of each report."""


class Watcher(Callback):
    """Translates events; nothing here waits, and MLflow's failures never reach the sweep.

    Args:
        results: The sweep's record.
        tracker: MLflow's writer.
        slots: What a second of a trial costs.
        say: Shows a trial that ended badly.
        interrupted: Whether the user has asked to stop.
    """

    def __init__(
        self,
        results: Results,
        tracker: tracking.Tracker,
        slots: Slots,
        say: Callable[[TrialRecord], None],
        interrupted: Callable[[], bool],
    ) -> None:
        self._results, self._tracker, self._slots = results, tracker, slots
        self._say, self._interrupted = say, interrupted

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks; a thread and a database cannot be, and a sweep is not restored from there

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has its place."""
        config = trial.config
        recipe = Recipe.from_sample(config["recipe"])
        self._results.start(config["trial_id"], config["arm"], config["number"], recipe)
        self._tracker.trial_started(config["trial_id"], config["arm"], config["number"], recipe.as_dict())

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any) -> None:
        """A trial has done an epoch or several, or diverged."""
        trial_id = trial.config["trial_id"]
        for epoch in epochs_of(result):
            self._results.report(trial_id, epoch)
            metrics = {name: float(epoch[name]) for name in REPORTED}
            self._tracker.trial_reported(trial_id, int(epoch[EPOCH]), metrics)
            if names.MICRO_BATCH in epoch:
                self._tracker.trial_tagged(trial_id, {names.MICRO_BATCH: str(epoch[names.MICRO_BATCH])})

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial ended by itself or was stopped."""
        record, last = self._results[trial.config["trial_id"]], trial.last_result or {}
        if (outcome := outcome_of(last)) is not None:
            self._end(record, outcome, str(last.get("reason", "")))
            _drop_last(trial)
        elif record.epoch >= record.recipe.epochs:
            self._end(record, Outcome.COMPLETED)
        else:
            outcome = Outcome.INTERRUPTED if self._interrupted() else Outcome.PRUNED
            self._end(record, outcome)
            if outcome is Outcome.PRUNED:
                _drop_last(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial failed for good, after its retries."""
        record = self._results[trial.config["trial_id"]]
        self._end(record, Outcome.FAILED, _last_line(trial.get_error()))

    def close(self) -> None:
        """Trials that never ended were interrupted."""
        for record in self._results.records():
            if record.outcome is None:
                self._end(record, Outcome.INTERRUPTED)

    def _end(self, record: TrialRecord, outcome: Outcome, reason: str = "") -> None:
        record.outcome, record.reason = outcome, reason
        record.wall_seconds = time.monotonic() - record.started
        record.device_seconds = record.wall_seconds * self._slots.devices_per_trial
        self._tracker.trial_ended(
            record.trial_id,
            outcome.value,
            reason or None,
            wall_seconds=record.wall_seconds,
            device_seconds=record.device_seconds,
            score=record.score,
            best_epoch=record.best_epoch or None,
        )
        self._say(record)


def _drop_last(trial: Trial) -> None:
    """A trial that never continues needs no checkpoint to continue from: some 100 MB."""
    Path(trial.config["checkpoints"], LAST).unlink(missing_ok=True)


def _last_line(error: BaseException | None) -> str:
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was given"
