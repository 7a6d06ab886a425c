"""One searcher for all arms: an Optuna study each, and trials in turn, as many for every arm."""

from __future__ import annotations

import itertools
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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

# What a trial that diverged is worth to TPE.
WORST_SCORE = 0.0


class ArmSearcher(Searcher):
    """Holds a study per arm; trial 0 of each is its default recipe.

    Written against `Searcher`, not as a subclass of Ray's `OptunaSearch`: of that class's methods
    none would stay, since it holds one study, reads `training_iteration`, tells stopped trials as
    complete and leaves NaN trials running forever.

    Args:
        arms: The arms to compare.
        trials_per_arm: The same for every arm.
        seed: Seed of the sweep. The sampler is seeded for each suggestion from (seed, arm, number),
            not by the order of calls.
        to_config: Makes a trial's config from (trial's name, arm, number, recipe).
        stop: Asked before each trial; once it returns True, no more are handed out.
        skip: Returns whether an arm gets no more trials.
        past: Trials of an earlier run: those that ended are told to the studies, the others are
            handed out first.
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
        self._seed = seed
        self._to_config = to_config
        self._stop = stop
        self._skip = skip
        known = {(trial.arm, trial.number) for trial in past}
        self._queue = _in_turn(arms, trials_per_arm, known)
        # By Ray's name of a trial.
        self._running: dict[str, tuple[Arm, Recipe, optuna.Trial]] = {}
        # Epochs told to Optuna so far: a trial that is restarted reports some of them again.
        self._epochs: dict[str, int] = {}
        self._resumed: deque[tuple[Trial, Arm, optuna.Trial]] = deque()

        # What an earlier run knew, the studies know too.
        by_name = {arm.name: arm for arm in arms}
        for trial in past:
            if trial.arm in by_name:
                self._replay(trial, by_name[trial.arm])

    def suggest(  # type: ignore[override]  # Ray's hint leaves FINISHED out
        self, trial_id: str
    ) -> dict[str, Any] | str:
        """Return the next trial's config, or `FINISHED` where none is left or time is up."""
        if self._stop():
            return str(Searcher.FINISHED)
        if self._resumed:
            earlier, arm, trial = self._resumed.popleft()
            self._epochs[trial_id] = earlier.epoch
            return self._started(trial_id, arm, earlier.number, earlier.sample, trial)
        for arm, number in self._queue:
            if self._skip(arm.name):
                continue
            study = self.studies[arm.name]
            study.sampler = _sampler(named_seed(self._seed, "sampler", arm.name, number))
            trial = study.ask()
            return self._started(trial_id, arm, number, suggest(arm, trial), trial)
        return str(Searcher.FINISHED)

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Tell the study the scores on the way; their step is the epoch."""
        for epoch in epochs_of(result):
            self._report(trial_id, epoch[SCORE], epoch[EPOCH])

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the study how a trial ended.

        A stopped trial is PRUNED with its last value, a diverged one PRUNED at the worst value: TPE
        ignores FAIL and would keep proposing rates that diverge. FAIL is for infrastructure.
        """
        arm, recipe, trial = self._running[trial_id]
        study = self.studies[arm.name]
        if error or not result or SCORE not in result or outcome_of(result) is Outcome.FAILED:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            self._forget(trial_id)
            return

        # The value of a complete trial is told with its state, below.
        for epoch in epochs_of(result):
            if epoch[EPOCH] < recipe.epochs:
                self._report(trial_id, epoch[SCORE], epoch[EPOCH])
        if outcome_of(result) is Outcome.DIVERGED:
            # After a restart it may have diverged where it had reported before.
            epoch = max(result[EPOCH], self._epochs.get(trial_id, 0) + 1)
            self._report(trial_id, WORST_SCORE, epoch)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif result[EPOCH] < recipe.epochs:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, result[SCORE])
        self._forget(trial_id)

    def _started(
        self,
        trial_id: str,
        arm: Arm,
        number: int,
        sample: Mapping[str, Any],
        trial: optuna.Trial,
    ) -> dict[str, Any]:
        """Enter a trial that is handed out, and return its config."""
        recipe = arm.recipe(sample)
        self._running[trial_id] = (arm, recipe, trial)
        config = self._to_config(trial_name(arm.name, number), arm, number, recipe)
        return {**config, "sample": sample}

    def _replay(self, earlier: Trial, arm: Arm) -> None:
        """Tell a study of a trial as it was told then."""
        study = self.studies[arm.name]
        name = earlier.trial_id

        # All values are given: the sampler has nothing to draw.
        study.sampler = optuna.samplers.RandomSampler(seed=0)
        # The default waits in the study already.
        if earlier.number > 0:
            # What was not tuned yet when the trial ran had its recipe's value.
            had = {dim: earlier.recipe[dim] for dim in arm.tuned if dim in earlier.recipe}
            study.enqueue_trial({**had, **earlier.sample})
        trial = study.ask()
        suggest(arm, trial)
        self._running[name] = (arm, arm.recipe(earlier.sample), trial)

        # The last epoch of a completed trial comes with its end.
        epochs = earlier.epochs
        if earlier.outcome is Outcome.COMPLETED:
            epochs = epochs[:-1]
        for epoch in epochs:
            self._report(name, epoch[SCORE], epoch[EPOCH])
        match earlier.outcome:
            case None:
                self._resumed.append((earlier, arm, trial))
                self._forget(name)
            case Outcome.FAILED:
                self.on_trial_complete(name, error=True)
            case Outcome.DIVERGED:
                last = {EPOCH: earlier.epoch + 1, SCORE: WORST_SCORE, "outcome": "diverged"}
                self.on_trial_complete(name, last)
            case _:
                self.on_trial_complete(name, earlier.epochs[-1])

    def _forget(self, trial_id: str) -> None:
        del self._running[trial_id]
        self._epochs.pop(trial_id, None)

    def _report(self, trial_id: str, score: float, epoch: int) -> None:
        """Tell Optuna the score of an epoch, once."""
        if epoch > self._epochs.get(trial_id, 0):
            self._epochs[trial_id] = epoch
            self._running[trial_id][2].report(score, step=epoch)

    # Tune pickles its searcher at the start; see `save`.
    def __getstate__(self) -> dict[str, Any]:
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the sweep's own record is what survives, not Tune's snapshots."""

    def restore(self, checkpoint_path: str) -> None:
        """Raise, since nothing is saved: see `save`."""
        raise AssertionError("a sweep is never restored from Tune's snapshots")


def _in_turn(
    arms: Sequence[Arm], trials_per_arm: int, known: Collection[tuple[str, int]]
) -> Iterator[tuple[Arm, int]]:
    """Yield trial 0 of each arm, then trial 1 of each, and so on, without those that are known."""
    for number, arm in itertools.product(range(trials_per_arm), arms):
        if (arm.name, number) not in known:
            yield arm, number


def _study(arm: Arm) -> optuna.Study:
    """Return the study of an arm, in which its default recipe waits as trial 0."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", study_name=arm.name)
    study.enqueue_trial(arm.default_sample())
    return study


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of one suggestion: TPE over all dimensions at once."""
    with warnings.catch_warnings():
        # `group`, for dimensions that depend on others, counts as experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            n_startup_trials=STARTUP_TRIALS, multivariate=True, group=True, seed=seed % 2**32
        )
