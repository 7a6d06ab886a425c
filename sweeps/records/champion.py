"""Which retrained recipe becomes the champion. The rule is stated before the sweep.

The best on val; of those that one standard error cannot tell from it, the cheapest. So luck of a
tenth of a point does not ship a network of twice the size (Breiman et al. 1984, Classification and
Regression Trees, section 3.4.3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Generic, Protocol, TypeVar

RULE = (
    "The champion will be the recipe that scores best on val; of those that one standard error "
    "cannot tell from it, the one with fewest parameters, then one that is a fifth faster"
)
ENOUGH_SEEDS = 3
"""Seeds of which a recipe must have completed as many, or all that any has, to be the champion."""
FASTER = 1.2
"""Times by which one network must be faster than another to count: less is noise of a timing."""
BYTES = 4  # of a parameter
DECIMALS = 12  # of a level: what rounding makes of equal ones is no difference


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network costs to use; NaN where it is not known.

    Attributes:
        parameters: Numbers in it.
        ms: Milliseconds per image.
    """

    parameters: float
    ms: float

    @property
    def megabytes(self) -> float:
        """Return the size of its weights."""
        return self.parameters * BYTES / 1e6


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """What a champion may cost at most; None is no bound."""

    ms: float | None = None
    mb: float | None = None

    def hold(self, cost: Cost) -> bool:
        """Return whether a network may be the champion; what is not known is no reason against."""
        too_slow = self.ms is not None and cost.ms > self.ms
        too_large = self.mb is not None and cost.megabytes > self.mb
        return not too_slow and not too_large


class Shippable(Protocol):
    """The part of a retrained recipe by which it is chosen."""

    @property
    def arm(self) -> str:
        """Its arm's name."""

    @property
    def number(self) -> int:
        """The number of the trial that had the recipe."""

    @property
    def by_seed(self) -> Mapping[int, float]:
        """The score on val of each seed that completed."""

    @property
    def cost(self) -> Cost:
        """What its network costs to use."""


AnyShippable = TypeVar("AnyShippable", bound=Shippable)


@dataclass(frozen=True, slots=True)
class Choice(Generic[AnyShippable]):
    """The champion, and what it was chosen from.

    Attributes:
        champion: What is shipped.
        leader: The recipe that scored best on val.
        tied: Those that one standard error cannot tell from the leader, itself first.
        able: All that could have been the champion, the best on val first.
    """

    champion: AnyShippable
    leader: AnyShippable
    tied: tuple[AnyShippable, ...]
    able: tuple[AnyShippable, ...]


def choose(
    candidates: Iterable[AnyShippable], arms: Sequence[str], bounds: Bounds
) -> Choice[AnyShippable] | None:
    """Choose the champion; None where no recipe can be.

    Args:
        candidates: Recipes that were retrained; those without a completed seed do not count.
        arms: Names of the arms in the study's order: where scores are equal, the first is the best.
        bounds: What a champion may cost.
    """
    known = [recipe for recipe in candidates if recipe.by_seed]
    able = enough([recipe for recipe in known if bounds.hold(recipe.cost)])
    if not able:
        return None
    fitted = level([recipe.by_seed for recipe in known])
    levels = dict(zip(map(id, known), fitted.of_recipes, strict=True))

    def order(recipe: AnyShippable) -> tuple[float, int, int]:
        return -levels[id(recipe)], arms.index(recipe.arm), recipe.number

    able.sort(key=order)
    leader, *others = able
    tied = [leader]
    for other in others:
        paired = len(leader.by_seed.keys() & other.by_seed.keys()) > 1
        if paired and not apart(leader.by_seed, other.by_seed, errors=1.0):
            tied.append(other)

    # The cheapest of them; they are in the order of their scores.
    fewest = _least(recipe.cost.parameters for recipe in tied)
    small = [recipe for recipe in tied if not recipe.cost.parameters > fewest]
    fastest = _least(recipe.cost.ms for recipe in small)
    fast = [recipe for recipe in small if not recipe.cost.ms > FASTER * fastest]
    return Choice(champion=fast[0], leader=leader, tied=tuple(tied), able=tuple(able))


def _least(costs: Iterable[float]) -> float:
    """Return the least of those that are known; infinity where none is."""
    return min((cost for cost in costs if not math.isnan(cost)), default=math.inf)


def enough(recipes: Sequence[AnyShippable]) -> list[AnyShippable]:
    """Return the recipes with seeds enough that their score is not one run's luck."""
    most = max((len(recipe.by_seed) for recipe in recipes), default=0)
    return [recipe for recipe in recipes if len(recipe.by_seed) >= min(most, ENOUGH_SEEDS)]


@dataclass(frozen=True, slots=True)
class Levels:
    """Scores of recipes as if all had had the same seeds.

    Attributes:
        of_recipes: One each.
        noise: Standard deviation of a run about its recipe and seed; NaN where nothing tells.
    """

    of_recipes: tuple[float, ...]
    noise: float


def level(scores: Sequence[Mapping[int, float]]) -> Levels:
    """Fit the score of a run as that of its recipe plus that of its seed, by least squares.

    A seed is also a draw of images, some of which are easier: recipes that had different seeds can
    be compared all the same.

    Args:
        scores: Of each recipe: the score of each of its seeds, one or more.
    """
    import numpy as np  # here, since flags are checked before anything that takes long to import

    seeds = sorted(set().union(*scores))
    rows = []
    values = []
    for at, of_recipe in enumerate(scores):
        for seed, score in of_recipe.items():
            row = np.zeros(len(scores) + len(seeds))
            row[at] = 1
            row[len(scores) + seeds.index(seed)] = 1
            rows.append(row)
            values.append(score)
    if not rows:
        return Levels((), math.nan)
    design = np.stack(rows)
    fitted, _, rank, _ = np.linalg.lstsq(design, np.array(values), rcond=None)
    plain = [fmean(of_recipe.values()) for of_recipe in scores]

    # Recipes with the same seeds are compared by plain means, to the last bit; those that no seed
    # links, too: nothing tells then which seeds were easier.
    alike = all(len(of_recipe) == len(seeds) for of_recipe in scores)
    linked = int(rank) == len(scores) + len(seeds) - 1
    left = len(values) - int(rank)
    told = design @ fitted
    levels = plain
    if not linked:
        left = len(values) - len(scores)
        told = design[:, : len(scores)] @ np.array(plain)
    elif not alike:
        of_seeds = float(fitted[len(scores) :].mean())
        levels = [round(float(value) + of_seeds, DECIMALS) for value in fitted[: len(scores)]]
    noise = math.nan
    if left > 0:
        noise = math.sqrt(float(np.square(told - values).sum()) / left)
    return Levels(tuple(levels), noise)


def apart(a: Mapping[int, float], b: Mapping[int, float], errors: float) -> bool:
    """Return whether two recipes differ by more than some standard errors, paired by seed.

    They are not told apart by one seed in common, or none.
    """
    gaps = [a[seed] - b[seed] for seed in a if seed in b]
    if len(gaps) < 2:
        return False
    return abs(fmean(gaps)) > errors * stdev(gaps) / math.sqrt(len(gaps))
