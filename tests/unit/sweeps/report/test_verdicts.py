"""Verdicts on planned comparisons: how often they are wrong, and what they may not be moved by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from sweeps.records.design import Design
from sweeps.report.variance import p_value
from sweeps.report.verdicts import LEVEL, Compared, Kind, Verdict, holm, judge, level_of

P = st.floats(0, 1)
NEVER = 1e-9
"""A difference so small that none is ever found to be smaller."""


def design(recipes: int = 1, seeds: int = 12, worth: float = NEVER) -> Design:
    return Design(recipes=recipes, seeds=seeds, worth=worth)


def compared(rows: Sequence[float], seeds: Sequence[int] | None = None) -> Compared:
    """Return a comparison with these differences by seed, the same on each of two images."""
    numbers = np.array(range(len(rows)) if seeds is None else seeds)
    return Compared(numbers, np.repeat(np.array(rows, float)[:, None], 2, axis=1))


def verdict(rows: Sequence[float], made: Design, reached: int | None = None) -> Verdict:
    return judge({"it": compared(rows)}, made, len(rows) if reached is None else reached)["it"]


# Means with standard errors: clearly better, clearly worse, and not to be told.
BETTER = (0.050, 0.052, 0.048)
WORSE = (-0.050, -0.052, -0.048)
OPEN = (0.05, -0.04, 0.01)
NOTHING = (0.0001, -0.0001, 0.0)


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        (BETTER, Kind.BETTER),
        (WORSE, Kind.WORSE),
        (OPEN, Kind.OPEN),
        (NOTHING, Kind.SAME),
        ((0.0, 0.0, 0.0), Kind.SAME),
        ((0.02, 0.02, 0.02), Kind.BETTER),
        ((-0.02, -0.02, -0.02), Kind.WORSE),
    ],
)
def test_a_comparison_ends_in_one_of_four_ways(rows: Sequence[float], kind: Kind) -> None:
    found = verdict(rows, design(seeds=3, worth=0.01))
    assert (found.kind, found.seeds) == (kind, 3)


def test_its_p_is_that_of_the_look_at_which_it_was_decided_or_of_the_last() -> None:
    made = design(seeds=6, worth=0.01)
    decided = verdict((*BETTER, *OPEN), made)
    assert decided.p == p_value(compared(BETTER).values)
    still_open = verdict((*OPEN, *OPEN), made)
    assert (still_open.kind, still_open.seeds) == (Kind.OPEN, 6)
    assert still_open.p == p_value(compared((*OPEN, *OPEN)).values)


@pytest.mark.parametrize("kind", [Kind.BETTER, Kind.WORSE, Kind.SAME])
def test_what_was_decided_stays_so_whatever_later_seeds_say(kind: Kind) -> None:
    first = {Kind.BETTER: BETTER, Kind.WORSE: WORSE, Kind.SAME: NOTHING}[kind]
    against = {Kind.BETTER: WORSE, Kind.WORSE: BETTER, Kind.SAME: BETTER}[kind]
    made = design(seeds=12, worth=0.01)
    found = verdict((*first, *against, *against, *against), made)
    assert found == verdict(first, made)
    assert (found.kind, found.seeds) == (kind, 3)


def test_nothing_is_looked_at_before_all_runs_of_its_round_are_over() -> None:
    made = design(seeds=9, worth=0.01)
    rows = (*BETTER, *BETTER, *BETTER)
    for reached, seeds in ((0, 0), (2, 0), (3, 3), (5, 3), (8, 3), (9, 3)):
        found = verdict(rows, made, reached)
        assert found.kind is (Kind.BETTER if seeds else Kind.OPEN)
        assert found.seeds == seeds
        assert math.isnan(found.p) == (not seeds)
    late = (*OPEN, *BETTER, *BETTER)
    assert [verdict(late, made, reached).seeds for reached in (3, 5, 6, 8, 9)] == [3, 3, 6, 6, 9]


def test_a_look_sees_the_seeds_of_its_rounds_alone() -> None:
    """A champion's further seeds came before the arms' next round did."""
    made = design(seeds=6, worth=0.01)
    alone = verdict(OPEN, made, reached=3)
    assert verdict((*OPEN, *BETTER), made, reached=3) == alone


def test_the_seed_that_an_arm_lost_is_missed_and_its_number_still_says_the_recipe() -> None:
    made = Design(recipes=2, seeds=8, worth=NEVER)
    lost = compared((0.01, 0.03, 0.012, 0.029, 0.011, 0.031), seeds=(0, 1, 2, 5, 6, 7))
    found = judge({"it": lost}, made, reached=8)["it"]
    assert found.p == p_value(lost.values, recipes=[0, 1, 0, 1, 0, 1])
    assert lost.recipes(made) == [0, 1, 0, 1, 0, 1]
    assert lost.until(6).seeds.tolist() == [0, 1, 2, 5]
    assert lost.until(6).values.tolist() == lost.values[:4].tolist()


@pytest.mark.parametrize("seeds", [(), (0,), (0, 2), (3, 4, 5)])
def test_with_fewer_than_three_seeds_at_a_look_nothing_is_told(seeds: tuple[int, ...]) -> None:
    few = compared([0.5] * len(seeds), seeds)
    found = judge({"it": few, "other": compared(BETTER)}, design(seeds=3, worth=0.01), 3)
    assert found["it"].kind is Kind.OPEN
    assert math.isnan(found["it"].p)
    assert found["other"] == verdict(BETTER, design(seeds=3, worth=0.01)), "it takes no level"


def test_levels_fall_with_the_rounds_and_their_sum_does_not_depend_on_how_many_there_are() -> None:
    made = design(recipes=5, seeds=50)
    assert [level_of(look, made) for look in made.looks[:4]] == pytest.approx(
        [LEVEL, LEVEL / 2, LEVEL / 3, LEVEL / 4]
    )
    assert level_of(3, made) == LEVEL, "a round that is not whole is one"
    assert level_of(7, made) == pytest.approx(LEVEL * 5 / 7)
    longer = design(recipes=5, seeds=500)
    assert [level_of(look, longer) for look in made.looks] == [
        level_of(look, made) for look in made.looks
    ]


def test_at_each_look_p_must_be_under_its_level() -> None:
    made = design(seeds=6)
    rows = np.array(OPEN)
    rows -= rows.mean()
    for level, look in ((LEVEL, 3), (LEVEL / 2, 6)):
        noise = np.tile(rows, look // 3)
        # The shift at which t of this noise has the level as its p.
        edge = stats.t.ppf(1 - level / 2, look - 1) * stats.sem(noise)
        for shift, kind in ((0.999, Kind.OPEN), (1.001, Kind.BETTER)):
            shifted = noise + shift * edge
            # So far off at the first look that only the second counts.
            found = verdict(shifted.tolist(), made)
            if look == 3 or found.seeds == 6:
                assert found.kind is kind
    assert verdict((rows + 1.001 * edge).tolist(), made).seeds == 3


@pytest.mark.parametrize(("share", "kind"), [(0.999, Kind.OPEN), (1.001, Kind.SAME)])
@pytest.mark.parametrize("mean", [0.0, 0.002, -0.004])
def test_no_difference_matters_where_both_one_sided_tests_say_that_it_is_within_worth(
    mean: float, share: float, kind: Kind
) -> None:
    """Schuirmann's tests, by SciPy: the mean is within worth at the level of the look."""
    worth = 0.01
    rows = np.array(OPEN) - np.mean(OPEN)
    # The noise at which the side that is nearer has the level as its p.
    room = (worth - abs(mean)) / stats.t.ppf(1 - LEVEL, 2)
    rows *= room / stats.sem(rows) / share
    rows += mean
    sides = [
        stats.ttest_1samp(rows, -worth, alternative="greater").pvalue,
        stats.ttest_1samp(rows, worth, alternative="less").pvalue,
    ]
    assert (max(sides) < LEVEL) == (kind is Kind.SAME)
    assert verdict(rows.tolist(), design(seeds=3, worth=worth)).kind is kind


def test_a_difference_that_is_there_but_within_worth_does_not_matter() -> None:
    rows = (0.0050, 0.0051, 0.0049)
    assert verdict(rows, design(seeds=3, worth=0.001)).kind is Kind.BETTER
    assert verdict(rows, design(seeds=3, worth=0.01)).kind is Kind.SAME


def test_a_mean_beyond_worth_is_never_within_it_however_many_seeds() -> None:
    rows = [0.0101 + 0.03 * (-1) ** seed for seed in range(600)]
    assert verdict(rows, design(seeds=600, worth=0.01)).kind is not Kind.SAME


def test_several_comparisons_are_adjusted_by_holm_and_only_open_ones_share_the_level() -> None:
    made = design(seeds=6)
    rows = np.array(OPEN) - np.mean(OPEN)
    one = stats.t.ppf(1 - LEVEL / 2 / 2, 2) * stats.sem(rows)  # p is LEVEL / 2
    near = (rows + 0.95 * one).tolist()
    assert verdict(near, made, 3).kind is Kind.BETTER, "alone it is found"
    both = judge({"near": compared(near), "open": compared(OPEN)}, made, 3)
    assert both["near"].kind is Kind.OPEN
    assert both["near"].p == pytest.approx(2 * p_value(compared(near).values))
    # With the other one decided first, it is found by Holm's second step.
    helped = judge({"near": compared(near), "clear": compared((1.0, 1.001, 0.999))}, made, 3)
    assert [found.kind for found in helped.values()] == [Kind.BETTER, Kind.BETTER]

    # At a later look what was decided takes no part.
    later = {"clear": compared((*BETTER, *BETTER)), "it": compared((*OPEN, *BETTER))}
    found = judge(later, made, 6)
    assert found["clear"].seeds == 3
    assert found["it"].p == p_value(later["it"].values)


def test_no_difference_that_matters_is_adjusted_by_holm_too() -> None:
    worth = 0.01
    made = design(seeds=3, worth=worth)
    rows = np.array(OPEN) - np.mean(OPEN)
    # One-sided p between LEVEL / 2 and LEVEL.
    rows *= worth / stats.t.ppf(1 - 0.7 * LEVEL, 2) / stats.sem(rows)
    assert verdict(rows.tolist(), made).kind is Kind.SAME
    found = judge({"it": compared(rows.tolist()), "open": compared(OPEN)}, made, 3)
    assert found["it"].kind is Kind.OPEN


ROWS = st.lists(st.integers(-50, 50).map(lambda value: value / 1000), min_size=18, max_size=18)
FEW = settings(deadline=None, max_examples=25)


@FEW
@given(st.lists(ROWS, min_size=1, max_size=3), st.sampled_from([1, 2, 3]), st.integers(1, 3))
def test_seeds_that_are_added_later_never_change_what_earlier_looks_said(
    rows: list[list[float]], recipes: int, rounds: int
) -> None:
    known = {str(at): compared(of_one) for at, of_one in enumerate(rows)}
    first = design(recipes, rounds * design(recipes).round, worth=0.01)
    longer = design(recipes, 18, worth=0.01)
    before = judge(known, first, first.seeds)
    for reached in range(first.seeds, 19):
        after = judge(known, longer, reached)
        for name, found in before.items():
            if found.kind is not Kind.OPEN:
                assert after[name] == found
        if reached < first.seeds + longer.round:
            assert after == before


def _worlds(
    recipes: int, seeds: int, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return sweeps without a difference, [count, seeds, images], and what seeds alone make of it.

    One recipe is the same in all sweeps; several are what each search found.
    """
    of_recipes = np.zeros((count, seeds))
    if recipes > 1:
        of_recipes = 0.4 * rng.standard_normal((count, recipes))[:, np.arange(seeds) % recipes]
    of_seeds = 0.3 * rng.standard_normal((count, seeds))
    of_images = 0.05 * rng.standard_normal((count, 1, 4))
    left = 0.3 * rng.standard_normal((count, seeds, 4))
    values = (of_recipes + of_seeds)[:, :, None] + of_images + left
    return values, of_seeds


def _least_error(rows: np.ndarray, recipes: int) -> np.ndarray:
    """Return the standard errors of means of whole rounds, but for what images add, [count]."""
    count, n = rows.shape
    square = rows.var(axis=1, ddof=1)
    if 1 < recipes < n:
        by_recipe = rows.reshape(count, -1, recipes)  # [count, seeds of a recipe, recipes]
        within = by_recipe.var(axis=1, ddof=1).mean(axis=1)
        between = by_recipe.mean(axis=1).var(axis=1, ddof=1) * by_recipe.shape[1]
        square = np.maximum(within, between)
    return np.sqrt(square / n)


@pytest.mark.parametrize(("recipes", "seeds"), [(1, 24), (2, 16), (3, 12), (5, 20)])
def test_looking_after_each_round_finds_a_difference_where_none_is_in_at_most_5_5_percent(
    recipes: int, seeds: int
) -> None:
    """Of 2,000 sweeps; looking after each seed at a level of 5% finds one in far more."""
    count = 2000
    values, of_seeds = _worlds(recipes, seeds, count, np.random.default_rng(1))
    made = design(recipes, seeds)

    # A sweep none of whose looks is two errors off cannot be decided: t has wider tails.
    able = np.zeros(count, bool)
    for look in made.looks:
        part = values[:, :look].mean(axis=2)
        able |= np.abs(part.mean(axis=1)) > stats.norm.isf(LEVEL / 2) * _least_error(part, recipes)
    wrong = 0
    for at in np.flatnonzero(able):
        world = Compared(np.arange(seeds), values[at])
        wrong += judge({"it": world}, made, seeds)["it"].kind is not Kind.OPEN
    assert 0 < wrong / count <= 0.055

    # What it protects from, though nothing but seeds moves a score: a t test after each of them.
    naive = np.zeros(count, bool)
    for look in range(3, seeds + 1):
        naive |= stats.ttest_1samp(of_seeds[:, :look], 0.0, axis=1).pvalue < 0.05
    assert naive.mean() > 0.10


@given(st.lists(P, max_size=6), st.floats(0.001, 0.999))
def test_holm_rejects_what_its_definition_rejects(p: list[float], alpha: float) -> None:
    """Holm 1979: go up the ordered p values.

    Stop at the first that is not under alpha / (number left).
    """
    rejected, left = set(), len(p)
    for i in sorted(range(len(p)), key=lambda i: p[i]):
        assume(abs(p[i] * left - alpha) > 1e-9)
        if p[i] * left >= alpha:
            break
        rejected.add(i)
        left -= 1
    assert {i for i, adjusted in enumerate(holm(p)) if adjusted < alpha} == rejected


def test_holm_of_a_worked_case() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_what_was_not_tested() -> None:
    found = holm([0.02, math.nan, 0.03])
    assert found[::2] == pytest.approx([0.04, 0.04])
    assert math.isnan(found[1])


@given(st.lists(P, min_size=1, max_size=8))
def test_holm_is_between_p_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    found = holm(p)
    for one, adjusted in zip(p, found, strict=True):
        assert one <= adjusted <= min(1, one * len(p)) + 1e-12
    order = sorted(range(len(p)), key=lambda i: (p[i], i))
    assert order == sorted(range(len(p)), key=lambda i: (found[i], p[i], i))


def test_four_hundred_looks_at_levels_that_fall_are_wrong_in_5_percent_together() -> None:
    """Of 8,000 sums of normal steps; at 5% a look nearly all are."""
    rng = np.random.default_rng(0)
    looks = np.arange(1, 401)
    sums = rng.standard_normal((8_000, 400), dtype=np.float32).cumsum(axis=1)
    p = 2 * stats.norm.sf(np.abs(sums) / np.sqrt(looks))
    assert (p < LEVEL / looks).any(axis=1).mean() <= 0.055
    assert (p < 0.05).any(axis=1).mean() > 0.4
