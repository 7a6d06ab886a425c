"""Which recipe of the finalists is the champion, and which may still become it."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sweeps.records.champion import Bounds
from sweeps.records.results import Finalist, Outcome, Results, finalist_name
from sweeps.runner.finalists.contenders import MOST, Retrained, champion, contenders, retrained
from trainables.metrics import INFERENCE_MS, PARAMETERS
from trainables.recipe import Recipe

NO_BOUNDS = Bounds()
Scores = Mapping[int, float | None] | list[float | None]


def finals(
    scores: Mapping[str, Scores], costs: Mapping[str, tuple[float, float]] | None = None
) -> Results:
    """Return finalists by the trial that had the recipe; a seed without a score failed."""
    results = Results({"a": 9, "b": 9, "c": 9})
    for group, of_group in scores.items():
        parameters, ms = (costs or {}).get(group, (1e6, 1.0))
        arm, _, number = group.partition("/")[::1]
        numbered = dict(enumerate(of_group)) if isinstance(of_group, list) else of_group
        for seed, score in numbered.items():
            name = finalist_name(group, seed)
            record = results.start(name, arm, int(number), Recipe(), Finalist(group))
            record.outcome = Outcome.FAILED if score is None else Outcome.COMPLETED
            record.score = score
            record.test = {PARAMETERS: parameters, INFERENCE_MS: ms}
    return results


def names(recipes: list[Retrained]) -> list[str]:
    return [recipe.group for recipe in recipes]


def test_the_champion_has_the_best_mean_and_its_best_seed_comes_first() -> None:
    found = champion(finals({"a/000": [0.9, 0.1, 0.2], "b/001": [0.5, 0.6, 0.4]}), NO_BOUNDS)
    assert found
    # They cannot be told apart, and cost the same: it is the one that scored best.
    assert [recipe.group for recipe in found.tied] == ["b/001", "a/000"]
    assert [seed.trial_id for seed in found.champion.seeds] == ["b/001/s1", "b/001/s0", "b/001/s2"]
    assert found.champion.by_seed == {0: 0.5, 1: 0.6, 2: 0.4}
    assert (found.champion.arm, found.champion.number) == ("b", 1)


def test_an_ablation_is_never_shipped_and_neither_is_a_recipe_without_a_completed_seed() -> None:
    results = finals({"a/000": [0.5, 0.5, 0.5], "b/000": [None, None]})
    ablated = Finalist("a/000/without-mixup", "mixup")
    for seed in range(3):
        record = results.start(f"{ablated.group}/s{seed}", "a", 0, Recipe(), ablated)
        record.outcome, record.score = Outcome.COMPLETED, 0.9
    assert names(retrained(results)) == ["a/000"]
    found = champion(results, NO_BOUNDS)
    assert found
    assert names(list(found.tied)) == ["a/000"]
    assert champion(finals({"b/000": [None, None]}), NO_BOUNDS) is None


def test_a_seed_that_still_runs_or_was_interrupted_does_not_count() -> None:
    results = finals({"a/000": [0.5, 0.6, 0.7]})
    results["a/000/s1"].outcome = Outcome.INTERRUPTED
    results["a/000/s2"].outcome = None
    (recipe,) = retrained(results)
    assert recipe.by_seed == {0: 0.5}


def test_a_cost_is_what_the_network_told_and_unknown_where_it_told_none() -> None:
    results = finals({"a/000": [0.5], "b/000": [0.5]}, {"a/000": (2e6, 3.5)})
    results["b/000/s0"].test = {}
    one, other = retrained(results)
    assert (one.cost.parameters, one.cost.ms, one.cost.megabytes) == (2e6, 3.5, 8.0)
    assert other.cost.parameters != other.cost.parameters
    assert other.cost.ms != other.cost.ms


@pytest.mark.parametrize(("below", "contends"), [(0.023, True), (0.0232, False)])
def test_who_is_two_standard_errors_below_the_leader_no_longer_contends(
    below: float, contends: bool
) -> None:
    """Gaps are `below` -/+ 0.02 in four seeds.

    So a run is 0.01 off its recipe and seed: 8 squares of it over 3 degrees of freedom are a noise
    of 0.0163, and twice the error of a difference of two means of 4 is 0.0231.
    """
    lead = [0.70, 0.71, 0.72, 0.69]
    other = [score - below + sign * 0.02 for score, sign in zip(lead, (1, -1, 1, -1), strict=True)]
    found = contenders(retrained(finals({"a/000": lead, "b/000": other})), NO_BOUNDS)
    assert names(found) == ["a/000", "b/000"][: 1 + contends]


def test_while_nothing_tells_the_noise_all_contend() -> None:
    """One seed each: there is no telling a recipe from its luck."""
    scores: dict[str, Scores] = {"a/000": {0: 0.9}, "b/000": {0: 0.5}, "c/000": {1: 0.1}}
    found = contenders(retrained(finals(scores)), NO_BOUNDS)
    assert sorted(names(found)) == ["a/000", "b/000", "c/000"]


def test_at_most_four_contend_and_two_of_an_arm() -> None:
    scores: dict[str, Scores] = {}
    for number in range(3):
        for arm in "abc":
            scores[f"{arm}/{number:03d}"] = [0.7 - number / 1e4, 0.1, 0.4]
    found = contenders(retrained(finals(scores)), NO_BOUNDS)
    # Of equal scores the first by name.
    assert names(found) == ["a/000", "b/000", "c/000", "a/001"]
    assert len(found) == MOST
    only = {name: of for name, of in scores.items() if name.startswith("a/")}
    # Of one arm alone, three.
    alone = contenders(retrained(finals(only)), NO_BOUNDS)
    assert names(alone) == ["a/000", "a/001", "a/002"]


def test_a_recipe_that_costs_too_much_does_not_contend_nor_measure_the_others() -> None:
    scores: dict[str, Scores] = {"a/000": [0.9, 0.9, 0.91], "b/000": [0.5, 0.51, 0.5]}
    costs = {"a/000": (30e6, 9.0), "b/000": (11e6, 3.0)}
    recipes = retrained(finals(scores, costs))
    assert names(contenders(recipes, NO_BOUNDS)) == ["a/000"]
    assert names(contenders(recipes, Bounds(mb=100))) == ["b/000"]
    assert names(contenders(recipes, Bounds(ms=3.0))) == ["b/000"]
    assert contenders(recipes, Bounds(ms=2.9)) == []


def test_recipes_are_compared_as_if_all_had_had_the_same_seeds() -> None:
    """Seed 1 is a hard draw, 0.2 below: the recipe that had it alone is not worse for it."""
    scores: dict[str, Scores] = {
        "a/000": {0: 0.80, 1: 0.60, 2: 0.71},
        "b/000": {1: 0.62},
        "c/000": {0: 0.79, 1: 0.60, 2: 0.69},
    }
    recipes = retrained(finals(scores))
    assert names(contenders(recipes, NO_BOUNDS)) == ["b/000", "a/000"]
    assert names(contenders(recipes, NO_BOUNDS, among=["c/000", "a/000"])) == ["a/000", "c/000"]
    assert names(contenders(recipes, NO_BOUNDS, among=["c/000"])) == ["c/000"]
    assert contenders(recipes, NO_BOUNDS, among=[]) == []
    assert contenders([], NO_BOUNDS) == []


GROUPS = [f"{arm}/{number:03d}" for arm in "abc" for number in range(3)]
WHOLE = st.lists(st.integers(0, 20).map(lambda score: score / 20), min_size=3, max_size=3)


# The gap is just as large as it may be: what rounding leaves decides nothing.
EDGE: dict[str, list[float | None]] = {"a/000": [0.0, 0.0, 0.0], "a/001": [0.15, 0.15, 0.0]}


@given(st.dictionaries(st.sampled_from(GROUPS), WHOLE, min_size=1), st.randoms())
@example(EDGE, Random(1))
@example(EDGE, Random(2))
def test_in_whatever_order_finalists_end_the_same_contend(
    scores: dict[str, list[float | None]], random: object
) -> None:
    found = names(contenders(retrained(finals(scores)), NO_BOUNDS))
    items = list(scores.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert names(contenders(retrained(finals(dict(items))), NO_BOUNDS)) == found
    choice = champion(finals(scores), NO_BOUNDS)
    assert choice
    assert choice.leader.by_seed == dict(enumerate(scores[found[0]]))
