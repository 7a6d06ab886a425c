"""Seeds come in rounds in which every recipe has its turn as often, and after which one looks."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.records.design import MIN_SEEDS, Design

RECIPES = st.integers(1, 9)
SEEDS = st.integers(0, 60)


def design(recipes: int, seeds: int, searched: int = 0) -> Design:
    return Design(recipes=recipes, seeds=seeds, worth=0.01, searched=searched)


@pytest.mark.parametrize(
    ("recipes", "seeds", "ends", "looks"),
    [
        (1, 3, [3], (3,)),
        (1, 10, [3, 6, 9, 10], (3, 6, 9, 10)),
        (2, 3, [3], (3,)),
        (2, 10, [4, 8, 10], (4, 8, 10)),
        (3, 3, [3], (3,)),
        (3, 9, [3, 6, 9], (3, 6, 9)),
        (3, 10, [3, 6, 9, 10], (3, 6, 9, 10)),
        (5, 5, [5], (5,)),
        (5, 10, [5, 10], (5, 10)),
        (5, 12, [5, 10, 12], (5, 10, 12)),
        (1, 0, [], ()),
        (1, 1, [1], ()),
        (2, 2, [2], ()),
    ],
)
def test_rounds_end_and_looks_are_made_after_so_many_seeds(
    recipes: int, seeds: int, ends: list[int], looks: tuple[int, ...]
) -> None:
    made = design(recipes, seeds)
    assert [each.stop for each in made.rounds] == ends
    assert made.looks == looks


@pytest.mark.parametrize(("recipes", "seeds"), [(1, 3), (2, 4), (3, 3), (4, 4), (5, 5), (7, 7)])
def test_a_round_is_the_fewest_seeds_with_all_recipes_as_often_and_an_interval(
    recipes: int, seeds: int
) -> None:
    assert design(recipes, 20).round == seeds


@given(RECIPES, SEEDS)
def test_rounds_hold_every_seed_once_in_order(recipes: int, seeds: int) -> None:
    made = design(recipes, seeds)
    assert list(chain(*made.rounds)) == list(range(seeds))
    assert all(len(each) == made.round for each in made.rounds[:-1])
    assert all(0 < len(each) <= made.round for each in made.rounds[-1:])


@given(RECIPES, SEEDS, st.data())
def test_every_recipe_of_a_whole_round_has_its_turn_as_often(
    recipes: int, seeds: int, data: st.DataObject
) -> None:
    made = design(recipes, seeds)
    for each in made.rounds:
        turns = Counter(made.turn(seed, recipes) for seed in each)
        if len(each) == made.round:
            assert turns == dict.fromkeys(range(recipes), made.round // recipes)
        # In the last one, which may be shorter, some have it once more.
        often = [turns[rank] for rank in range(recipes)]
        assert max(often) - min(often) <= 1
    # An arm that has fewer of them begins again, and always has one.
    of = data.draw(st.integers(1, recipes))
    turns = [made.turn(seed, of) for seed in range(recipes)]
    assert turns == [seed % of for seed in range(recipes)]
    assert [made.turn(seed + recipes, of) for seed in range(recipes)] == turns


@given(RECIPES, SEEDS)
def test_looks_are_the_ends_of_rounds_that_have_seeds_enough_for_an_interval(
    recipes: int, seeds: int
) -> None:
    made = design(recipes, seeds)
    assert list(made.looks) == [each.stop for each in made.rounds if each.stop >= MIN_SEEDS]
    assert bool(made.looks) == (seeds >= MIN_SEEDS)
    assert max(made.looks, default=seeds) == seeds


@given(RECIPES, st.integers(1, 6), SEEDS)
def test_more_rounds_never_change_the_looks_that_were_made(
    recipes: int, rounds: int, more: int
) -> None:
    first = design(recipes, rounds * design(recipes, 0).round)
    longer = design(recipes, first.seeds + more)
    assert longer.looks[: len(first.looks)] == first.looks
    assert longer.rounds[: len(first.rounds)] == first.rounds
    for seed in range(first.seeds):
        assert longer.turn(seed, recipes) == first.turn(seed, recipes)


@pytest.mark.parametrize(("recipes", "searched"), [(1, 24), (5, 0), (5, 4), (5, 5)])
def test_without_a_choice_among_recipes_there_is_no_luck_of_one(
    recipes: int, searched: int
) -> None:
    assert design(recipes, 10, searched).luck == 1.0


def test_the_luck_of_the_best_five_of_24_is_renyis_sum() -> None:
    assert design(5, 10, 24).luck == pytest.approx(1 + 5 * sum(k**-2.0 for k in range(6, 25)))
    lucks = [design(5, 10, searched).luck for searched in range(5, 60)]
    assert lucks == sorted(lucks)
    assert lucks[-1] < 1 + 5 / 5.5, "however long the search"


@pytest.mark.parametrize(("best", "searched"), [(2, 8), (3, 5), (5, 24)])
def test_the_mean_of_the_best_varies_from_search_to_search_as_much_as_luck_says(
    best: int, searched: int
) -> None:
    """Scores with an exponential upper tail, 40,000 searches."""
    rng = np.random.default_rng(0)
    scores = np.sort(rng.exponential(size=(40_000, searched)), axis=1)[:, -best:]
    told = scores.var(axis=1, ddof=1).mean() / best
    assert scores.mean(axis=1).var() / told == pytest.approx(
        design(best, 10, searched).luck, rel=0.03
    )
