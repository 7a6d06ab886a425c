"""Callbacks of Tune with one job each: record, stuck workers, checkpoints, failures, epochs.

Tune calls callbacks in their order; the record comes first, so that the others can ask it.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from cluster.session import end_process
from sweeps.records.events import EpochsReported, Event, TrialEnded, TrialStarted, TrialTagged
from sweeps.records.results import (
    SAME_FAILURES,
    Finalist,
    Outcome,
    Results,
    TrialRecord,
    epochs_of,
    outcome_of,
)
from sweeps.records.score import NAMES
from sweeps.runner.driver import Run
from trainables import metrics as names
from trainables.metrics import EPOCH, MICRO_BATCH, SCORE, TEST
from trainables.ray_trial import DISK_FULL, WORKER
from trainables.recipe import Recipe

# The metrics that are recorded of each epoch, and go to MLflow.
REPORTED = (
    names.VAL_ACCURACY,
    names.VAL_BALANCED_ACCURACY,
    names.VAL_MACRO_F1,
    names.VAL_LOSS,
    names.TRAIN_ACCURACY,
    names.TRAIN_LOSS,
    names.LR,
    names.STAGE,
    names.EPOCH_PASSES,
    names.EPOCH_SECONDS,
    names.IMAGES_PER_SECOND,
)

CHECKED_EVERY_S = 1.0  # for stuck workers, and for the record

# The tag of a trial that says why its worker was started again.
RESTARTED = "sweep.restarted"


class TrialCallback(Callback):
    """A callback that is told of a trial's start, reports, restart and end in short methods."""

    # Tune pickles its callbacks for snapshots that nobody reads; these hold threads and files.
    def __getstate__(self) -> dict[str, Any]:
        return {}

    def started(self, trial: Trial) -> None:
        """Note that a trial has its place, for the first time or again."""

    def reported(self, trial: Trial, result: dict[str, Any]) -> None:
        """Note what a trial has reported; after a restart it repeats some epochs."""

    def recovered(self, trial: Trial) -> None:
        """Note that a trial's worker died; it continues elsewhere from its last checkpoint."""

    def over(self, trial: Trial, error: BaseException | None) -> None:
        """Note that a trial ended or was stopped, or failed for good after its retries."""

    def on_trial_start(self, *, trial: Trial, **info: Any) -> None:  # type: ignore[override]
        """Pass on Tune's event, as do the next."""
        self.started(trial)

    def on_trial_result(  # type: ignore[override]
        self, *, trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Pass on a report."""
        self.reported(trial, result)

    def on_trial_recover(self, *, trial: Trial, **info: Any) -> None:  # type: ignore[override]
        """Pass on a restart."""
        self.recovered(trial)

    def on_trial_complete(self, *, trial: Trial, **info: Any) -> None:  # type: ignore[override]
        """Pass on an end."""
        self.over(trial, None)

    def on_trial_error(self, *, trial: Trial, **info: Any) -> None:  # type: ignore[override]
        """Pass on a failure."""
        self.over(trial, trial.get_error() or RuntimeError("no reason was given"))


class RecordCallback(TrialCallback):
    """Keeps the sweep's record, in memory and in the journal; nothing here waits for MLflow.

    Args:
        run: The sweep.
        results: Its record in memory.
    """

    def __init__(self, run: Run, results: Results) -> None:
        self._run = run
        self._results = results

    def setup(self, *args: Any, **info: Any) -> None:
        """Have signals come to us: Tune has just set a handler of its own."""
        self._run.interrupt.take_over()

    def started(self, trial: Trial) -> None:
        """Enter a trial, and what an earlier run of the sweep has done of it."""
        config = trial.config
        recipe = Recipe.from_sample(config["recipe"])
        finalist = None
        if config["finalist"]:
            finalist = Finalist(config["finalist"]["group"], config["finalist"]["without"])
        trial_id = config["trial_id"]
        record = self._results.start(trial_id, config["arm"], config["number"], recipe, finalist)
        # After a restart by Tune the record is there already.
        if not record.epoch:
            for epoch in config["done"]:
                self._results.report(trial_id, epoch)
                record.started -= epoch.get(names.EPOCH_SECONDS, 0.0)
        self._run.tell(
            TrialStarted(
                trial_id=trial_id,
                arm=record.arm,
                number=record.number,
                recipe=recipe.as_dict(),
                sample=config["sample"],
                finalist=finalist,
            )
        )

    def reported(self, trial: Trial, result: dict[str, Any]) -> None:
        """Enter the epochs of a report that are not known yet."""
        record = self._results[trial.config["trial_id"]]
        fresh = [_recorded(epoch) for epoch in epochs_of(result) if epoch[EPOCH] > record.epoch]
        if not fresh:
            return
        for epoch in fresh:
            self._results.report(record.trial_id, epoch)
        self._run.tell(EpochsReported(trial_id=record.trial_id, epochs=fresh))
        if MICRO_BATCH in fresh[-1]:
            tags = {MICRO_BATCH: str(fresh[-1][MICRO_BATCH])}
            self._run.tell(TrialTagged(trial_id=record.trial_id, tags=tags))

    def recovered(self, trial: Trial) -> None:
        """Note why a trial's worker died."""
        tags = {RESTARTED: _last_line(trial.get_error())}
        self._run.tell(TrialTagged(trial_id=trial.config["trial_id"], tags=tags))

    def over(self, trial: Trial, error: BaseException | None) -> None:
        """Enter how a trial ended."""
        record = self._results[trial.config["trial_id"]]
        last = trial.last_result or {}
        reason = str(last.get("reason", ""))
        outcome = outcome_of(last)
        if error is not None:
            self._end(record, Outcome.FAILED, _last_line(error))
        # A full disk ends the sweep; the trial is left to do.
        elif last.get("kind") == DISK_FULL:
            self._end(record, Outcome.INTERRUPTED, reason)
            self._run.interrupt.stop(reason)
        elif outcome is not None:
            self._end(record, outcome, reason)
        elif _whole(record, last):
            record.test = last.get(TEST, {})
            self._end(record, Outcome.COMPLETED)
        elif self._run.interrupt.requested:
            self._end(record, Outcome.INTERRUPTED)
        else:
            self._end(record, Outcome.PRUNED)

    def close(self) -> None:
        """Enter trials that never ended as interrupted."""
        for record in self._results.records():
            if record.outcome is None:
                self._end(record, Outcome.INTERRUPTED)

    def _end(self, record: TrialRecord, outcome: Outcome, reason: str = "") -> None:
        record.outcome = outcome
        record.reason = reason
        record.wall_seconds = time.monotonic() - record.started
        record.device_seconds = record.wall_seconds * self._run.plan.slots.devices_per_trial
        self._run.tell(
            TrialEnded(
                trial_id=record.trial_id,
                outcome=outcome,
                reason=reason,
                wall_seconds=record.wall_seconds,
                device_seconds=record.device_seconds,
                score=record.score,
                best_epoch=record.best_epoch or None,
                image_passes=record.image_passes or None,
                test=record.test,
            )
        )
        self._run.progress.ended(record)


class Watchdog(TrialCallback):
    """Ends workers that do not report for too long, on any node; Tune starts them again.

    Args:
        after: Seconds without a report after which a worker counts as stuck.
        tell: Takes the event.
        say: Shows a line.
        look: Looks after the record as often; a stuck trial, or a long one, reports nothing.
    """

    def __init__(
        self,
        after: float,
        tell: Callable[[Event], None],
        say: Callable[[str], None],
        look: Callable[[], None],
    ) -> None:
        self._after = after
        self._tell = tell
        self._say = say
        self._look = look
        self._watched: dict[str, _Watched] = {}
        self._checked = 0.0

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look every second; Tune calls this several times a second."""
        now = time.monotonic()
        if now - self._checked < CHECKED_EVERY_S:
            return
        self._checked = now
        self._look()
        for trial_id, watched in self._watched.items():
            if now - watched.heard > self._after and _end_worker(watched.checkpoints):
                # The next worker has as long again.
                watched.heard = now
                self._say(
                    f"{trial_id} has not reported for too long: its worker is ended, and it "
                    "continues from its checkpoint."
                )
                self._tell(TrialTagged(trial_id=trial_id, tags={RESTARTED: "stuck"}))

    def started(self, trial: Trial) -> None:
        """Watch a trial."""
        checkpoints = Path(trial.config["checkpoints"])
        self._watched[trial.config["trial_id"]] = _Watched(checkpoints, time.monotonic())

    def reported(self, trial: Trial, result: dict[str, Any]) -> None:
        """Note that a trial lives."""
        watched = self._watched.get(trial.config["trial_id"])
        if watched:
            watched.heard = time.monotonic()

    def recovered(self, trial: Trial) -> None:
        """Forget a trial until it starts again."""
        self._watched.pop(trial.config["trial_id"], None)

    def over(self, trial: Trial, error: BaseException | None) -> None:
        """Forget a trial."""
        self._watched.pop(trial.config["trial_id"], None)


class CheckpointCleaner(TrialCallback):
    """Deletes the checkpoints that a trial's end makes useless.

    Args:
        results: The record, which knows the trial's peers.
        tidy: Deletes those of a trial that has ended, or of the peers that it beats.
    """

    def __init__(
        self, results: Results, tidy: Callable[[list[TrialRecord], TrialRecord], None]
    ) -> None:
        self._results = results
        self._tidy = tidy

    def over(self, trial: Trial, error: BaseException | None) -> None:
        """Tidy up after a trial, unless it is left to do."""
        record = self._results[trial.config["trial_id"]]
        if record.outcome is not Outcome.INTERRUPTED:
            self._tidy(self._results.peers(record), record)


class FailureBudget(TrialCallback):
    """Counts failures; searchers ask it which arms get no more trials.

    Args:
        results: The record.
        say: Shows a line.
    """

    def __init__(self, results: Results, say: Callable[[str], None]) -> None:
        self._results = results
        self._say = say
        self._failures: Counter[tuple[str, str]] = Counter()
        self._spent: set[str] = set()

    def spent(self, arm: str) -> bool:
        """Return whether an arm gets no more trials."""
        return arm in self._spent

    def over(self, trial: Trial, error: BaseException | None) -> None:
        """Count a trial that failed."""
        record = self._results[trial.config["trial_id"]]
        if record.outcome is not Outcome.FAILED:
            return
        self._failures[record.arm, record.reason] += 1
        of_arm = self._results.records(record.arm)
        completed = any(other.outcome is Outcome.COMPLETED for other in of_arm)
        few = self._failures[record.arm, record.reason] < SAME_FAILURES
        if few or completed or self.spent(record.arm):
            return
        self._spent.add(record.arm)
        why = f"{SAME_FAILURES} failed for the same reason ({record.reason})"
        self._say(f"{record.arm} gets no more trials: {why}.")


class EpochLog(TrialCallback):
    """Shows each epoch of the finalists, once.

    Args:
        results: The record.
        say: Shows a line.
    """

    def __init__(self, results: Results, say: Callable[[str], None]) -> None:
        self._results = results
        self._say = say
        # The last epoch that was shown, by trial.
        self._shown: Counter[str] = Counter()

    def reported(self, trial: Trial, result: dict[str, Any]) -> None:
        """Show the epochs of a report."""
        record = self._results[trial.config["trial_id"]]
        done = trial.config["done"]
        before = done[-1][EPOCH] if done else 0
        for epoch in epochs_of(result):
            if epoch[EPOCH] > max(before, self._shown[record.trial_id]):
                self._shown[record.trial_id] = int(epoch[EPOCH])
                self._say(_epoch_line(self._results.score, record, epoch))


@dataclass(slots=True)
class _Watched:
    checkpoints: Path
    # When it last reported, by the monotonic clock.
    heard: float


def _end_worker(checkpoints: Path) -> bool:
    """End the process that trains in a folder; return False where none has begun.

    Before that, Ray starts and ends the worker itself.
    """
    try:
        worker = json.loads((checkpoints / WORKER).read_text())
        pid = int(worker["pid"])
        node = str(worker["node_id"])
    except (OSError, ValueError, LookupError, TypeError):
        return False
    end_process(node, pid)
    return True


def _whole(record: TrialRecord, last: Mapping[str, Any]) -> bool:
    """Return whether a trial has all its epochs, and a finalist its test."""
    tested = record.finalist is None or bool(last.get(TEST))
    return record.epoch >= record.recipe.epochs and tested


def _recorded(epoch: Mapping[str, Any]) -> dict[str, Any]:
    """Return an epoch's metrics without what Tune adds to a report."""
    kept = (EPOCH, SCORE, *REPORTED, MICRO_BATCH)
    return {name: epoch[name] for name in kept if name in epoch}


def _epoch_line(score: names.Score, record: TrialRecord, epoch: Mapping[str, Any]) -> str:
    """Return an epoch as a line for a person."""
    width = len(str(record.recipe.epochs))
    return (
        f"{record.trial_id}  Epoch {epoch[EPOCH]:>{width}}/{record.recipe.epochs}  "
        f"train loss {epoch[names.TRAIN_LOSS]:.4f} accuracy {epoch[names.TRAIN_ACCURACY]:.4f}  "
        f"val loss {epoch[names.VAL_LOSS]:.4f} {NAMES[score]} {epoch[names.VAL_SCORES[score]]:.4f}"
    )


def _last_line(error: BaseException | None) -> str:
    """Return the last line of what an error says: Ray's errors begin with tracebacks."""
    lines = str(error or "").splitlines()
    for line in reversed(lines):
        if line.strip():
            return line.strip()
    return "no reason was given"
