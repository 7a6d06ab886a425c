"""One trial scheduler for all arms: ASHA ranks inside an arm only, and never stops an arm's default recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from search_spaces.space import Arm
from sweeps.records import history
from sweeps.records.results import epochs_of
from trainables.metrics import EPOCH, SCORE

REDUCTION_FACTOR = 2
"""At each rung the worse half stops. Ray's default of 4 stops three of four on the word of a quarter of the epochs."""


MIN_PEERS = 3
"""Trials that a rung must hold before one is stopped there: Ray's would stop the second on the word of the first."""


@dataclass(frozen=True)
class _Earlier:
    """Of Ray's trial what a scheduler reads."""

    trial_id: str
    config: dict[str, Any]


class ArmScheduler(FIFOScheduler):
    """An ASHA per arm (Li et al. 2020), in epochs and scores; its first rung comes after stage 1.

    Args:
        arms: Each gets its own rungs, so that a shallow net that learns faster cannot stop a deep one.
        epochs: Of every recipe.
        past: Trials of an earlier run: those that ended hold their places at the rungs.
    """

    def __init__(
        self, arms: Sequence[Arm], epochs: int, past: Sequence[history.Trial] = ()
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.by_arm = {arm.name: _asha(arm, epochs) for arm in arms}
        self._epochs = epochs
        self._reached: dict[tuple[str, int], set[str]] = {}  # trials by arm and epoch
        self._overdue: set[str] = set()  # trials that were to be stopped
        for earlier in past:
            if earlier.outcome is not None and earlier.arm in self.by_arm:
                config = {"arm": earlier.arm, "number": earlier.number, "done": earlier.epochs}
                self.on_trial_add(None, _Earlier(earlier.trial_id, config))  # type: ignore[arg-type]

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Metric and mode are fixed: the score, larger is better."""
        return True

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Enter the trial into its arm, at the rungs too that it passed in an earlier run."""
        self._arm(trial).on_trial_add(tune_controller, trial)
        stops = [
            self._rank(tune_controller, trial, epoch) for epoch in trial.config.get("done", ())
        ]
        if stops and stops[-1]:  # the earlier run ended between the decision and the trial's end
            self._overdue.add(trial.trial_id)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop a trial that is among the worse half of its arm; the default is ranked and goes on.

        A report of several epochs is ranked epoch by epoch, as if each had come alone. One that diverged ranks nobody.
        """
        over = (
            result[EPOCH] >= self._epochs
        )  # nothing is left to save, and the worker ends in order
        spared = over or is_default(trial)
        for epoch in epochs_of(result):
            worse = self._rank(tune_controller, trial, epoch)
            if (worse or trial.trial_id in self._overdue) and not spared:
                return str(TrialScheduler.STOP)
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Record the last score in the arm's rungs."""
        if epochs := epochs_of(result):
            for epoch in epochs[:-1]:
                self._arm(trial).on_trial_result(tune_controller, trial, dict(epoch))
            self._arm(trial).on_trial_complete(tune_controller, trial, dict(epochs[-1]))

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """An error ranks nobody."""

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Forget a trial that was removed before it ended."""
        self._arm(trial).on_trial_remove(tune_controller, trial)

    def debug_string(self) -> str:
        """For Ray's own output, which is off."""
        return f"ASHA in {len(self.by_arm)} arms"

    def _rank(self, tune_controller: Any, trial: Trial, epoch: Mapping[str, Any]) -> bool:
        """Enter an epoch; whether the trial is among the worse half of enough peers at a rung."""
        action = self._arm(trial).on_trial_result(tune_controller, trial, dict(epoch))
        reached = self._reached.setdefault((trial.config["arm"], epoch[EPOCH]), set())
        enough = len(reached) >= MIN_PEERS
        reached.add(trial.trial_id)
        return enough and bool(action == TrialScheduler.STOP)

    def _arm(self, trial: Trial) -> ASHAScheduler:
        return self.by_arm[trial.config["arm"]]


def is_default(trial: Trial) -> bool:
    """Whether this is trial 0 of its arm, the default recipe."""
    return bool(trial.config["number"] == 0)


def first_rung(arm: Arm, epochs: int) -> int:
    """Epoch of the first decision: a quarter of the budget, counted from the end of the longest stage 1."""
    longest_stage1 = int(max(arm.possible("stage1_epochs")))
    return min(epochs, longest_stage1 + max(1, round(epochs / 4)))


def _asha(arm: Arm, epochs: int) -> ASHAScheduler:
    return ASHAScheduler(
        time_attr=EPOCH,
        metric=SCORE,
        mode="max",
        max_t=epochs,
        grace_period=first_rung(arm, epochs),
        reduction_factor=REDUCTION_FACTOR,
        stop_last_trials=False,
    )
