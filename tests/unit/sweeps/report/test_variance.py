"""Intervals over seeds, over seeds and images, and from where a score's spread comes."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from sweeps.report.variance import Components, components, crossed, over_seeds, p_value

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
