"""What a sweep comes to: finalists, the champion, intervals, and differences between arms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd

from sweeps.records.champion import Choice
from sweeps.records.design import MIN_SEEDS, Design, turn_of
from sweeps.records.folder import kept_champion
from sweeps.records.manifest import bounds_of
from sweeps.records.results import Outcome, best, finalist_name
from sweeps.report import effects
from sweeps.report.finalists import (
    Group,
    Metric,
    champion_of,
    groups_of,
    mean,
    paired,
)
from sweeps.report.runs import Run, number, whole_numbers
from sweeps.report.suspects import Suspected, suspected
from sweeps.report.turns import in_turn
from sweeps.report.variance import Interval, crossed, over_seeds
from sweeps.report.verdicts import Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """All that the page says something about.

    Attributes:
        run: The sweep.
        design: How its arms are compared.
        groups: Recipes that were retrained, ablations and those of earlier bests too.
        choice: The champion, and what it was chosen from; None while no finalist completed.
        arms: By arm, its best recipes in turn: what the arm is, and not one recipe's luck.
        default: By arm, its default recipe, retrained.
        ablations: The champion's.
        reached: Seeds of which all runs that compare arms are over.
        planned: The planned contrasts of scores on test, as `effects.planned` has them.
        pairs: Each pair of arms by its scores on test, as `effects.pairs` has them; a is the arm
            that did better.
        untested: Names of planned contrasts that cannot be had, since an arm of them has no
            finalist.
        absent: By planned contrast that has arms which were not run, those arms.
        suspected: Images of val and test whose labels are likely wrong.
        problems: A line for each thing that could not be read.
    """

    run: Run
    design: Design
    groups: tuple[Group, ...]
    choice: Choice[Group] | None
    arms: Mapping[str, Group]
    default: Mapping[str, Group]
    ablations: tuple[Group, ...]
    reached: int
    planned: pd.DataFrame
    pairs: pd.DataFrame
    untested: tuple[str, ...]
    absent: Mapping[str, Sequence[str]]
    suspected: Suspected
    problems: tuple[str, ...]

    @property
    def champion(self) -> Group | None:
        """Return the recipe to ship; None while no finalist completed."""
        return self.choice.champion if self.choice else None

    @property
    def seeds(self) -> int:
        """Return how many seeds with predictions all arms have in common."""
        seeds = [{seed.index for seed in group.predicted} for group in self.arms.values()]
        return len(set.intersection(*seeds)) if seeds else 0

    @property
    def scope(self) -> str:
        """Return what intervals of the score are for.

        Macro F1 is no mean over images, so that its intervals can say nothing of other images.
        """
        if self.run.score == "macro_f1":
            return "new seeds on these images"
        return "new seeds and new images"

    @property
    def scope_of_arms(self) -> str:
        """Return what intervals of an arm's score are for."""
        if self.design.recipes > 1:
            return f"other recipes of such a search, {self.scope}"
        return self.scope

    @property
    def tested(self) -> bool:
        """Return whether there are seeds enough for intervals and tests."""
        return self.seeds >= MIN_SEEDS


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between two means, with the ends of its 95% interval: NaN where it has none."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparisons:
    """What the finalists say of arms, in the words of `Findings`."""

    design: Design
    groups: tuple[Group, ...]
    arms: Mapping[str, Group]
    reached: int
    planned: pd.DataFrame
    pairs: pd.DataFrame
    untested: tuple[str, ...]


def find(run: Run) -> Findings:
    """Work out a sweep's findings. What is missing is left out."""
    # Whatever cannot be read becomes a problem.
    problems = list(run.problems)
    found = compare(run, problems)
    choice = _shipped(run, champion_of(found.groups, run.arms, bounds_of(run.described)))
    doubted = suspected(run, found.groups, problems)
    default = {}
    for group in found.groups:
        if "default" in group.kinds and group.seeds:
            default[group.arm] = group
    return Findings(
        run=run,
        design=found.design,
        groups=found.groups,
        choice=choice,
        arms=found.arms,
        default=default,
        ablations=_ablations(found.groups, choice.champion if choice else None),
        reached=found.reached,
        planned=found.planned,
        pairs=found.pairs,
        untested=found.untested,
        absent=_absent(run),
        suspected=doubted,
        problems=tuple(problems),
    )


def _shipped(run: Run, choice: Choice[Group] | None) -> Choice[Group] | None:
    """Return the choice with the champion that a finished sweep has shipped, if it is there."""
    kept = kept_champion(run.folder)
    if choice is None or kept is None or run.state != "finished":
        return choice
    name = kept.trial.rpartition("/")[0]
    for group in choice.able:
        if group.name == name:
            return replace(choice, champion=group)
    return choice


def compare(run: Run, problems: list[str], until: int | None = None) -> Comparisons:
    """Compare a sweep's arms by their recipes on test.

    Args:
        run: The sweep.
        problems: Gets a line for each thing that cannot be read.
        until: Verdicts are those after so many seeds, of which nobody waits for more runs; None is
            after all that are over.
    """
    groups = [group for group in groups_of(run, problems) if group.seeds or group.failed]
    names = {arm: in_turn(run, arm) for arm in run.compared}
    design = _design(run, groups, names)
    arms = {}
    for arm in names:
        group = _arm(run, arm, groups, design)
        if group is not None and group.seeds:
            arms[arm] = group

    # On test, by arm and seed; the better arm first in pairs.
    values = {arm: group.images(run.score) for arm, group in arms.items() if group.predicted}
    best_first = sorted(values, key=lambda arm: -mean(arms[arm].test(run.score)))

    # A contrast that lacks an arm is not tested; one whose arms were not run is `absent`.
    able: list[dict[str, Any]] = []
    untested: list[str] = []
    for contrast in _sound(run.described.get("contrasts")):
        if _covered(contrast, run.compared, values):
            able.append(contrast)
        elif _covered(contrast, run.compared, run.compared):
            untested.append(contrast["name"])
    reached = _reached(run, names, design)
    if until is not None:
        reached = min(until, design.seeds)
    return Comparisons(
        design=design,
        groups=tuple(groups),
        arms=arms,
        reached=reached,
        planned=effects.planned(able, values, design, reached),
        pairs=effects.pairs({arm: values[arm] for arm in best_first}, design),
        untested=tuple(untested),
    )


def _arm(run: Run, arm: str, groups: Sequence[Group], design: Design) -> Group | None:
    """Return an arm as its recipes in turn show it; None where none of them has completed."""
    own = {group.name: group for group in groups if group.arm == arm and "top" in group.kinds}
    if not own:
        return None
    # Of each seed the recipe whose turn it was; the champion's other seeds are its own.
    names = in_turn(run, arm)
    most = run.history.turns.get(arm, design.seeds)
    seeds = []
    for group in own.values():
        for seed in group.seeds:
            its_turn = names[design.turn(seed.index, len(names))] == group.name
            if its_turn and seed.index < most:
                seeds.append(seed)
    seeds.sort(key=lambda seed: seed.index)

    # Its recipe is the best of its search.
    top = best(trial for trial in run.history.of("trial") if trial.trial_id in own)
    shown = own[top.trial_id] if top else next(iter(own.values()))
    return replace(
        shown,
        name=arm,
        kinds=frozenset({"arm"}),
        seeds=tuple(seeds),
        turn=design.recipes,
        luck=design.luck,
    )


def undecided(found: Comparisons | Findings, contrasts: Any) -> set[str]:
    """Return the arms of planned contrasts that are open: only more seeds can decide those."""
    planned = found.planned
    names = set(planned.loc[planned["verdict"] == Kind.OPEN.value, "name"])
    arms: set[str] = set()
    for contrast in _sound(contrasts):
        if contrast["name"] not in names:
            continue
        for pattern, weight in contrast["weights"].items():
            if weight:
                arms |= {arm for arm in found.arms if fnmatchcase(arm, pattern)}
    return arms


def _design(run: Run, groups: Sequence[Group], names: Mapping[str, Sequence[str]]) -> Design:
    """Return how the sweep compares; old descriptions name neither seeds nor what matters."""
    planned = len(whole_numbers(run.described.get("finalist_seeds")))
    trained = max((seed.index + 1 for group in groups for seed in group.seeds), default=0)
    seeds = max(planned, trained, 1)
    recipes = max((len(of_arm) for of_arm in names.values()), default=1)
    worth = number(run.described.get("worth"))
    if not worth > 0:
        worth = 1.0
    tried: Counter[str] = Counter()
    for trial in run.history.of("trial"):
        if trial.outcome not in (None, Outcome.FAILED):
            tried[trial.arm] += 1
    return Design(
        recipes=max(1, min(recipes, seeds)),
        seeds=seeds,
        worth=worth / 100,
        searched=max(tried.values(), default=0),
        once=not run.history.recipes,
        ends=tuple(sorted(run.history.ends)),
    )


def _reached(run: Run, names: Mapping[str, Sequence[str]], design: Design) -> int:
    """Return how many seeds are over in all arms that had them."""
    over = run.history.done()
    begun = (run.history.wanted - run.history.passed) | set(run.history.trials)
    left = []
    last = -1
    for arm, of_arm in names.items():
        if not of_arm:
            continue
        for seed in range(run.history.turns.get(arm, design.seeds)):
            name = finalist_name(of_arm[design.turn(seed, len(of_arm))], seed)
            if name in over:
                last = max(last, seed)
            elif name in begun:
                left.append(seed)
    return min([*left, last + 1])


def interval(group: Group, metric: Metric) -> Interval | None:
    """Return mean and interval on the test split: for new seeds and new images.

    Of an arm also for other recipes. Where predictions are gone, for new seeds alone; None where
    nothing was tested. No score is below 0 and no share above 1, so neither are the ends.
    """
    images = group.images(metric)
    known = group.test(metric)
    if images and len(images) == len(group.seeds):
        turns = [turn_of(seed, group.turn) for seed in images]
        whole = crossed(np.stack(list(images.values())), recipes=turns, luck=group.luck)
    elif known:
        whole = over_seeds(known)
    else:
        return None
    if whole.low is None or whole.high is None:
        return whole
    highest = math.inf if metric == "loss" else 1.0
    return replace(whole, low=max(whole.low, 0.0), high=min(whole.high, highest))


def difference(a: Group, b: Group, metric: Metric) -> Difference | None:
    """Return the metric of a on test minus that of b over their common seeds, paired by image.

    None where they have no seeds with predictions in common.
    """
    # Without a common seed there are no rows to pair.
    values = paired({"a": a, "b": b}, metric)
    if len(values) < 2:
        return None
    seeds = list(values["a"])
    apart = np.stack([values["a"][seed] - values["b"][seed] for seed in seeds])
    turns = [turn_of(seed, max(a.turn, b.turn)) for seed in seeds]
    whole = crossed(apart, recipes=turns, luck=max(a.luck, b.luck))
    if whole.low is None or whole.high is None:
        return Difference(whole.mean)
    return Difference(whole.mean, whole.low, whole.high)


def gap(a: Group, b: Group, metric: Metric) -> Difference:
    """Return `difference`, or where predictions are gone that of the means, without interval."""
    paired_difference = difference(a, b, metric)
    if paired_difference is not None:
        return paired_difference
    return Difference(mean(a.test(metric)) - mean(b.test(metric)))


def _ablations(groups: Sequence[Group], champion: Group | None) -> tuple[Group, ...]:
    if champion is None:
        return ()
    return tuple(g for g in groups if g.without and g.seeds and g.name == champion.name)


def _sound(contrasts: Any) -> list[dict[str, Any]]:
    """Return contrasts that hold what one must."""
    sound: list[dict[str, Any]] = []
    if not isinstance(contrasts, list):
        return sound
    for contrast in contrasts:
        match contrast:
            case {"name": str() as name, "weights": dict() as weights} if _finite(weights):
                sound.append({"name": name, "weights": weights})
    return sound


def _absent(run: Run) -> dict[str, list[str]]:
    """Return, by planned contrast, the arms that were not run; `resnet50` is all of that name."""
    heads = {arm.partition("/")[0] for arm in run.compared}
    absent: dict[str, list[str]] = {}
    for contrast in _sound(run.described.get("contrasts")):
        for pattern in contrast["weights"]:
            if not heads or any(fnmatchcase(arm, pattern) for arm in run.compared):
                continue
            head = pattern.partition("/")[0]
            known = any(fnmatchcase(name, head) for name in heads)
            absent.setdefault(contrast["name"], []).append(pattern if known else head)
    return absent


def _finite(weights: Mapping[str, Any]) -> bool:
    return all(math.isfinite(number(weight)) for weight in weights.values())


def _covered(contrast: Mapping[str, Any], arms: Sequence[str], known: Container[str]) -> bool:
    """Return whether each pattern matches an arm, and all arms that it matches are known.

    With fewer, other arms would be compared.
    """
    for pattern in contrast["weights"]:
        matched = [arm for arm in arms if fnmatchcase(arm, pattern)]
        if not matched or not all(arm in known for arm in matched):
            return False
    return bool(contrast["weights"])
