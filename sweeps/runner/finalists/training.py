"""Finalists on Ray: what is left of the runs that are wanted, in their order."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ray.tune.search import Searcher

from sweeps.records import folder
from sweeps.records.events import FinalistsChosen
from sweeps.records.history import Trial
from sweeps.records.results import Outcome, Results
from sweeps.runner.callbacks import EpochLog, FailureBudget, TrialCallback
from sweeps.runner.course import Ahead
from sweeps.runner.driver import Run
from sweeps.runner.finalists.candidates import Entry
from sweeps.runner.search import replay
from sweeps.runner.trials import Batch, Place, run_trials, trial_config
from trainables.finalist_config import FinalistConfig
from trainables.metrics import SCORE
from trainables.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Chosen:
    """Finalists that are to be trained, and what the journal is told of them.

    Attributes:
        entries: By name.
        recipes: By arm, the trials whose recipes take turns.
        turns: By arm, over how many seeds they take turns; the champion's further ones are its own.
        what: Which round it is, in words.
        ahead: Further finalists that may follow.
        coming: What comes next, in words, a line each.
    """

    entries: Mapping[str, Entry]
    recipes: Mapping[str, tuple[str, ...]]
    turns: Mapping[str, int]
    what: str = ""
    ahead: Ahead = field(default_factory=Ahead)
    coming: Sequence[str] = ()


def train(run: Run, chosen: Chosen, finals: Results) -> Outcome:
    """Train what is left of some finalists.

    Args:
        run: The sweep.
        chosen: The finalists.
        finals: Takes in their results; what an earlier run left is entered.

    Returns:
        `completed` where all have ended or no more is to start, `interrupted` or `failed`.

    Raises:
        DataError: A seed's draw of images cannot be had.
    """
    # What is new to these results, and what an earlier run has done of it.
    wanted = chosen.entries
    known = {record.trial_id for record in finals.records()}
    new = {name: entry for name, entry in wanted.items() if name not in known}
    finals.expect(Counter(entry.candidate.arm for entry in new.values()))
    past = _unchanged(run, new)
    replay(finals, tuple(past[name] for name in new if name in past))
    run.progress.retrains(chosen.what, finals, _ahead(run, chosen, finals), chosen.coming)

    # Those that began come first. Images are drawn for what is left alone.
    over = {record.trial_id for record in finals.ended()}
    order = sorted(new, key=lambda name: name not in past)
    left = {name: new[name] for name in order if name not in over}
    draws: Mapping[str, Mapping[str, str]] = {}
    if left and not run.over():
        with run.doing("Drawing new images for the seeds"):
            draws = run.draws.told(entry.seed for entry in left.values())
    run.tell(
        FinalistsChosen(
            trial_ids=list(wanted),
            recipes=chosen.recipes,
            turns=dict(chosen.turns),
            draws=draws,
            seeds=len(run.plan.finalist_seeds),
        )
    )
    if not left or run.over():
        return Outcome.COMPLETED

    # How many of a seed's recipes can share the activations of their training images.
    sharing = Counter(_views(entry.candidate.recipe) for entry in wanted.values())
    config = partial(_config, run, past, sharing)
    return _run(run, finals, left, config)


def _ahead(run: Run, chosen: Chosen, finals: Results) -> Ahead:
    """Return what may follow, without what an earlier run of the sweep has had of it."""
    known = {record.trial_id for record in finals.records()} | chosen.entries.keys()
    ended = {trial.trial_id for trial in run.earlier("finalist") if trial.outcome is not None}
    return chosen.ahead.without(len(ended - known))


def _unchanged(run: Run, wanted: Mapping[str, Entry]) -> dict[str, Trial]:
    """Return the finalists of an earlier run, except those whose recipe has changed since.

    That change of the study was accepted.
    """
    past = {trial.trial_id: trial for trial in run.earlier("finalist")}
    for name, entry in wanted.items():
        if name in past and past[name].recipe != entry.candidate.recipe.as_dict():
            del past[name]
            shutil.rmtree(folder.checkpoints(run.plan.folder, name), ignore_errors=True)
    return past


def _run(
    run: Run,
    finals: Results,
    left: Mapping[str, Entry],
    config: Callable[[str, Entry], dict[str, Any]],
) -> Outcome:
    """Run finalists on Ray."""
    budget = FailureBudget(finals, run.say)
    log: tuple[TrialCallback, ...] = ()
    if run.plan.study.log_epochs:
        log = (EpochLog(finals, run.say),)
    batch = Batch(
        searcher=_Queue(left, config, stop=run.over, skip=budget.spent),
        scheduler=None,
        results=finals,
        budget=budget,
        callbacks=log,
    )
    return run_trials(run, batch)


def _config(
    run: Run,
    past: Mapping[str, Trial],
    sharing: Mapping[tuple[Any, ...], int],
    name: str,
    entry: Entry,
) -> dict[str, Any]:
    """Return the config that a worker is sent."""
    plan = run.plan
    candidate = entry.candidate
    place = Place(trial_id=name, arm=candidate.arm, number=candidate.number)
    plain = trial_config(run, past, place, candidate.recipe, run.draws.data(entry.seed))
    # Views of training images are stored where another finalist of the same seed sees them too.
    views = sharing.get(_views(candidate.recipe), 0) > 1
    # The stored activations of a seed give way to those of the next, as the search's do to all.
    mark = f"{plan.name}@s{entry.seed}"
    finalist: FinalistConfig = {
        "group": candidate.finalist.group,
        "without": candidate.finalist.without,
        "predictions": str(folder.predictions(plan.folder, name)),
    }
    return {
        **plain,
        "finalist": finalist,
        "shared": {**plain["shared"], "views": views, "sweep": mark},
        "sample": {},
    }


def _views(recipe: Recipe) -> tuple[Any, ...]:
    """Return a key that is equal for runs that can share their activations.

    Those are of training images: frozen layers must see the same views in the same way.
    """
    key = (recipe.seed, recipe.backbone, recipe.weights, recipe.stem, recipe.augmentation)
    if recipe.mixup == 0 and recipe.batchnorm == "frozen":
        return key
    return (*key, recipe)


class _Queue(Searcher):
    """Hands out what is left, in order. It learns nothing."""

    def __init__(
        self,
        left: Mapping[str, Entry],
        config: Callable[[str, Entry], dict[str, Any]],
        *,
        stop: Callable[[], bool],
        skip: Callable[[str], bool],
    ) -> None:
        super().__init__(metric=SCORE, mode="max")
        self._left = iter(left.items())
        self._config = config
        self._stop = stop
        self._skip = skip

    def suggest(  # type: ignore[override]  # Ray's hint leaves FINISHED out
        self, trial_id: str
    ) -> dict[str, Any] | str:
        """Return the next finalist's config."""
        if not self._stop():
            for name, entry in self._left:
                if not self._skip(entry.candidate.arm):
                    return self._config(name, entry)
        return str(Searcher.FINISHED)

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn nothing."""

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: see `ArmSearcher`."""

    def restore(self, checkpoint_path: str) -> None:
        """Raise, since a sweep is never restored from Tune's snapshots."""
        raise AssertionError("a sweep is never restored from Tune's snapshots")
