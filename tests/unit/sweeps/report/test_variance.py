"""Intervals over seeds, over seeds and images, and from where a score's spread comes."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from sweeps.report.variance import (
    Components,
    components,
    crossed,
    errors,
    over_seeds,
    p_value,
    within_and_between,
)

SCORES = st.floats(-10, 10, allow_subnormal=False).map(lambda score: round(score, 6))
SHAPES = st.tuples(st.integers(3, 6), st.integers(2, 12))
CELLS = arrays(np.float64, SHAPES, elements=SCORES)


def _world(seed: int, seeds: int = 4, images: int = 60, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (
        shift
        + 0.3 * rng.standard_normal((seeds, 1))
        + 0.8 * rng.standard_normal((1, images))
        + rng.standard_normal((seeds, images))
    )


def _squares_by_hand(cells: np.ndarray) -> tuple[float, float, float]:
    """Mean squares, cell by cell."""
    seeds, images = cells.shape
    mean = sum(cells.flat) / cells.size
    rows = [sum(row) / images for row in cells]
    columns = [sum(column) / seeds for column in cells.T]
    left = sum(
        (cells[s, i] - rows[s] - columns[i] + mean) ** 2
        for s in range(seeds)
        for i in range(images)
    )
    by_seed = images * sum((row - mean) ** 2 for row in rows) / (seeds - 1)
    by_image = seeds * sum((column - mean) ** 2 for column in columns) / (images - 1)
    return by_seed, by_image, left / ((seeds - 1) * (images - 1))


@given(
    st.lists(SCORES, min_size=3, max_size=12).filter(lambda scores: np.std(scores) > 1e-6),
    st.sampled_from([0.8, 0.95, 0.99]),
)
def test_over_seeds_is_scipys_t_interval(scores: list[float], confidence: float) -> None:
    found = over_seeds(scores, confidence)
    expected = stats.t.interval(confidence, len(scores) - 1, np.mean(scores), stats.sem(scores))
    assert (found.low, found.high) == pytest.approx(expected)
    assert (found.mean, found.se, found.df, found.n) == pytest.approx(
        (np.mean(scores), stats.sem(scores), len(scores) - 1, len(scores))
    )


@pytest.mark.parametrize("n", [1, 2])
def test_under_three_seeds_there_is_a_mean_and_no_interval(n: int) -> None:
    cells = _world(0)[:n]
    for found in (over_seeds(cells.mean(axis=1).tolist()), crossed(cells)):
        assert found.mean == pytest.approx(cells.mean())
        assert (found.low, found.high, found.se, found.df, found.n) == (None, None, None, None, n)
    assert math.isnan(p_value(cells))


def test_a_log_loss_that_is_infinite_gives_no_interval() -> None:
    cells = _world(0)
    cells[1, 2] = np.inf
    assert crossed(cells).low is over_seeds(cells.mean(axis=1).tolist()).low is None
    assert crossed(cells).mean == np.inf


def test_one_image_says_nothing_of_other_images() -> None:
    assert crossed(_world(0)[:, :1]).low is None


def test_what_is_no_table_of_seeds_and_images_is_refused_with_its_shape() -> None:
    with pytest.raises(
        ValueError, match=r"must be \[seeds, images\] and not empty, but got shape \(5,\)"
    ):
        crossed(np.ones(5))
    with pytest.raises(ValueError, match=r"at least one, but got shape \(0,\)"):
        over_seeds([])
    with pytest.raises(ValueError, match="need 2 seeds and 2 images or more, but got 1 and 60"):
        components(_world(0)[:1])


@given(CELLS)
def test_crossed_is_cochrans_interval_of_mean_squares_computed_cell_by_cell(
    cells: np.ndarray,
) -> None:
    by_seed, by_image, residual = _squares_by_hand(cells)
    seeds, images = cells.shape
    of_seeds, of_images = by_seed / cells.size, max(by_image - residual, 0) / cells.size
    se, ends = math.sqrt(of_seeds + of_images), stats.t.ppf(0.975, [seeds - 1, images - 1])
    half = (ends[0] * of_seeds + ends[1] * of_images) / se if se else 0.0
    found = crossed(cells)
    assert (found.high - found.low) / 2 == pytest.approx(half, abs=1e-6)
    assert found.se == pytest.approx(se, abs=1e-6)
    assert found.mean == pytest.approx(cells.mean())


@given(CELLS)
def test_new_images_never_make_the_error_smaller_and_df_is_between_that_of_seeds_and_that_of_images(
    cells: np.ndarray,
) -> None:
    found, (fewer, more) = crossed(cells), sorted(cells.shape)
    assert found.se >= over_seeds(cells.mean(axis=1).tolist()).se - 1e-12
    assert fewer - 1 - 1e-6 <= found.df <= more - 1 + 1e-6


@given(arrays(np.float64, st.integers(3, 10), elements=SCORES), st.integers(2, 30))
def test_without_variance_of_images_crossed_is_over_seeds(scores: np.ndarray, images: int) -> None:
    found, expected = (
        crossed(np.repeat(scores[:, None], images, axis=1)),
        over_seeds(scores.tolist()),
    )
    assert (found.mean, found.low, found.high) == pytest.approx(
        (expected.mean, expected.low, expected.high), abs=1e-6
    )


@given(arrays(np.float64, st.integers(2, 40), elements=SCORES), st.integers(3, 6))
def test_without_variance_of_seeds_crossed_is_the_t_interval_of_the_images(
    scores: np.ndarray, seeds: int
) -> None:
    found, expected = crossed(np.repeat(scores[None, :], seeds, axis=0)), stats.sem(scores)
    assert found.se == pytest.approx(expected, abs=1e-6)
    half = stats.t.ppf(0.975, len(scores) - 1) * expected
    assert (found.low, found.high) == pytest.approx(
        (scores.mean() - half, scores.mean() + half), abs=1e-5
    )


def test_the_squared_error_is_on_average_the_variance_of_the_mean_for_right_and_wrong_too() -> None:
    """In closed form: each image has its own difficulty, each seed its own skill.

    There is no normal distribution anywhere.
    """
    rng, seeds, images = np.random.default_rng(0), 3, 8
    skill, ease = (
        rng.choice([0.6, 1.0], (4000, seeds, 1)),
        rng.choice([0.3, 0.9], (4000, 1, images)),
    )
    worlds = (rng.random((4000, seeds, images)) < skill * ease).astype(float)
    squares = np.array([_fast_squares(world) for world in worlds])
    unbiased = (squares[:, 0] + squares[:, 1] - squares[:, 2]).mean() / (seeds * images)
    true = (0.2**2 * 0.6**2) / seeds + (0.3**2 * 0.8**2) / images
    true += (0.8 * 0.6 * (1 - 0.8 * 0.6) - 0.2**2 * 0.6**2 - 0.3**2 * 0.8**2) / (seeds * images)
    assert unbiased == pytest.approx(true, rel=0.03)


def _fast_squares(cells: np.ndarray) -> tuple[float, float, float]:
    found, (seeds, images) = components(cells), cells.shape
    residual = found.residual**2 * images
    by_seed = images * cells.mean(axis=1).var(ddof=1)
    by_image = seeds * cells.mean(axis=0).var(ddof=1)
    return by_seed, by_image, residual


def test_more_seeds_and_more_images_each_narrow_the_interval() -> None:
    world = _world(3, seeds=20, images=2000)
    widths = [
        crossed(world[:seeds, :images]).se for seeds, images in ((5, 200), (5, 2000), (20, 2000))
    ]
    assert all(wide > narrow for wide, narrow in pairwise(widths))


@given(CELLS, st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_p_is_under_alpha_exactly_where_the_interval_leaves_out_0(
    cells: np.ndarray, confidence: float
) -> None:
    found, p = crossed(cells, confidence), p_value(cells)
    if min(abs(found.low), abs(found.high)) > 1e-6 * (1 + found.se):
        assert (p < 1 - confidence) == (found.low > 0 or found.high < 0)


def test_p_without_variance_of_images_is_scipys_t_test_of_the_seeds() -> None:
    scores = np.array([0.1, 0.3, 0.25, 0.4])
    assert p_value(np.repeat(scores[:, None], 50, axis=1)) == pytest.approx(
        stats.ttest_1samp(scores, 0).pvalue
    )


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (0.5, 0.0)])
def test_p_of_what_never_varies_is_certain(value: float, p: float) -> None:
    cells = np.full((3, 10), value)
    assert p_value(cells) == p
    assert crossed(cells).low == crossed(cells).high == value


def test_a_p_that_is_next_to_nothing_is_still_a_number() -> None:
    """More seeds than any sweep has, and a difference of a thousand standard errors."""
    assert 0 < p_value(1000 + _world(0, seeds=400, images=400)) <= 1e-99


def test_components_are_the_ones_by_hand_from_the_mean_squares() -> None:
    cells = _world(1)
    by_seed, by_image, residual = _squares_by_hand(cells)
    seeds, images = cells.shape
    expected = Components(
        seed=math.sqrt((by_seed - residual) / images),
        images=math.sqrt((by_image - residual) / seeds / images),
        residual=math.sqrt(residual / images),
    )
    found = components(cells)
    assert (found.seed, found.images, found.residual) == pytest.approx(
        (expected.seed, expected.images, expected.residual)
    )


def test_components_are_found_as_they_were_planted() -> None:
    found = components(_world(5, seeds=400, images=500))
    assert (found.seed, found.images, found.residual) == pytest.approx(
        (0.3, 0.8 / 500**0.5, 1 / 500**0.5), rel=0.1
    )


@given(CELLS)
def test_no_component_is_below_0_and_the_error_is_made_of_them(cells: np.ndarray) -> None:
    found, seeds = components(cells), len(cells)
    assert min(found.seed, found.images, found.residual) >= 0
    if found.seed > 0:
        squared = found.seed**2 / seeds + found.images**2 + found.residual**2 / seeds
        assert crossed(cells).se == pytest.approx(math.sqrt(squared), abs=1e-6)


def test_two_seeds_are_enough_for_components() -> None:
    assert components(_world(1)[:2]).residual > 0


def _nested_by_hand(
    cells: np.ndarray, recipes: list[int], luck: float = 1.0, tail: float = 0.025
) -> tuple[float, float]:
    """Return the standard error and the half of the interval, by a textbook's sums of squares.

    Searle, Casella and McCulloch (1992), section 3.6: the one-way random model, unequal numbers.
    """
    rows = [float(np.mean(row)) for row in cells]
    groups: dict[int, list[float]] = {}
    for recipe, row in zip(recipes, rows, strict=True):
        groups.setdefault(recipe, []).append(row)
    n, k = len(rows), len(groups)
    mean = sum(rows) / n
    ss_between = sum(len(g) * (sum(g) / len(g) - mean) ** 2 for g in groups.values())
    ss_within = sum((row - sum(g) / len(g)) ** 2 for g in groups.values() for row in g)
    within = ss_within / (n - k)
    n0 = (n - sum(len(g) ** 2 for g in groups.values()) / n) / (k - 1)
    between = max((ss_between / (k - 1) - within) / n0, 0.0)

    _, by_image, residual = _squares_by_hand(cells)
    parts = [
        (within / n, n - k if k >= 5 else k - 1),
        (luck * between * sum(len(g) ** 2 for g in groups.values()) / n**2, k - 1),
        (max(by_image - residual, 0.0) / cells.size, cells.shape[1] - 1),
    ]
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return 0.0, 0.0
    quantile = sum(variance / total * stats.t.isf(tail, df) for variance, df in parts)
    return math.sqrt(total), quantile * math.sqrt(total)


@st.composite
def nested(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    """Draw cells of two recipes or more, of which one or more has several seeds."""
    cells = draw(
        arrays(np.float64, st.tuples(st.integers(4, 9), st.integers(2, 8)), elements=SCORES)
    )
    number = draw(st.integers(2, len(cells) - 1))
    rest = draw(
        st.lists(
            st.integers(0, number - 1), min_size=len(cells) - number, max_size=len(cells) - number
        )
    )
    recipes = draw(st.permutations([*range(number), *rest]))
    return cells, list(recipes)


@given(nested(), st.sampled_from([1.0, 1.7]))
def test_nested_in_recipes_it_is_a_textbooks_analysis_of_variance(
    drawn: tuple[np.ndarray, list[int]], luck: float
) -> None:
    cells, recipes = drawn
    se, half = _nested_by_hand(cells, recipes, luck)
    found = crossed(cells, recipes=recipes, luck=luck)
    assert found.se == pytest.approx(se, abs=1e-6)
    assert (found.high - found.low) / 2 == pytest.approx(half, abs=1e-5)
    assert found.mean == pytest.approx(cells.mean())


@given(CELLS, st.sampled_from([0.8, 0.95]))
def test_with_one_seed_of_each_recipe_or_one_recipe_nested_is_crossed(
    cells: np.ndarray, confidence: float
) -> None:
    plain = crossed(cells, confidence)
    assert crossed(cells, confidence, recipes=range(len(cells))) == plain
    assert crossed(cells, confidence, recipes=[4] * len(cells), luck=1.7) == plain
    assert p_value(cells, range(len(cells))) == p_value(cells)


def test_the_luck_of_a_search_is_that_of_recipes_and_of_both_where_nothing_tells_them_apart() -> (
    None
):
    cells = _world(2, seeds=6) + 2 * np.array([0, 1, 2, 0, 1, 2])[:, None]
    one, lucky = (errors(cells, [0, 1, 2, 0, 1, 2], luck) for luck in (1.0, 1.7))
    assert one
    assert lucky
    assert lucky.recipes.variance == pytest.approx(1.7 * one.recipes.variance)
    assert (lucky.seeds, lucky.images) == (one.seeds, one.images)
    single, both = (errors(cells, range(6), luck) for luck in (1.0, 1.7))
    assert single
    assert both
    assert both.seeds.variance == pytest.approx(1.7 * single.seeds.variance)
    assert both.recipes.variance == single.recipes.variance == 0.0


def test_whose_recipes_do_not_differ_more_than_their_seeds_has_no_part_of_recipes() -> None:
    cells = np.repeat(np.array([0.1, 0.3, 0.3, 0.1])[:, None], 5, axis=1)
    assert within_and_between(cells.mean(axis=1), [0, 0, 1, 1]) == pytest.approx((0.02, -0.01))
    found = errors(cells, [0, 0, 1, 1])
    assert found
    assert found.recipes.variance == 0.0
    assert (found.seeds.variance, found.seeds.df) == pytest.approx((0.02 / 4, 1.0))


@pytest.mark.parametrize("recipes", [[0, 0, 0], [0, 1, 2], [7, 3, 5]])
def test_where_one_mean_square_tells_all_there_are_no_two_parts(recipes: list[int]) -> None:
    assert within_and_between(np.array([0.1, 0.2, 0.4]), recipes) is None


def test_recipes_that_are_not_as_many_as_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="there must be a recipe per seed, 4, but got 3"):
        crossed(_world(0), recipes=[0, 1, 2])


@given(nested(), st.floats(-1, 1), st.sampled_from([0.5, 0.9, 0.976, 0.999]))
def test_p_against_a_mean_is_under_alpha_exactly_where_the_interval_leaves_it_out(
    drawn: tuple[np.ndarray, list[int]], null: float, confidence: float
) -> None:
    cells, recipes = drawn
    found = crossed(cells, confidence, recipes, luck=1.3)
    p = p_value(cells, recipes, null, luck=1.3)
    if min(abs(found.low - null), abs(found.high - null)) > 1e-6 * (1 + found.se):
        assert (p < 1 - confidence) == (found.low > null or found.high < null)


def test_the_parts_of_an_error_are_those_of_its_square_and_the_residual_is_of_seeds() -> None:
    cells = _world(4, seeds=6)
    found = errors(cells, [0, 1, 2, 0, 1, 2])
    assert found
    parts = found.seeds.variance + found.recipes.variance + found.images.variance
    assert found.se == pytest.approx(math.sqrt(parts))
    *_, residual = _squares_by_hand(cells)
    assert found.residual == pytest.approx(min(residual / cells.size, found.seeds.variance))
    assert errors(cells[:2]) is None
    assert errors(cells[:, :1]) is None


def test_recipes_of_a_search_are_covered_where_they_are_nested_and_else_are_not() -> None:
    """2,000 sweeps of 5 recipes x 2 seeds: a recipe moves a score twice as much as a seed does."""
    rng = np.random.default_rng(0)
    recipes = np.arange(10) % 5
    held = {"nested": 0, "plain": 0}
    count = 2000
    for _ in range(count):
        rows = 0.2 * rng.standard_normal(5)[recipes] + 0.1 * rng.standard_normal(10)
        cells = rows[:, None] + 0.3 * rng.standard_normal(20) + 0.3 * rng.standard_normal((10, 20))
        with_recipes = crossed(cells, recipes=recipes.tolist())
        without = crossed(cells)
        held["nested"] += with_recipes.low <= 0.0 <= with_recipes.high
        held["plain"] += without.low <= 0.0 <= without.high
    assert 0.93 <= held["nested"] / count <= 0.97
    assert held["plain"] / count < 0.92
