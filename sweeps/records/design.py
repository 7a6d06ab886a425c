"""How a sweep compares its arms: how many recipes of each, over how many seeds, in which rounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_SEEDS = 3
"""With two, a 95% interval is 12.7 standard errors wide to each side; no interval says it better.
"""


def turn_of(seed: int, recipes: int) -> int:
    """Return which of so many recipes a seed trains, by its place among their turns."""
    return seed % recipes


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """What is stated of the comparison before it begins.

    Each seed trains every arm once, on images of its own draw; the recipes of an arm take turns.

    Attributes:
        recipes: How many take turns, in the arm that has most.
        seeds: The most seeds.
        worth: The smallest difference that matters, in the unit of the score.
        ends: Numbers of seeds at which earlier runs of the sweep ended and were looked at.
        once: Whether all seeds were trained at once, as in earlier versions: there is one look.
        searched: Of how many recipes of an arm those are the best; 0 where it is not known.
    """

    recipes: int
    seeds: int
    worth: float
    searched: int = 0
    ends: tuple[int, ...] = ()
    once: bool = False

    @property
    def luck(self) -> float:
        """Return by how much the mean of an arm's best recipes varies more than they tell.

        The best m of n have the luck of their search in common: where the one just below them is
        high, all are. Of independent recipes whose scores have an exponential upper tail, the mean
        of the best m has the variance s² / m of their own spread, plus that of the one below,
        s² (1 / (m + 1)² + ... + 1 / n²) (Rényi 1953, Acta Mathematica Hungarica 4, 191-231). What
        intervals hold with it, `benchmarks/next_sweep.py` measures on real features.
        """
        if self.recipes < 2 or self.searched <= self.recipes:
            return 1.0
        below = sum(1 / k**2 for k in range(self.recipes + 1, self.searched + 1))
        return 1.0 + self.recipes * below

    @property
    def round(self) -> int:
        """Return the seeds of a round: every recipe as often, and enough for an interval."""
        return self.recipes * math.ceil(MIN_SEEDS / self.recipes)

    @property
    def rounds(self) -> tuple[range, ...]:
        """Return the seeds of each round; the last may be shorter."""
        starts = range(0, self.seeds, self.round)
        return tuple(range(start, min(start + self.round, self.seeds)) for start in starts)

    @property
    def default_seeds(self) -> int:
        """Return over how many seeds an arm's default is trained: those of the first round.

        No planned comparison is of the default; it says what tuning brought, and may be shipped.
        """
        return len(self.rounds[0]) if self.rounds else 0

    @property
    def looks(self) -> tuple[int, ...]:
        """Return after how many seeds comparisons are looked at."""
        ends = {each.stop for each in self.rounds} | set(self.ends)
        if self.once:
            ends = {self.seeds}
        return tuple(sorted(end for end in ends if MIN_SEEDS <= end <= self.seeds))

    def turn(self, seed: int, of: int) -> int:
        """Return the rank of the recipe that a seed trains, in an arm with so many of them."""
        return turn_of(seed, self.recipes) % of
