"""Intervals hold what they say, and tests keep their level, on synthetic results.

More settings and repetitions: `python benchmarks/coverage.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from benchmarks.coverage import CONTRASTS, SPREADS, World, covered, family_error
from sweeps.records.design import Design
from sweeps.report.effects import planned

REPETITIONS = 500
WORLDS = {
    "seeds move it, 3 seeds": World(3, 300, "bernoulli", *SPREADS["seeds"]),
    "seeds move it, 10 seeds": World(10, 300, "gaussian", *SPREADS["seeds"]),
    "images move it, 3 seeds": World(3, 300, "bernoulli", *SPREADS["images"]),
    "images move it, 5 seeds": World(5, 300, "gaussian", *SPREADS["images"]),
    "both move it, 3 seeds": World(3, 300, "gaussian", *SPREADS["both"]),
    "both move it, 5 seeds": World(5, 1000, "bernoulli", *SPREADS["both"]),
    "both move it, 10 seeds": World(10, 300, "bernoulli", *SPREADS["both"]),
    "nothing but chance, 5 seeds": World(5, 300, "bernoulli", *SPREADS["nothing"]),
}


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_95_percent_intervals_hold_their_target_in_92_to_98_percent_of_worlds(world: World) -> None:
    found = covered(world, REPETITIONS)
    assert 0.92 <= found["over_seeds"] <= 0.98
    assert 0.92 <= found["crossed"] <= 0.98


@pytest.mark.parametrize("moved_by", ["seeds", "both", "images"])
@pytest.mark.parametrize("kind", ["gaussian", "bernoulli"])
def test_where_no_arm_is_better_at_most_7_percent_of_sweeps_find_something(
    moved_by: str, kind: str
) -> None:
    assert family_error(World(3, 300, kind, *SPREADS[moved_by]), REPETITIONS) <= 0.07


def test_an_effect_of_the_detectable_size_is_found_in_some_80_percent_of_sweeps() -> None:
    """Somewhat more often or seldom, since each sweep knows its own error only by estimate."""
    world, rng = World(5, 300, "gaussian", *SPREADS["both"]), np.random.default_rng(1)
    null = [world.arms(rng) for _ in range(REPETITIONS)]
    effect = np.median([tricks(arms)["detectable"] for arms in null])
    moved = [
        {arm: array + effect * arm.endswith("tricks") for arm, array in arms.items()}
        for arms in null
    ]
    # At the last look, or at the one before.
    assert 0.72 <= np.mean([tricks(arms)["verdict"] == "better" for arms in moved]) <= 0.95


def tricks(arms: Mapping[str, np.ndarray]) -> pd.Series:
    """Return the row of the first contrast alone, over all seeds of one recipe each."""
    values = {arm: dict(enumerate(rows)) for arm, rows in arms.items()}
    design = Design(recipes=1, seeds=5, worth=0.01)
    return planned(CONTRASTS[:1], values, design, reached=5).iloc[0]
