"""The champion: of those that one standard error cannot tell from the best on val, the cheapest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.records.champion import FASTER, Bounds, Choice, Cost, apart, choose, enough, level

ARMS = ("zebra", "still", "ant")  # in an order that no sorting by name gives
NO_BOUNDS = Bounds()
UNKNOWN = Cost(math.nan, math.nan)
CHEAP = Cost(1e6, 1.0)
MANY = settings(derandomize=True, deadline=None)


@dataclass(frozen=True)
class Recipe:
    """A recipe that was retrained."""

    arm: str
    number: int = 0
    by_seed: Mapping[int, float] = field(default_factory=dict)
    cost: Cost = CHEAP

    @property
    def name(self) -> tuple[str, int]:
        return self.arm, self.number


def recipe(arm: str, scores: Sequence[float], number: int = 0, **cost: float) -> Recipe:
    """Return a recipe with these scores for the seeds 0, 1, 2 ..."""
    costs = Cost(cost.get("parameters", 1e6), cost.get("ms", 1.0))
    return Recipe(arm, number, dict(enumerate(scores)), costs)


def chosen(candidates: Sequence[Recipe], bounds: Bounds = NO_BOUNDS) -> Choice[Recipe]:
    choice = choose(candidates, ARMS, bounds)
    assert choice
    return choice


# The second is 0.01 below the first with a standard error of 0.01155, the third of 0.00577.
LEAD = (0.70, 0.71, 0.72)
NEAR = (0.70 - 0.03, 0.71 + 0.01, 0.72 - 0.01)
BELOW = (0.70 - 0.02, 0.71, 0.72 - 0.01)


def test_of_two_that_one_standard_error_cannot_tell_apart_the_smaller_is_shipped() -> None:
    large = recipe("zebra", LEAD, parameters=23e6)
    small = recipe("ant", NEAR, parameters=11e6)
    choice = chosen([large, small])
    assert (choice.champion, choice.leader, choice.tied) == (small, large, (large, small))
    far = recipe("ant", BELOW, parameters=11e6)
    only = Choice(champion=large, leader=large, tied=(large,), able=(large, far))
    assert chosen([large, far]) == only


def test_small_is_measured_before_fast_and_fast_before_the_score() -> None:
    leader = recipe("zebra", LEAD, parameters=23e6, ms=1.0)
    slow = recipe("still", NEAR, parameters=11e6, ms=9.0)
    quick = replace(slow, arm="ant", cost=Cost(11e6, 7.0))
    assert chosen([leader, slow]).champion is slow
    assert chosen([leader, slow, quick]).champion is quick
    assert chosen([leader, quick, slow]).champion is quick


@pytest.mark.parametrize(("ms", "counts"), [(1.0, False), (1.19, False), (1.21, True), (3.0, True)])
def test_a_time_that_is_longer_by_less_than_a_fifth_is_noise(ms: float, counts: bool) -> None:
    assert FASTER == 1.2
    leader = recipe("zebra", LEAD, ms=ms)
    other = recipe("ant", NEAR, ms=1.0)
    assert chosen([leader, other]).champion is (other if counts else leader)


def test_times_are_measured_against_the_fastest_and_not_from_one_to_the_next() -> None:
    """Steps of 15% each, which would lead from the slowest to the fastest."""
    times = (1.0, 1.15, 1.32)
    arms = [recipe(arm, LEAD, ms=ms) for arm, ms in zip(ARMS, reversed(times), strict=True)]
    assert chosen(arms).champion is arms[1]


def test_a_cost_that_is_not_known_decides_nothing() -> None:
    leader = replace(recipe("zebra", LEAD), cost=UNKNOWN)
    other = replace(recipe("ant", NEAR), cost=UNKNOWN)
    assert chosen([other, leader]).champion is leader
    small = recipe("ant", NEAR, parameters=1.0, ms=0.1)
    assert chosen([small, leader]).champion is leader


def test_bounds_leave_out_what_is_too_slow_or_too_large_however_good() -> None:
    large = recipe("zebra", (0.9, 0.9, 0.9), parameters=25e6, ms=2.0)
    slow = recipe("still", (0.8, 0.8, 0.8), parameters=5e6, ms=9.0)
    fits = recipe("ant", (0.1, 0.1, 0.1), parameters=5e6, ms=2.0)
    every = [large, slow, fits]
    assert chosen(every).leader is large
    assert chosen(every, Bounds(mb=99.9)).leader is slow
    assert chosen(every, Bounds(ms=8.0)).leader is large
    only = chosen(every, Bounds(ms=8.0, mb=99.9))
    assert (only.champion, only.tied) == (fits, (fits,))
    assert choose(every, ARMS, Bounds(ms=1.9)) is None


def test_a_bound_is_the_most_that_is_permitted_and_what_is_not_known_is_within() -> None:
    at = Cost(parameters=25e6, ms=2.0)
    assert at.megabytes == 100.0
    assert Bounds(ms=2.0, mb=100.0).hold(at)
    assert not Bounds(ms=1.999).hold(at)
    assert not Bounds(mb=99.9).hold(at)
    assert NO_BOUNDS.hold(at)
    assert Bounds(ms=0.001, mb=0.001).hold(UNKNOWN)


def test_a_recipe_with_2_of_10_seeds_is_not_champion_by_its_luck() -> None:
    lucky = Recipe("zebra", 0, {0: 0.99, 1: 0.99})
    whole = recipe("ant", [0.5] * 10)
    assert chosen([lucky, whole]).champion is whole
    assert chosen([replace(lucky, by_seed={0: 0.99, 1: 0.99, 2: 0.98}), whole]).leader is not whole


@pytest.mark.parametrize(
    ("seeds", "able"), [((1, 1), 2), ((1, 2), 1), ((2, 3), 1), ((3, 10), 2), ((2, 2), 2), ((), 0)]
)
def test_three_seeds_are_enough_or_as_many_as_any_has(seeds: tuple[int, ...], able: int) -> None:
    recipes = [recipe("zebra", [0.5] * count) for count in seeds]
    assert len(enough(recipes)) == able


def test_without_a_completed_seed_there_is_no_champion() -> None:
    assert choose([], ARMS, NO_BOUNDS) is None
    assert choose([Recipe("ant"), Recipe("zebra")], ARMS, NO_BOUNDS) is None
    only = recipe("ant", [0.1])
    assert chosen([Recipe("zebra"), only]).tied == (only,)


def test_of_equal_scores_at_equal_cost_the_first_arm_and_then_the_first_trial_wins() -> None:
    ant = recipe("ant", (0.1, 0.2, 0.3, 0.7))
    third = recipe("zebra", (0.7, 0.3, 0.2, 0.1), number=3)
    second = recipe("zebra", (0.3, 0.7, 0.1, 0.2), number=1)
    assert chosen([ant, third, second]).champion is second
    assert chosen([ant, third]).champion is third
    worse = recipe("zebra", (0.1, 0.2, 0.3, 0.65))
    assert chosen([worse, ant]).champion is ant


@pytest.mark.parametrize(("errors", "told"), [(0.86, True), (0.87, False), (2.0, False)])
def test_apart_is_by_standard_errors_of_the_gaps_of_seeds_that_both_have(
    errors: float, told: bool
) -> None:
    """0.01 apart with a standard error of 0.01155: 0.866 of them."""
    one = dict(enumerate(LEAD))
    other = dict(enumerate(NEAR))
    assert apart(one, other, errors) is apart(other, one, errors) is told
    # What one of them lacks says nothing of their gap.
    assert apart({**one, 7: 99.0}, {**other, 8: -99.0}, errors) is told


def test_one_seed_in_common_or_none_tells_nothing_apart() -> None:
    assert not apart({0: 0.9}, {0: 0.1}, 1.0)
    assert not apart({0: 0.9, 1: 0.9}, {1: 0.1, 2: 0.1}, 1.0)
    assert not apart({0: 0.9}, {1: 0.1}, 1.0)
    assert apart({0: 0.9, 1: 0.9}, {0: 0.8, 1: 0.8}, 1.0), "a gap without any spread is one"
    assert not apart({0: 0.9, 1: 0.8}, {0: 0.9, 1: 0.8}, 1.0)


MARKS = st.one_of(st.sampled_from([0.1, 0.2, 0.3, 0.7]), st.floats(0, 1))


@MANY
@given(st.lists(st.lists(MARKS, min_size=3, max_size=3), max_size=6))
def test_where_all_have_the_same_seeds_levels_are_plain_means_to_the_last_bit(
    scores: list[list[float]],
) -> None:
    fitted = level([dict(enumerate(of_recipe)) for of_recipe in scores])
    assert fitted.of_recipes == tuple(map(fmean, scores))


def test_the_noise_of_levels_is_what_neither_recipe_nor_seed_explains() -> None:
    """With two recipes it is that of their gaps, by a half."""
    gaps = [a - b for a, b in zip(LEAD, NEAR, strict=True)]
    both = [dict(enumerate(LEAD)), dict(enumerate(NEAR))]
    assert level(both).noise == pytest.approx(stdev(gaps) / math.sqrt(2))
    assert math.isnan(level(both[:1]).noise), "one recipe cannot tell it"
    assert math.isnan(level([{0: 0.5}, {0: 0.7}]).noise)
    assert level([]).of_recipes == ()


@MANY
@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=5),
    st.lists(st.floats(-1, 1), min_size=2, max_size=5),
    st.data(),
)
def test_a_planted_effect_of_seeds_is_undone_whichever_seeds_a_recipe_lacks(
    recipes: list[float], seeds: list[float], data: st.DataObject
) -> None:
    """The first recipe has all seeds, so that all can be compared."""
    scores = []
    for at, quality in enumerate(recipes):
        had = range(len(seeds))
        if at:
            had = sorted(data.draw(st.sets(st.sampled_from(had), min_size=1)))
        scores.append({seed: quality + seeds[seed] for seed in had})
    fitted = level(scores)
    expected = [quality + fmean(seeds) for quality in recipes]
    assert fitted.of_recipes == pytest.approx(expected, abs=1e-9)


def test_levels_of_noisy_runs_are_those_of_ordinary_least_squares() -> None:
    """By normal equations, with the effects of seeds summing to 0."""
    rng = np.random.default_rng(0)
    had = [(0, 1, 2, 3), (0, 1), (1, 2, 3), (3,)]
    scores = [{seed: float(rng.normal()) for seed in of_recipe} for of_recipe in had]
    rows, values = [], []
    for at, of_recipe in enumerate(scores):
        for seed, score in of_recipe.items():
            row = np.zeros(4 + 3)
            row[at] = 1
            row[4:] = -1.0 if seed == 3 else np.eye(3)[seed]
            rows.append(row)
            values.append(score)
    design = np.array(rows)
    solved = np.linalg.solve(design.T @ design, design.T @ np.array(values))
    fitted = level(scores)
    assert fitted.of_recipes == pytest.approx(solved[:4])
    left = np.array(values) - design @ solved
    assert fitted.noise == pytest.approx(math.sqrt(float(left @ left) / (len(values) - 7)))


def test_a_recipe_that_had_the_easy_draws_alone_is_not_ahead_for_that() -> None:
    """Seeds 3 to 5 are easy by 0.2: the first has them alone, and is 0.05 worse in truth."""
    noise = (0.001, -0.001, 0.0, 0.001, 0.0, -0.001)
    draws = (0.0, 0.0, 0.0, 0.2, 0.2, 0.2)
    all_seeds = [0.60 + draw + off for draw, off in zip(draws, noise, strict=True)]
    easy = Recipe("zebra", 0, {seed: 0.55 + draws[seed] for seed in (3, 4, 5)})
    whole = recipe("ant", all_seeds)
    assert fmean(easy.by_seed.values()) > fmean(all_seeds)
    assert chosen([easy, whole]).champion is whole


@pytest.mark.parametrize(
    "scores",
    [
        [{0: 0.60}, {1: 0.55, 2: 0.55, 3: 0.55, 4: 0.55}],
        # Three recipes in turn over four seeds, of an arm whose default did not complete.
        [{1: 0.80}, {2: 0.70}, {0: 0.60, 3: 0.60}],
    ],
)
def test_recipes_without_a_seed_in_common_are_in_the_order_of_their_means(
    scores: list[dict[int, float]],
) -> None:
    found = level(scores).of_recipes
    assert sorted(found, reverse=True) == list(found)


COSTS = st.builds(Cost, st.sampled_from([1e6, 2e6]), st.sampled_from([1.0, 1.1, 1.3, 1.5]))
EQUAL = st.lists(MARKS, min_size=3, max_size=3).map(lambda scores: dict(enumerate(scores)))


MADE = st.builds(
    Recipe, arm=st.sampled_from(ARMS), number=st.integers(0, 3), by_seed=EQUAL, cost=COSTS
)
CANDIDATES = st.lists(MADE, max_size=7, unique_by=lambda one: one.name)


def shuffled(recipes: Sequence[Recipe], random: object) -> list[Recipe]:
    """Return them in another order, with their seeds in another order."""
    again = []
    for one in recipes:
        items = list(one.by_seed.items())
        random.shuffle(items)  # type: ignore[attr-defined]
        again.append(replace(one, by_seed=dict(items)))
    random.shuffle(again)  # type: ignore[attr-defined]
    return again


def names(choice: Choice[Recipe] | None) -> object:
    if choice is None:
        return None
    return choice.champion.name, choice.leader.name, [one.name for one in choice.tied]


@MANY
@given(CANDIDATES, st.randoms(use_true_random=False))
def test_in_whatever_order_candidates_and_seeds_come_the_choice_is_the_same(
    recipes: list[Recipe], random: object
) -> None:
    again = choose(shuffled(recipes, random), ARMS, NO_BOUNDS)
    assert names(again) == names(choose(recipes, ARMS, NO_BOUNDS))


@MANY
@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_in_whatever_order_candidates_with_other_seeds_come_the_choice_is_the_same(
    drawn: int, random: object
) -> None:
    rng = np.random.default_rng(drawn)
    recipes = []
    for arm in ARMS:
        for number in range(rng.integers(3)):
            had = rng.choice(6, size=rng.integers(1, 6), replace=False)
            scores = {int(seed): float(rng.normal()) for seed in had}
            recipes.append(Recipe(arm, number, scores, Cost(float(rng.integers(1, 3)), 1.0)))
    again = choose(shuffled(recipes, random), ARMS, NO_BOUNDS)
    assert names(again) == names(choose(recipes, ARMS, NO_BOUNDS))


def test_equal_levels_of_other_seeds_are_equal_whatever_rounding_makes_of_them() -> None:
    """The first two had the same scores on the seeds that both had, and others the same too."""
    first = Recipe("zebra", 0, {3: 0.1, 4: 0.7, 0: 0.7})
    second = Recipe("zebra", 1, {4: 0.7, 3: 0.7, 0: 0.1})
    third = Recipe("ant", 0, {2: 0.7, 1: 0.2, 3: 0.2, 0: 0.2})
    for order in ([first, second, third], [third, second, first], [second, third, first]):
        assert chosen(order).leader is first


@MANY
@given(CANDIDATES)
def test_the_leader_has_the_best_mean_and_the_champion_is_no_dearer(recipes: list[Recipe]) -> None:
    choice = choose(recipes, ARMS, NO_BOUNDS)
    assert (choice is None) == (not recipes)
    if choice is None:
        return
    means = {one.name: fmean(one.by_seed.values()) for one in recipes}
    assert means[choice.leader.name] == max(means.values())
    best = [one for one in recipes if means[one.name] == means[choice.leader.name]]
    assert choice.leader is min(best, key=lambda one: (ARMS.index(one.arm), one.number))
    assert choice.tied[0] is choice.leader
    assert choice.champion in choice.tied
    for one in recipes:
        if one is not choice.leader:
            told = apart(choice.leader.by_seed, one.by_seed, 1.0)
            assert (one in choice.tied) is not told
    for one in choice.tied:
        assert not one.cost.parameters < choice.champion.cost.parameters
        if one.cost.parameters == choice.champion.cost.parameters:
            assert not choice.champion.cost.ms > FASTER * one.cost.ms
