"""Recipes that may become the champion: those alone are trained with further seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from sweeps.records.champion import DECIMALS, Bounds, Choice, Cost, choose, level
from sweeps.records.results import Outcome, Results, TrialRecord, rank, seed_number
from trainables.metrics import INFERENCE_MS, PARAMETERS

MOST = 4
MOST_OF_ARM = 2
MOST_OF_ONLY_ARM = 3
"""Contenders at most: their seeds cost as much as others'."""
ERRORS = 2.0
"""Standard errors below the leader, from which on a recipe no longer matters."""


@dataclass(frozen=True, slots=True)
class Retrained:
    """A recipe by its completed seeds, the one with the best score first."""

    seeds: tuple[TrialRecord, ...]

    @property
    def group(self) -> str:
        """The trial that had the recipe."""
        finalist = self.seeds[0].finalist
        return finalist.group if finalist else ""

    @property
    def arm(self) -> str:
        """Its arm's name."""
        return self.seeds[0].arm

    @property
    def number(self) -> int:
        """Number of the trial that had the recipe."""
        return self.seeds[0].number

    @property
    def by_seed(self) -> dict[int, float]:
        """The score on val of each seed, by the seed's number."""
        scores = {}
        for record in self.seeds:
            number = seed_number(record.trial_id)
            if number is not None and record.score is not None:
                scores[number] = record.score
        return scores

    @property
    def cost(self) -> Cost:
        """What its network costs to use: means over its seeds."""
        return Cost(self._mean(PARAMETERS), self._mean(INFERENCE_MS))

    def _mean(self, metric: str) -> float:
        known = [record.test[metric] for record in self.seeds if metric in record.test]
        return fmean(known) if known else math.nan


def retrained(finals: Results) -> list[Retrained]:
    """Return the recipes of which a seed completed; ablations are never shipped."""
    by_group: dict[str, list[TrialRecord]] = {}
    for record in finals.ended():
        finalist = record.finalist
        if finalist and finalist.without is None and record.outcome is Outcome.COMPLETED:
            by_group.setdefault(finalist.group, []).append(record)
    return [Retrained(tuple(sorted(seeds, key=rank))) for seeds in by_group.values()]


def champion(finals: Results, bounds: Bounds) -> Choice[Retrained] | None:
    """Return the champion among the finalists that completed."""
    return choose(retrained(finals), finals.arms, bounds)


def contenders(
    recipes: Sequence[Retrained], bounds: Bounds, among: Iterable[str] | None = None
) -> list[Retrained]:
    """Return the recipes that may still be the best on val, the best first.

    Their scores are compared as if all had had the same seeds.

    Args:
        recipes: All that were retrained.
        bounds: What a champion may cost.
        among: Names of those that are looked at; None is all.
    """
    fitted = level([recipe.by_seed for recipe in recipes])
    scored = sorted(
        zip(fitted.of_recipes, recipes, strict=True), key=lambda pair: (-pair[0], pair[1].group)
    )
    names = set(among) if among is not None else None
    kept: list[Retrained] = []
    of_arm: Counter[str] = Counter()
    highest = -math.inf
    several = len({recipe.arm for recipe in recipes}) > 1
    most_of_arm = MOST_OF_ARM if several else MOST_OF_ONLY_ARM
    for score, recipe in scored:
        if names is not None and recipe.group not in names:
            continue
        if not bounds.hold(recipe.cost) or len(kept) == MOST:
            continue
        if of_arm[recipe.arm] == most_of_arm:
            continue
        # So far below the best that its further seeds would change nothing.
        if kept:
            error = fitted.noise * math.sqrt(1 / len(recipe.by_seed) + 1 / len(kept[0].by_seed))
            if round(highest - score - ERRORS * error, DECIMALS) > 0:
                continue
        highest = max(highest, score)
        of_arm[recipe.arm] += 1
        kept.append(recipe)
    return kept
