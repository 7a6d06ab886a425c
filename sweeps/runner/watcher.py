"""From Tune's callbacks to the sweep's record and the terminal; what has to be ended early is ended here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from cluster.resources import Slots
from sweeps.runner import tracking
from sweeps.runner.results import Outcome, Results, TrialRecord, epochs_of, outcome_of
from sweeps.runner.stuck import StuckTrials
from trainables import metrics as names
from trainables.finalist import Finalist
from trainables.metrics import EPOCH, MICRO_BATCH, SCORE, TEST
from trainables.ray_trial import DISK_FULL
from trainables.recipe import Recipe

REPORTED = (
    names.VAL_ACCURACY,
    names.VAL_BALANCED_ACCURACY,
    names.VAL_MACRO_F1,
    names.VAL_LOSS,
    names.TRAIN_ACCURACY,
    names.TRAIN_LOSS,
    names.LR,
    names.STAGE,
    names.EPOCH_SECONDS,
    names.IMAGES_PER_SECOND,
)
"""What is recorded of each epoch, and goes to MLflow."""

SAME_FAILURES = 3
"""Trials of an arm that fail for one reason, before any has completed, after which the arm gets no more."""


class Watcher(Callback):
    """Translates events; nothing here waits for MLflow.

    Args:
        results: The sweep's record in memory.
        tracker: Its journal, from which MLflow is told.
        slots: What a second of a trial costs.
        say: Shows a trial that ended badly, or a line.
        interrupted: Whether the user has asked to stop.
        tidy: Deletes the checkpoints that a trial's end makes useless.
        broken: Asks the sweep to stop in order, since it cannot go on; gets the reason.
        stuck: Ends workers that do not report.
        hopeless: Arms that get no more trials; grows here.
        log: Shows an epoch of a finalist.
    """

    def __init__(
        self,
        results: Results,
        tracker: tracking.Tracker,
        slots: Slots,
        *,
        say: Callable[[TrialRecord | str], None],
        interrupted: Callable[[], bool],
        tidy: Callable[[TrialRecord], None],
        broken: Callable[[str], None],
        stuck: StuckTrials,
        hopeless: set[str],
        log: Callable[[TrialRecord, Mapping[str, Any]], None],
    ) -> None:
        self._results, self._tracker, self._slots, self._say = results, tracker, slots, say
        self._interrupted, self._tidy, self._broken, self._stuck = interrupted, tidy, broken, stuck
        self._log = log
        self._failures: Counter[tuple[str, str]] = Counter()
        self._hopeless = hopeless

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks; a thread and a file cannot be, and a sweep is not restored from there

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Tune has gone round its loop."""
        for trial_id in self._stuck.end_overdue():
            self._say(
                f"{trial_id} has not reported for too long: its worker is ended, and it continues from its checkpoint."
            )
            self._write(self._tracker.trial_tagged, trial_id, {"sweep.restarted": "stuck"})

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial has its place, for the first time or again."""
        config = trial.config
        recipe = Recipe.from_sample(config["recipe"])
        finalist: Finalist | None = config["finalist"]
        group = finalist["group"] if finalist else ""
        without = (finalist["without"] if finalist else None) or ""
        record = self._results.start(
            config["trial_id"], config["arm"], config["number"], recipe, group, without
        )
        for epoch in config["done"] if not record.epoch else ():
            self._results.report(record.trial_id, epoch)
            record.started -= epoch.get(
                names.EPOCH_SECONDS, 0.0
            )  # an earlier run of the sweep has spent that
        self._stuck.watch(record.trial_id, config["checkpoints"])
        self._write(
            self._tracker.trial_started,
            record.trial_id,
            record.arm,
            record.number,
            recipe.as_dict(),
            sample=config["sample"],
            role="finalist" if finalist else "trial",
            group=group,
            without=without,
        )

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has done an epoch or several, or ended badly. What a restarted trial repeats is known already."""
        record = self._results[trial.config["trial_id"]]
        self._stuck.heard(record.trial_id)
        fresh = [_plain(epoch) for epoch in epochs_of(result) if epoch[EPOCH] > record.epoch]
        if not fresh:
            return
        for epoch in fresh:
            self._results.report(record.trial_id, epoch)
            self._log(record, epoch)
        self._write(self._tracker.trial_reported, record.trial_id, fresh)
        if MICRO_BATCH in fresh[-1]:
            self._write(
                self._tracker.trial_tagged,
                record.trial_id,
                {MICRO_BATCH: str(fresh[-1][MICRO_BATCH])},
            )

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial's worker died; the trial continues elsewhere from its last checkpoint."""
        trial_id = trial.config["trial_id"]
        self._stuck.forget(trial_id)
        reason = _last_line(trial.get_error())
        self._write(self._tracker.trial_tagged, trial_id, {"sweep.restarted": reason})

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial ended by itself or was stopped."""
        record, last = self._results[trial.config["trial_id"]], trial.last_result or {}
        reason = str(last.get("reason", ""))
        if last.get("kind") == DISK_FULL:  # it is left to do
            self._end(record, Outcome.INTERRUPTED, reason)
            self._broken(reason)
        elif (outcome := outcome_of(last)) is not None:
            self._end(record, outcome, reason)
        elif record.epoch >= record.recipe.epochs and (last.get(TEST) or not record.group):
            record.test = last.get(TEST, {})
            self._end(record, Outcome.COMPLETED)
        else:
            self._end(record, Outcome.INTERRUPTED if self._interrupted() else Outcome.PRUNED)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial failed for good, after its retries."""
        self._end(
            self._results[trial.config["trial_id"]], Outcome.FAILED, _last_line(trial.get_error())
        )

    def close(self) -> None:
        """Trials that never ended were interrupted."""
        for record in self._results.records():
            if record.outcome is None:
                self._end(record, Outcome.INTERRUPTED)

    def _end(self, record: TrialRecord, outcome: Outcome, reason: str = "") -> None:
        self._stuck.forget(record.trial_id)
        record.outcome, record.reason = outcome, reason
        record.wall_seconds = time.monotonic() - record.started
        record.device_seconds = record.wall_seconds * self._slots.devices_per_trial
        self._write(
            self._tracker.trial_ended,
            record.trial_id,
            outcome.value,
            reason or None,
            wall_seconds=record.wall_seconds,
            device_seconds=record.device_seconds,
            score=record.score,
            best_epoch=record.best_epoch or None,
            test=record.test,
        )
        self._say(record)
        if outcome is not Outcome.INTERRUPTED:
            self._tidy(record)
        if outcome is Outcome.FAILED:
            self._count_failure(record)

    def _count_failure(self, record: TrialRecord) -> None:
        self._failures[record.arm, record.reason] += 1
        completed = any(
            other.outcome is Outcome.COMPLETED for other in self._results.records(record.arm)
        )
        if (
            self._failures[record.arm, record.reason] >= SAME_FAILURES
            and not completed
            and record.arm not in self._hopeless
        ):
            self._hopeless.add(record.arm)
            self._say(
                f"{record.arm} gets no more trials: {SAME_FAILURES} failed for the same reason ({record.reason})."
            )

    def _write(self, write: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        try:
            write(*args, **kwargs)
        except OSError as error:
            self._broken(f"the sweep's record cannot be written: {error.strerror or error}")


def _plain(epoch: Mapping[str, Any]) -> dict[str, Any]:
    """An epoch's metrics without what Tune adds to a report."""
    return {name: epoch[name] for name in (EPOCH, SCORE, *REPORTED, MICRO_BATCH) if name in epoch}


def _last_line(error: BaseException | None) -> str:
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was given"
