"""One scheduler for all arms: ASHA ranks inside an arm only, and spares its default recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from search_spaces.space import Arm
from sweeps.records import history
from sweeps.records.results import epochs_of
from sweeps.runner.screening import HALVES, Screening
from trainables.metrics import EPOCH, SCORE

# Trials that a rung must hold before one is stopped there: Ray's ASHA would stop the second for
# being worse than the first.
MIN_PEERS = 3


@dataclass(frozen=True)
class _Earlier:
    """The part of Ray's trial that a scheduler reads."""

    trial_id: str
    config: dict[str, Any]


class ArmScheduler(FIFOScheduler):
    """An ASHA per arm (Li et al. 2020), in epochs and scores; its first rung comes after stage 1.

    Args:
        arms: Each gets its own rungs, so that a shallow net, which learns faster, cannot stop a
            deep one.
        epochs: The epochs of every recipe.
        past: Trials of an earlier run: those that ended hold their places at the rungs.
        screening: When trials are ranked.
    """

    def __init__(
        self,
        arms: Sequence[Arm],
        epochs: int,
        past: Sequence[history.Trial] = (),
        screening: Screening = HALVES,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.by_arm = {arm.name: _asha(arm, epochs, screening) for arm in arms}
        self._epochs = epochs
        # Names of trials by arm and epoch.
        self._reached: dict[tuple[str, int], set[str]] = {}
        # Names of trials that were to be stopped.
        self._overdue: set[str] = set()
        for earlier in past:
            if earlier.outcome is not None and earlier.arm in self.by_arm:
                config = {"arm": earlier.arm, "number": earlier.number, "done": earlier.epochs}
                self.on_trial_add(None, _Earlier(earlier.trial_id, config))  # type: ignore[arg-type]

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Do nothing: metric and mode are fixed; of scores, larger is better."""
        return True

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Enter the trial into its arm, at the rungs too that it passed in an earlier run."""
        self._arm(trial).on_trial_add(tune_controller, trial)
        stops = False
        for epoch in trial.config.get("done", ()):
            stops = self._rank(tune_controller, trial, epoch)
        # The earlier run ended between the decision and the trial's end.
        if stops:
            self._overdue.add(trial.trial_id)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop a trial that is among the worse half of its arm; the default is ranked and goes on.

        A report of several epochs is ranked epoch by epoch, as if each had come alone. One that
        diverged ranks nobody.
        """
        # At the last epoch nothing is left to save, and the worker ends by itself.
        over = result[EPOCH] >= self._epochs
        spared = over or is_default(trial)
        for epoch in epochs_of(result):
            worse = self._rank(tune_controller, trial, epoch)
            if (worse or trial.trial_id in self._overdue) and not spared:
                return str(TrialScheduler.STOP)
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Record the last score in the arm's rungs."""
        epochs = epochs_of(result)
        if not epochs:
            return
        for epoch in epochs[:-1]:
            self._arm(trial).on_trial_result(tune_controller, trial, dict(epoch))
        self._arm(trial).on_trial_complete(tune_controller, trial, dict(epochs[-1]))

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Do nothing: an error ranks nobody."""

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Forget a trial that was removed before it ended."""
        self._arm(trial).on_trial_remove(tune_controller, trial)

    def debug_string(self) -> str:
        """Return a line for Ray's own output, which is off."""
        return f"ASHA in {len(self.by_arm)} arms"

    def _rank(self, tune_controller: Any, trial: Trial, epoch: Mapping[str, Any]) -> bool:
        """Enter an epoch; return whether the trial is in the worse half of a rung with peers."""
        action = self._arm(trial).on_trial_result(tune_controller, trial, dict(epoch))
        # Peers are those that were there before.
        reached = self._reached.setdefault((trial.config["arm"], epoch[EPOCH]), set())
        enough = len(reached) >= MIN_PEERS
        reached.add(trial.trial_id)
        return enough and bool(action == TrialScheduler.STOP)

    def _arm(self, trial: Trial) -> ASHAScheduler:
        return self.by_arm[trial.config["arm"]]


def is_default(trial: Trial) -> bool:
    """Return whether this is trial 0 of its arm, the default recipe."""
    return bool(trial.config["number"] == 0)


def _asha(arm: Arm, epochs: int, screening: Screening) -> ASHAScheduler:
    """Return Ray's ASHA with the rungs of an arm."""
    return ASHAScheduler(
        time_attr=EPOCH,
        metric=SCORE,
        mode="max",
        max_t=epochs,
        grace_period=screening.first_rung(arm, epochs),
        reduction_factor=screening.factor,
        stop_last_trials=False,
    )
