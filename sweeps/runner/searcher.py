"""One searcher for all arms: an Optuna study each, and trials handed out in turn, so that every arm gets the same number."""

from __future__ import annotations

import itertools
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from ray.tune.search import Searcher

from search_spaces.space import Arm
from search_spaces.to_optuna import suggest
from sweeps.records.history import Trial
from sweeps.records.results import STARTUP_TRIALS, Outcome, epochs_of, outcome_of, trial_name
from trainables.metrics import EPOCH, SCORE
from trainables.randomness import named_seed
from trainables.recipe import Recipe

WORST_SCORE = 0.0


class ArmSearcher(Searcher):
    """Holds a study per arm; trial 0 of each is its default recipe.

    Written against `Searcher`, not as a subclass of Ray's `OptunaSearch`: of that class's methods none would stay, since it
    holds one study, reads `training_iteration`, tells stopped trials as complete and leaves NaN trials running for ever.

    Args:
        arms: What is compared.
        trials_per_arm: The same for every arm.
        seed: Of the sweep. The sampler is seeded for each suggestion from (seed, arm, number), not by call order.
        to_config: Makes a trial's config from (trial's name, arm, number, recipe).
        stop: Asked before each trial; once it says yes, no more are handed out.
        skip: Whether an arm gets no more trials.
        past: Trials of an earlier run: those that ended are told to the studies, the others are handed out first.
    """

    def __init__(
        self,
        arms: Sequence[Arm],
        trials_per_arm: int,
        seed: int,
        to_config: Callable[[str, Arm, int, Recipe], Mapping[str, Any]],
        stop: Callable[[], bool] = lambda: False,
        skip: Callable[[str], bool] = lambda arm: False,
        past: Sequence[Trial] = (),
    ) -> None:
        super().__init__(metric=SCORE, mode="max")
        self.studies = {arm.name: _study(arm) for arm in arms}
        known = {(trial.arm, trial.number) for trial in past}
        self._queue = (
            turn for turn in _in_turn(arms, trials_per_arm) if (turn[0].name, turn[1]) not in known
        )
        self._seed, self._to_config, self._stop, self._skip = seed, to_config, stop, skip
        self._running: dict[str, tuple[Arm, Recipe, optuna.Trial]] = {}
        self._epochs: dict[
            str, int
        ] = {}  # told to Optuna so far; a trial that is retried reports some of them again
        self._resumed: deque[tuple[Trial, Arm, optuna.Trial]] = deque()
        by_name = {arm.name: arm for arm in arms}
        for trial in past:
            if trial.arm in by_name:
                self._replay(trial, by_name[trial.arm])

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]  # Ray's hint leaves FINISHED out
        """The next trial's config; `FINISHED` when every arm has had its number, or time is up."""
        if self._stop():
            return str(Searcher.FINISHED)
        if self._resumed:
            earlier, arm, trial = self._resumed.popleft()
            number, sample = earlier.number, earlier.sample
            self._epochs[trial_id] = earlier.epochs[-1][EPOCH] if earlier.epochs else 0
        elif turn := next((turn for turn in self._queue if not self._skip(turn[0].name)), None):
            arm, number = turn
            study = self.studies[arm.name]
            study.sampler = _sampler(named_seed(self._seed, "sampler", arm.name, number))
            trial = study.ask()
            sample = suggest(arm, trial)
        else:
            return str(Searcher.FINISHED)
        recipe = arm.recipe(sample)
        self._running[trial_id] = (arm, recipe, trial)
        return dict(self._to_config(trial_name(arm.name, number), arm, number, recipe)) | {
            "sample": sample
        }

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Tell the study the scores on the way; their step is the epoch."""
        for epoch in epochs_of(result):
            self._report(trial_id, epoch[SCORE], epoch[EPOCH])

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the study how a trial ended.

        A stopped trial is PRUNED with its last value, a diverged one PRUNED at the worst value: TPE ignores FAIL and would go
        on proposing rates that diverge. FAIL is for infrastructure.
        """
        arm, recipe, trial = self._running[trial_id]
        study = self.studies[arm.name]
        if error or not result or SCORE not in result or outcome_of(result) is Outcome.FAILED:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            self._forget(trial_id)
            return
        for epoch in epochs_of(result):
            if epoch[EPOCH] < recipe.epochs:
                self._report(trial_id, epoch[SCORE], epoch[EPOCH])
        if outcome_of(result) is Outcome.DIVERGED:
            self._report(
                trial_id, WORST_SCORE, max(result[EPOCH], self._epochs.get(trial_id, 0) + 1)
            )
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif result[EPOCH] < recipe.epochs:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, result[SCORE])
        self._forget(trial_id)

    def _replay(self, earlier: Trial, arm: Arm) -> None:
        """Tell a study of a trial as it was told then."""
        study, name = self.studies[arm.name], earlier.trial_id
        study.sampler = optuna.samplers.RandomSampler(seed=0)  # all values are given
        if earlier.number > 0:  # the default waits in the study already
            # What was not tuned yet when the trial ran had its recipe's value.
            had = {dim: earlier.recipe[dim] for dim in arm.tuned if dim in earlier.recipe}
            study.enqueue_trial({**had, **earlier.sample})
        trial = study.ask()
        suggest(arm, trial)
        self._running[name] = (arm, arm.recipe(earlier.sample), trial)
        for epoch in earlier.epochs[: None if earlier.outcome is not Outcome.COMPLETED else -1]:
            self._report(name, epoch[SCORE], epoch[EPOCH])
        match earlier.outcome:
            case None:
                self._resumed.append((earlier, arm, trial))
                self._forget(name)
            case Outcome.FAILED:
                self.on_trial_complete(name, error=True)
            case Outcome.DIVERGED:
                last = earlier.epochs[-1][EPOCH] if earlier.epochs else 0
                self.on_trial_complete(
                    name, {EPOCH: last + 1, SCORE: WORST_SCORE, "outcome": Outcome.DIVERGED.value}
                )
            case _:
                self.on_trial_complete(name, earlier.epochs[-1])

    def _forget(self, trial_id: str) -> None:
        del self._running[trial_id]
        self._epochs.pop(trial_id, None)

    def _report(self, trial_id: str, score: float, epoch: int) -> None:
        if epoch > self._epochs.get(trial_id, 0):
            self._epochs[trial_id] = epoch
            self._running[trial_id][2].report(score, step=epoch)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher at the start; see `save`

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the sweep's own record is what survives, not Tune's snapshots."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called: see `save`."""
        raise AssertionError("a sweep is never restored from Tune's snapshots")


def _in_turn(arms: Sequence[Arm], trials_per_arm: int) -> Iterator[tuple[Arm, int]]:
    """Trial 0 of each arm, then trial 1 of each, and so on."""
    return ((arm, number) for number, arm in itertools.product(range(trials_per_arm), arms))


def _study(arm: Arm) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", study_name=arm.name)
    study.enqueue_trial(arm.default_sample())
    return study


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", optuna.exceptions.ExperimentalWarning
        )  # group=True, for conditional dimensions
        return optuna.samplers.TPESampler(
            n_startup_trials=STARTUP_TRIALS, multivariate=True, group=True, seed=seed % 2**32
        )
