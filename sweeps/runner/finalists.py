"""The finalists: the best and the default recipe of each arm, retrained with new seeds.

Only they are scored on the test split.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ray.tune.search import Searcher

from search_spaces.space import Arm
from sweeps.records import folder
from sweeps.records.events import FinalistsChosen
from sweeps.records.history import Trial
from sweeps.records.results import (
    Finalist,
    Outcome,
    Results,
    TrialRecord,
    best,
    default,
    rank,
    trial_name,
)
from sweeps.records.results import champion as best_retrained
from sweeps.runner.callbacks import EpochLog, FailureBudget, TrialCallback
from sweeps.runner.driver import Run
from sweeps.runner.progress import Progress
from sweeps.runner.search import replay
from sweeps.runner.trials import Batch, Place, run_trials, trial_config
from trainables.finalist_config import FinalistConfig
from trainables.metrics import SCORE
from trainables.recipe import NEUTRAL, Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A recipe that is to be retrained with several seeds.

    Attributes:
        finalist: The trial that had it, `resnet34/tricks/007`; of an ablation, what was taken away.
        arm: Its arm's name.
        number: The number of that trial.
        recipe: Its seed is the search's until `_seeds_of` sets another.
    """

    finalist: Finalist
    arm: str
    number: int
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Champion:
    """The recipe to ship, by its completed seeds, the one with the best score first."""

    seeds: tuple[TrialRecord, ...]

    @property
    def arm(self) -> str:
        """Its arm's name."""
        return self.seeds[0].arm

    @property
    def number(self) -> int:
        """Number of the trial that had the recipe."""
        return self.seeds[0].number

    @property
    def scores(self) -> tuple[float, ...]:
        """The score of each seed on val."""
        return tuple(record.score or 0.0 for record in self.seeds)


def finalists(run: Run, searched: Results) -> tuple[Outcome, Results]:
    """Train the finalists that are left, and for `--ablate` the champion without each trick.

    Args:
        run: The sweep.
        searched: Results of the search.

    Returns:
        `completed` where all have ended, `interrupted` or `failed`; and the results of all
        finalists.
    """
    finals = Results(dict.fromkeys(searched.arms, 0), searched.score)
    ended = _train(run, chosen(run.plan.arms, searched), finals)
    top = champion(finals)
    if ended is Outcome.COMPLETED and run.plan.options.ablate and top:
        candidates = ablations(top.seeds[0])
        if not candidates:
            name = trial_name(top.arm, top.number)
            run.say(f"--ablate: {name} has no trick that could be taken away.")
        ended = _train(run, candidates, finals)
    return ended, finals


def chosen(arms: Sequence[Arm], searched: Results) -> tuple[Candidate, ...]:
    """Return the best and the default recipe of each arm, once where they are the same.

    Of an arm with nothing tuned it is the only one.
    """
    candidates: dict[str, Candidate] = {}
    for arm in arms:
        # There was no search: the recipe is known.
        if not arm.tuned:
            name = trial_name(arm.name, 0)
            candidates[name] = Candidate(
                finalist=Finalist(name), arm=arm.name, number=0, recipe=arm.default_recipe()
            )
            continue
        records = searched.records(arm.name)
        for record in filter(None, (best(records), default(records))):
            candidates[record.trial_id] = Candidate(
                finalist=Finalist(record.trial_id),
                arm=record.arm,
                number=record.number,
                recipe=record.recipe,
            )
    return tuple(candidates.values())


def ablations(top: TrialRecord) -> tuple[Candidate, ...]:
    """Return the champion's recipe without each of its tricks in turn."""
    values = top.recipe.as_dict()
    group = trial_name(top.arm, top.number)
    candidates = []
    for name, neutral in NEUTRAL.items():
        if values[name] == neutral:
            continue
        candidates.append(
            Candidate(
                finalist=Finalist(f"{group}/without-{name}", name),
                arm=top.arm,
                number=top.number,
                recipe=Recipe.from_sample({**values, name: neutral}),
            )
        )
    return tuple(candidates)


def champion(finals: Results) -> Champion | None:
    """Return the champion among the finalists that completed; it is never an ablation."""
    by_group: dict[str, list[TrialRecord]] = {}
    for record in finals.ended():
        shippable = record.finalist is not None and record.finalist.without is None
        if shippable and record.finalist and record.outcome is Outcome.COMPLETED:
            by_group.setdefault(record.finalist.group, []).append(record)
    candidates = [Champion(tuple(sorted(seeds, key=rank))) for seeds in by_group.values()]
    return best_retrained(candidates, finals.arms)


def _train(run: Run, candidates: Sequence[Candidate], finals: Results) -> Outcome:
    """Train what is left of the candidates' seeds."""
    # What is wanted, and what an earlier run has done of it.
    wanted = _seeds_of(candidates, run.plan.finalist_seeds)
    finals.expect(Counter(candidate.arm for candidate in wanted.values()))
    past = _unchanged(run, wanted)
    replay(finals, tuple(past[name] for name in wanted if name in past))
    run.tell(FinalistsChosen(trial_ids=list(wanted)))

    # Those that began come first.
    over = {record.trial_id for record in finals.ended()}
    names = sorted(wanted, key=lambda name: name not in past)
    left = {name: wanted[name] for name in names if name not in over}
    if not left or run.over():
        return Outcome.COMPLETED

    # How many recipes can share the activations of their training images.
    sharing = Counter(_views(candidate.recipe) for candidate in candidates)
    config = partial(_config, run, past, sharing)
    return _run(run, finals, left, config)


def _seeds_of(candidates: Sequence[Candidate], seeds: Sequence[int]) -> dict[str, Candidate]:
    """Return the finalists to train by name: a seed of each candidate in turn."""
    wanted = {}
    for index, seed in enumerate(seeds):
        for candidate in candidates:
            recipe = replace(candidate.recipe, seed=seed)
            wanted[f"{candidate.finalist.group}/s{index}"] = replace(candidate, recipe=recipe)
    return wanted


def _unchanged(run: Run, wanted: Mapping[str, Candidate]) -> dict[str, Trial]:
    """Return the finalists of an earlier run, except those whose recipe has changed since.

    That change of the study was accepted.
    """
    past = {trial.trial_id: trial for trial in run.earlier("finalist")}
    for name, candidate in wanted.items():
        if name in past and past[name].recipe != candidate.recipe.as_dict():
            del past[name]
            shutil.rmtree(folder.checkpoints(run.plan.folder, name), ignore_errors=True)
    return past


def _run(
    run: Run,
    finals: Results,
    left: Mapping[str, Candidate],
    config: Callable[[str, Candidate], dict[str, Any]],
) -> Outcome:
    """Run finalists on Ray, and show their progress."""
    name = run.plan.name
    problem = run.tracker.problem
    with Progress(finals, run.capacity, name, run.console, problem, what="finalists") as progress:
        budget = FailureBudget(finals, progress.say)
        log: tuple[TrialCallback, ...] = ()
        if run.plan.study.log_epochs:
            log = (EpochLog(finals, progress.say),)
        batch = Batch(
            searcher=_Queue(left, config, stop=run.over, skip=budget.spent),
            scheduler=None,
            results=finals,
            budget=budget,
            callbacks=log,
        )
        return run_trials(run, batch, progress)


def _config(
    run: Run,
    past: Mapping[str, Trial],
    sharing: Mapping[tuple[Any, ...], int],
    name: str,
    candidate: Candidate,
) -> dict[str, Any]:
    """Return the config that a worker is sent."""
    plan = run.plan
    place = Place(trial_id=name, arm=candidate.arm, number=candidate.number)
    plain = trial_config(run, past, place, candidate.recipe)
    # Views of training images are stored where another finalist of the same seed sees them too.
    views = sharing.get(_views(candidate.recipe), 0) > 1
    # The stored activations of a seed give way to those of the next, as the search's do to all.
    mark = f"{plan.name}@{name.rpartition('/')[2]}"
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
    """Return a key that is equal for recipes that, with one seed, can share their activations.

    Those are of training images: frozen layers must see the same views in the same way.
    """
    key = (recipe.backbone, recipe.weights, recipe.stem, recipe.augmentation)
    if recipe.mixup == 0 and recipe.batchnorm == "frozen":
        return key
    return (*key, recipe)


class _Queue(Searcher):
    """Hands out what is left, in order. It learns nothing."""

    def __init__(
        self,
        left: Mapping[str, Candidate],
        config: Callable[[str, Candidate], dict[str, Any]],
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
            for name, candidate in self._left:
                if not self._skip(candidate.arm):
                    return self._config(name, candidate)
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
