"""The finalists: the best and the default recipe of each arm, trained again over new seeds. Only they meet the test split."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

from ray.tune.search import Searcher

from search_spaces.space import Arm
from sweeps.runner import winner
from sweeps.runner.progress import Progress
from sweeps.runner.results import Outcome, Results, TrialRecord, best, default, rank, trial_name
from sweeps.runner.resume import PastTrial
from sweeps.runner.score import NAMES
from sweeps.runner.search import replay
from sweeps.runner.trials import Run, run_trials, trial_config
from trainables import metrics as names
from trainables.finalist import Finalist
from trainables.recipe import NEUTRAL, Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A recipe that is trained again over several seeds.

    Attributes:
        name: Of the trial that had it, `resnet34/tricks/007`; of an ablation with `/without-<field>` behind it.
        arm: Its arm's name.
        number: Of that trial.
        recipe: Its seed is the search's until `_seeds_of` sets another.
        without: Of an ablation: the field that has its neutral value.
    """

    name: str
    arm: str
    number: int
    recipe: Recipe
    without: str = ""


def finalists(run: Run, searched: Results) -> tuple[Outcome, Results]:
    """Train the finalists that are left, and with `--ablate` the champion without each of its tricks.

    Args:
        run: The sweep.
        searched: What came of the search.

    Returns:
        `completed` where all have ended, `interrupted` or `failed`; and what came of all finalists.
    """
    finals = Results(dict.fromkeys(searched.arms, 0), searched.score)
    ended = _train(run, chosen(run.plan.arms, searched), finals)
    if ended is Outcome.COMPLETED and run.plan.options.ablate and (top := champion(finals)):
        groups = ablations(top[0])
        if not groups:
            run.console.print(
                f"--ablate: {top[0].group} has no trick that could be taken away.",
                markup=False,
                highlight=False,
            )
        ended = _train(run, groups, finals)
    return ended, finals


def chosen(arms: Sequence[Arm], searched: Results) -> tuple[Group, ...]:
    """The best and the default recipe of each arm, once where they are the same; of an arm with nothing tuned its only one."""
    found: dict[str, Group] = {}
    for arm in arms:
        if not arm.tuned:
            name = trial_name(arm.name, 0)
            found[name] = Group(name=name, arm=arm.name, number=0, recipe=arm.default_recipe())
            continue
        records = searched.records(arm.name)
        for record in (best(records), default(records)):
            if record:
                name = record.trial_id
                found[name] = Group(
                    name=name, arm=record.arm, number=record.number, recipe=record.recipe
                )
    return tuple(found.values())


def ablations(top: TrialRecord) -> tuple[Group, ...]:
    """The champion's recipe without each of its tricks in turn."""
    values, found = top.recipe.as_dict(), []
    for name, neutral in NEUTRAL.items():
        if values[name] != neutral:
            recipe = Recipe.from_sample({**values, name: neutral})
            group = f"{top.group}/without-{name}"
            found.append(
                Group(name=group, arm=top.arm, number=top.number, recipe=recipe, without=name)
            )
    return tuple(found)


def champion(finals: Results) -> list[TrialRecord]:
    """The seeds of the champion, the one with the best score first: of the groups with most seeds the best mean on val.

    Where means are equal, the arm and the trial that come first.
    """
    by_group: dict[str, list[TrialRecord]] = {}
    for record in finals.ended():
        if record.outcome is Outcome.COMPLETED and not record.without:
            by_group.setdefault(record.group, []).append(record)
    if not by_group:
        return []
    arms = finals.arms
    top = min(
        by_group.values(),
        key=lambda rs: (-len(rs), -mean_score(rs), arms.index(rs[0].arm), rs[0].number),
    )
    return sorted(top, key=rank)


def mean_score(records: Sequence[TrialRecord]) -> float:
    """Mean score of a group's seeds."""
    return fmean(record.score or 0.0 for record in records)


def _train(run: Run, groups: Sequence[Group], finals: Results) -> Outcome:
    wanted = _seeds_of(groups, run.plan.finalist_seeds)
    finals.expect(Counter(group.arm for group in wanted.values()))
    past = _unchanged(run, wanted)
    replay(finals, tuple(past[name] for name in wanted if name in past))
    run.tracker.finalists_chosen(list(wanted))
    over = {record.trial_id for record in finals.ended()}
    left = [name for name in wanted if name not in over]
    left.sort(key=lambda name: name not in past)  # those that began come first
    if not left or run.over():
        return Outcome.COMPLETED
    sharing = Counter(_views(group.recipe) for group in groups)
    configs = partial(_config, run, past, sharing)
    return _run(run, finals, {name: wanted[name] for name in left}, configs)


def _seeds_of(groups: Sequence[Group], seeds: Sequence[int]) -> dict[str, Group]:
    """By name what is to be trained: a seed of each group in turn."""
    return {
        f"{group.name}/s{index}": replace(group, recipe=replace(group.recipe, seed=seed))
        for index, seed in enumerate(seeds)
        for group in groups
    }


def _unchanged(run: Run, wanted: Mapping[str, Group]) -> dict[str, PastTrial]:
    """What an earlier run left of finalists, but for those whose recipe is another now: the study's change was accepted."""
    past = {trial.trial_id: trial for trial in run.earlier("finalist")}
    for name, group in wanted.items():
        if name in past and past[name].recipe != group.recipe.as_dict():
            del past[name]
            shutil.rmtree(winner.checkpoint_folder(run.plan, name), ignore_errors=True)
    return past


def _run(
    run: Run,
    finals: Results,
    left: Mapping[str, Group],
    config: Callable[[str, Group], dict[str, Any]],
) -> Outcome:
    hopeless: set[str] = set()
    with Progress(
        finals, run.room, run.plan.name, run.console, run.tracker.problem, what="finalists"
    ) as progress:
        return run_trials(
            run,
            finals,
            progress,
            _Queue(left, config, stop=run.over, skip=hopeless.__contains__),
            None,
            hopeless=hopeless,
            peers=lambda record: [
                other for other in finals.ended(record.arm) if other.group == record.group
            ],
            log=partial(_log, progress, finals.score)
            if run.plan.study.log_epochs
            else lambda record, epoch: None,
        )


def _config(
    run: Run,
    past: Mapping[str, PastTrial],
    sharing: Mapping[tuple[Any, ...], int],
    name: str,
    group: Group,
) -> dict[str, Any]:
    """What a worker is sent. The stored activations of a seed give way to those of the next, as the search's do to all."""
    plan, plain = run.plan, trial_config(run, past, name, group.arm, group.number, group.recipe)
    views, mark = sharing.get(_views(group.recipe), 0) > 1, f"{plan.name}@{name.rpartition('/')[2]}"
    finalist: Finalist = {
        "group": group.name,
        "without": group.without or None,
        "predictions": str(plan.folder / "predictions" / f"{name.replace('/', '-')}.npz"),
    }
    return {
        **plain,
        "finalist": finalist,
        "shared": {**plain["shared"], "views": views, "sweep": mark},
        "sample": {},
    }


def _views(recipe: Recipe) -> tuple[Any, ...]:
    """What two recipes of the same seed must have in common to see the same activations of training images."""
    alone = recipe if recipe.mixup > 0 or recipe.batchnorm != "frozen" else None
    return recipe.backbone, recipe.weights, recipe.stem, recipe.augmentation, alone


def _log(
    progress: Progress, score: names.Score, record: TrialRecord, epoch: Mapping[str, Any]
) -> None:
    progress.say(
        f"{record.trial_id}  Epoch {epoch[names.EPOCH]:>{len(str(record.recipe.epochs))}}/{record.recipe.epochs}  "
        f"train loss {epoch[names.TRAIN_LOSS]:.4f} accuracy {epoch[names.TRAIN_ACCURACY]:.4f}  "
        f"val loss {epoch[names.VAL_LOSS]:.4f} {NAMES[score]} {epoch[names.VAL_SCORES[score]]:.4f}"
    )


class _Queue(Searcher):
    """Hands out what is left, in order. It learns nothing."""

    def __init__(
        self,
        left: Mapping[str, Group],
        config: Callable[[str, Group], dict[str, Any]],
        *,
        stop: Callable[[], bool],
        skip: Callable[[str], bool],
    ) -> None:
        super().__init__(metric=names.SCORE, mode="max")
        self._left, self._config, self._stop, self._skip = iter(left.items()), config, stop, skip

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]  # Ray's hint leaves FINISHED out
        """The next finalist's config."""
        if not self._stop():
            for name, group in self._left:
                if not self._skip(group.arm):
                    return self._config(name, group)
        return str(Searcher.FINISHED)

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing to learn."""

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: see `ArmSearcher`."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called."""
        raise AssertionError("a sweep is never restored from Tune's snapshots")
