"""From what a score's spread comes: parts that were planted are recovered."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.findings import find
from sweeps.report.runs import read_run
from sweeps.report.spread import Arms, Spread, spread, spread_of

IMAGES = 60
PLANTED = {"recipes": 0.04, "seeds": 0.04, "draws": 0.03, "images": 0.05, "residual": 0.01}


def world(
    rng: np.random.Generator, arms: int = 4, turn: int = 5, seeds: int = 10, **parts: float
) -> Arms:
    """Return arms whose scores have these standard deviations; images' are shared by all."""
    part = {**PLANTED, **parts}
    hard = math.sqrt(IMAGES) * part["images"] * rng.standard_normal(IMAGES)
    draws = part["draws"] * rng.standard_normal(seeds)
    made = {}
    for arm in range(arms):
        recipes = part["recipes"] * rng.standard_normal(turn)
        of_arm = {}
        for seed in range(seeds):
            row = recipes[seed % turn] + draws[seed] + part["seeds"] * rng.standard_normal()
            left = math.sqrt(IMAGES) * part["residual"] * rng.standard_normal(IMAGES)
            of_arm[seed] = row + hard + left
        made[f"arm{arm}"] = of_arm
    return made


def mean_squares(
    count: int, seed: int, *, own_draws: bool = True, **asked: float
) -> dict[str, float]:
    """Return the mean of each part's square over many sweeps."""
    rng = np.random.default_rng(seed)
    totals = dict.fromkeys(PLANTED, 0.0)
    for _ in range(count):
        found = spread(world(rng, **asked), int(asked.get("turn", 5)), own_draws=own_draws)
        assert found
        for name, value in asdict(found).items():
            totals[name] += value**2 / count
    return totals


def test_planted_parts_are_recovered_on_average() -> None:
    """Over 200 sweeps of four arms with 5 recipes x 2 seeds."""
    found = mean_squares(200, 0)
    for name, planted in PLANTED.items():
        assert math.sqrt(found[name]) == pytest.approx(planted, rel=0.1), name


def test_what_draws_do_is_not_known_where_all_seeds_have_the_same() -> None:
    found = mean_squares(100, 1, own_draws=False, draws=0.0)
    assert math.isnan(found["draws"])
    assert math.sqrt(found["seeds"]) == pytest.approx(PLANTED["seeds"], rel=0.1)


def test_what_moves_each_arm_for_itself_is_no_draw() -> None:
    """Where draws make nothing, what is found is chance: a fraction of what a run is off by."""
    found = mean_squares(100, 2, draws=0.0)
    assert found["draws"] < 0.1 * (PLANTED["recipes"] ** 2 + PLANTED["seeds"] ** 2)
    planted = PLANTED["recipes"] ** 2 + PLANTED["seeds"] ** 2
    assert found["recipes"] + found["seeds"] == pytest.approx(planted, rel=0.1)


def test_with_one_seed_of_each_recipe_the_two_are_not_told_apart() -> None:
    found = mean_squares(200, 3, seeds=5)
    assert math.isnan(found["recipes"])
    both = math.hypot(PLANTED["recipes"], PLANTED["seeds"])
    assert math.sqrt(found["seeds"]) == pytest.approx(both, rel=0.1)
    assert math.sqrt(found["draws"]) == pytest.approx(PLANTED["draws"], rel=0.25)


def test_one_recipe_of_each_arm_has_no_spread_of_recipes() -> None:
    found = mean_squares(100, 4, turn=1)
    assert found["recipes"] == 0.0
    assert math.sqrt(found["seeds"]) == pytest.approx(PLANTED["seeds"], rel=0.1)


def test_one_arm_cannot_tell_draws_from_seeds() -> None:
    found = mean_squares(300, 5, arms=1)
    assert math.isnan(found["draws"])
    both = math.hypot(PLANTED["seeds"], PLANTED["draws"])
    assert math.sqrt(found["seeds"]) == pytest.approx(both, rel=0.1)


def test_arms_that_were_decided_sooner_count_by_the_seeds_that_they_had() -> None:
    arms = dict(world(np.random.default_rng(0)))
    fewer = {**arms, "arm0": {seed: arms["arm0"][seed] for seed in range(5)}}
    found = spread(fewer, 5, own_draws=True)
    assert found
    assert not any(math.isnan(value) for value in asdict(found).values())
    once = spread({**arms, "late": {3: arms["arm0"][3]}}, 5, own_draws=True)
    assert once == spread(arms, 5, own_draws=True), "one seed has no spread"


def test_without_two_seeds_in_any_arm_nothing_is_known() -> None:
    arms = world(np.random.default_rng(0), seeds=1)
    assert spread(arms, 1, own_draws=True) is None
    assert spread({}, 1, own_draws=True) is None


def test_no_part_is_below_0_where_nothing_varies() -> None:
    rows = {seed: np.linspace(0, 1, IMAGES) for seed in range(4)}
    found = spread({"a": rows, "b": rows}, 2, own_draws=True)
    assert found
    assert found.images == pytest.approx(np.linspace(0, 1, IMAGES).std(ddof=1) / math.sqrt(IMAGES))
    rest = Spread(recipes=0.0, seeds=0.0, draws=0.0, images=found.images, residual=0.0)
    assert asdict(found) == pytest.approx(asdict(rest), abs=1e-12)


def test_of_a_sweep_it_is_that_of_its_arms_in_turn_with_draws_of_their_own(tmp_path: Path) -> None:
    asked = {"trials": 8, "outcomes": (), "recipes": 3, "seeds": range(50, 56), "images": 100}
    arms = ("resnet18/plain", "resnet18/tricks")
    found = find(read_run(make(tmp_path, arms=arms, draws=True, draw=0.1, **asked)))
    values = {arm: group.images("accuracy") for arm, group in found.arms.items()}
    parts = spread_of(found)
    assert parts == spread(values, 3, own_draws=True)
    assert parts
    assert parts.draws > 0.03
    fixed = find(read_run(make(tmp_path, "fixed", arms=arms, **asked)))
    told = spread_of(fixed)
    assert told
    assert math.isnan(told.draws)


def test_macro_f1_which_is_no_mean_over_images_has_no_parts(tmp_path: Path) -> None:
    folder = make(tmp_path, trials=5, images=60, arms=("resnet18/plain",), score="macro_f1")
    assert spread_of(find(read_run(folder))) is None
