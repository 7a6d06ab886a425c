"""Recipes that are retrained: the best of each arm, its default, and the champion's ablations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from search_spaces.space import Arm
from sweeps.records.design import Design
from sweeps.records.results import (
    Finalist,
    Outcome,
    Results,
    TrialRecord,
    default,
    finalist_name,
    ranked,
    trial_name,
)
from sweeps.runner.study import Preset, Study
from trainables.randomness import named_seed
from trainables.recipe import NEUTRAL, Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A recipe that is to be retrained.

    Attributes:
        finalist: The trial that had it, `resnet34/tricks/007`; of an ablation, what was taken away.
        arm: Its arm's name.
        number: The number of that trial.
        recipe: Its seed is the search's until `seeded` sets another.
    """

    finalist: Finalist
    arm: str
    number: int
    recipe: Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A run that is to be trained: a candidate with a seed, and the seed's number."""

    candidate: Candidate
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """All recipes that are compared.

    Attributes:
        best: By arm, its best recipes in the order of their turns; arms of which no trial completed
            are not in it.
        default: By arm, its default recipe, where that completed.
    """

    best: Mapping[str, Sequence[Candidate]]
    default: Mapping[str, Candidate]

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Return the trials whose recipes take turns, by arm."""
        named = {}
        for arm, candidates in self.best.items():
            named[arm] = tuple(candidate.finalist.group for candidate in candidates)
        return named

    @property
    def all(self) -> dict[str, Candidate]:
        """Return each recipe once, by the trial that had it."""
        candidates = {}
        for of_arm in (*self.best.values(), self.default.values()):
            for candidate in of_arm:
                candidates[candidate.finalist.group] = candidate
        return candidates

    def design(self, seeds: int, worth: float) -> Design:
        """Return how these recipes are compared over so many seeds."""
        most = max((len(of_arm) for of_arm in self.best.values()), default=1)
        return Design(recipes=max(1, min(most, seeds)), seeds=seeds, worth=worth / 100)

    def round(
        self,
        design: Design,
        arms: Iterable[str],
        numbers: Iterable[int],
        seeds: Sequence[int],
        defaults: int,
    ) -> dict[str, Entry]:
        """Return the runs of some arms over some seeds, by name: a seed of all arms in turn.

        Args:
            design: Says whose turn it is.
            arms: Names of the arms.
            numbers: Of the seeds.
            seeds: What each number stands for.
            defaults: Of how many seeds, from the first, the defaults are trained with each.
        """
        known = list(arms)
        entries: dict[str, Entry] = {}
        for number in numbers:
            for arm in known:
                of_arm = self.best[arm]
                turn = of_arm[design.turn(number, len(of_arm))]
                entries |= seeded([turn], [number], seeds)
                if arm in self.default and number < defaults:
                    entries |= seeded([self.default[arm]], [number], seeds)
        return entries


def seeded(
    candidates: Iterable[Candidate], numbers: Iterable[int], seeds: Sequence[int]
) -> dict[str, Entry]:
    """Return the runs of candidates over seeds, by name: a seed of each candidate in turn."""
    known = list(candidates)
    entries = {}
    for number in numbers:
        for candidate in known:
            recipe = replace(candidate.recipe, seed=seeds[number])
            name = finalist_name(candidate.finalist.group, number)
            entries[name] = Entry(candidate=replace(candidate, recipe=recipe), seed=number)
    return entries


def field_of(arms: Sequence[Arm], searched: Results, most: int, seed: int) -> Field:
    """Return the best recipes of each arm, at most so many, and its default.

    Of an arm with nothing tuned, the only one. Their turns are shuffled, in each arm for itself: a
    seed that trained the best of both arms, and another the fifth best of both, would hide how much
    recipes differ.

    Args:
        arms: Of the sweep.
        searched: Results of the search.
        most: Recipes of an arm.
        seed: The sweep's.
    """
    best: dict[str, Sequence[Candidate]] = {}
    defaults: dict[str, Candidate] = {}
    number = in_turn(arms, searched, most)
    for arm in arms:
        # There was no search: the recipe is known.
        if not arm.tuned:
            finalist = Finalist(trial_name(arm.name, 0))
            recipe = arm.default_recipe()
            only = Candidate(finalist=finalist, arm=arm.name, number=0, recipe=recipe)
            best[arm.name] = (only,)
            defaults[arm.name] = only
            continue
        records = searched.records(arm.name)
        of_arm = [_candidate(record) for record in ranked(records)[:number]]
        if of_arm:
            of_arm.sort(key=lambda candidate: named_seed(seed, "turns", candidate.finalist.group))
            best[arm.name] = of_arm
        first = default(records)
        if first:
            defaults[arm.name] = _candidate(first)
    return Field(best=best, default=defaults)


def in_turn(arms: Sequence[Arm], searched: Results, most: int) -> int:
    """Return how many recipes of each arm take turns: as many in all that have more than one.

    With other numbers in another arm, seeds that share a recipe in one would not in the other, and
    how much recipes differ could not be told from seeds.
    """
    numbers = []
    for arm in arms:
        if not arm.tuned:
            continue
        # Trials that were stopped early were tried, too.
        tried = [each for each in searched.ended(arm.name) if each.outcome is not Outcome.FAILED]
        completed = len(ranked(tried))
        if completed > 1:
            numbers.append(min(completed, best_of(len(tried), most)))
    return max(1, min(numbers, default=1))


def best_of(trials: int, most: int) -> int:
    """Return how many recipes of so many trials stand for an arm: the better half, at most `most`.

    The worse half is what a search has passed over.
    """
    return min(most, math.ceil(trials / 2))


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


def sizes(study: Study, preset: Preset, asked: int | None) -> tuple[int, int]:
    """Return how many recipes of an arm are compared, and over how many seeds, at most.

    Raises:
        ValueError: Seeds are asked for where the study has no finalists.
    """
    recipes = study.finalist_recipes
    seeds = study.finalist_seeds
    if preset.finalist_recipes is not None:
        recipes = min(recipes, preset.finalist_recipes)
    if preset.finalist_seeds is not None:
        seeds = min(seeds, preset.finalist_seeds)
    if asked is None:
        return recipes, seeds
    if not seeds:
        raise ValueError(
            f"--seeds is for finalists, but {study.name} has none (finalist_seeds=0): leave it out."
        )
    return recipes, asked


def finalist_seeds(seed: int, number: int) -> tuple[int, ...]:
    """Return new seeds for head, order and augmentation, which no trial of the search had."""
    return tuple(named_seed(seed, "finalist", index) % 2**31 for index in range(number))


def _candidate(record: TrialRecord) -> Candidate:
    return Candidate(
        finalist=Finalist(record.trial_id),
        arm=record.arm,
        number=record.number,
        recipe=record.recipe,
    )
