"""From what a comparison's uncertainty comes, and what would decide it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweeps.records.design import Design
from sweeps.report.narrowing import MOST, Narrowing, decides, narrow, with_images, with_seeds
from sweeps.report.variance import Errors, errors
from sweeps.report.verdicts import Compared, level_of

WORTH = 0.01


def design(recipes: int = 1, seeds: int = 12) -> Design:
    return Design(recipes=recipes, seeds=seeds, worth=WORTH)


def compared(
    rng: np.random.Generator,
    *,
    mean: float = 0.0,
    recipes: float = 0.0,
    seeds: float = 0.0,
    images: float = 0.0,
    residual: float = 0.0,
    shape: tuple[int, int] = (12, 50),
    turn: int = 1,
) -> Compared:
    """Return differences with planted standard deviations and with exactly this mean."""
    n, count = shape
    rows = recipes * rng.standard_normal(turn)[np.arange(n) % turn, None]
    rows = rows + seeds * rng.standard_normal((n, 1))
    columns = images * rng.standard_normal((1, count))
    values = rows + columns + residual * rng.standard_normal(shape)
    return Compared(np.arange(n), values - values.mean() + mean)


def error_of(one: Compared, made: Design) -> Errors:
    found = errors(one.values, one.recipes(made), made.luck)
    assert found
    return found


def test_planted_parts_are_recovered_on_average() -> None:
    """Over 400 sweeps of 4 recipes x 3 seeds and 50 images."""
    rng = np.random.default_rng(0)
    planted = {"recipes": 0.05, "seeds": 0.02, "images": 0.3, "residual": 0.1}
    made = design(recipes=4)
    squares = np.zeros(3)
    for _ in range(400):
        found = narrow(compared(rng, turn=4, **planted), made, 1)
        squares += np.square([found.of_seeds, found.of_recipes, found.of_images]) / 400
    expected = [(0.02**2 + 0.1**2 / 50) / 12, 0.05**2 / 4, 0.3**2 / 50]
    assert squares == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("binds", ["seeds", "recipes", "images"])
def test_what_binds_is_the_largest_part(binds: str) -> None:
    rng = np.random.default_rng(0)
    planted = {"seeds": 0.01, "recipes": 0.01, "images": 0.05, "residual": 0.01}
    planted[binds] *= 20
    assert narrow(compared(rng, turn=4, **planted), design(recipes=4), 1).binds == binds


def test_where_seeds_bind_more_of_them_would_decide_and_images_would_not() -> None:
    one = compared(np.random.default_rng(0), mean=0.03, seeds=0.05, images=0.001)
    made = design()
    found = narrow(one, made, 1)
    assert found.binds == "seeds"
    assert math.isnan(found.more_images)

    # The first whole round that decides, at the level that its look has.
    error = error_of(one, made)
    numbers = range(made.round * (12 // made.round + 1), 12 * MOST, made.round)
    able = []
    for number in numbers:
        t = 0.03 / with_seeds(error, 12, number).se
        if t > with_seeds(error, 12, number).quantile(level_of(number, made) / 2):
            able.append(number)
    assert found.more_seeds == able[0] - 12
    assert 3 <= found.more_seeds < 60
    assert found.more_seeds % made.round == 0


def test_where_images_bind_more_of_them_would_decide_and_seeds_would_not() -> None:
    one = compared(np.random.default_rng(0), mean=0.03, seeds=0.001, images=0.15)
    found = narrow(one, design(), 1)
    assert found.binds == "images"
    assert math.isnan(found.more_seeds)
    assert 10 < found.more_images < 2000

    # As many more decide, and a tenth fewer do not.
    error = error_of(one, design())
    level = level_of(12, design())
    enough = 50 + int(found.more_images)
    assert decides(with_images(error, 50, enough), 0.03, WORTH, level)
    assert not decides(with_images(error, 50, int(enough / 1.1) - 1), 0.03, WORTH, level)


def test_where_recipes_bind_neither_would_decide() -> None:
    one = compared(np.random.default_rng(0), mean=0.03, recipes=0.05, seeds=0.005, turn=4)
    found = narrow(one, design(recipes=4), 1)
    assert found.binds == "recipes"
    assert math.isnan(found.more_seeds)
    assert math.isnan(found.more_images)


def test_what_seeds_make_of_these_very_images_falls_with_more_images_too() -> None:
    """A run that is right on some images by chance: on more images chance evens out."""
    one = compared(np.random.default_rng(1), mean=0.03, residual=0.4)
    found = narrow(one, design(), 1)
    assert found.binds == "seeds"
    assert found.more_seeds > 0
    assert found.more_images > 0


def test_that_no_difference_matters_can_be_decided_too() -> None:
    one = compared(np.random.default_rng(0), mean=0.0, seeds=0.02)
    found = narrow(one, design(), 1)
    assert not decides(error_of(one, design()), 0.0, WORTH, level_of(12, design()))
    number = 12 + int(found.more_seeds)
    error = with_seeds(error_of(one, design()), 12, number)
    assert error.quantile(level_of(number, design())) * error.se < WORTH


def test_at_the_edge_of_worth_no_number_of_seeds_is_any_advice() -> None:
    """Neither beyond it nor within it, and different from 0 only after more than are asked for."""
    one = compared(np.random.default_rng(0), mean=0.001, seeds=0.5)
    found = narrow(one, design(), 1)
    assert math.isnan(found.more_seeds)
    assert found.binds == "seeds"


def test_the_more_comparisons_are_open_the_more_seeds_it_takes() -> None:
    one = compared(np.random.default_rng(0), mean=0.03, seeds=0.05)
    more = [narrow(one, design(), open_ones).more_seeds for open_ones in (0, 1, 2, 5, 20)]
    assert more[0] == more[1]
    assert more == sorted(more)
    assert more[-1] > more[1]


@pytest.mark.parametrize("seeds", [3, 4, 5, 6])
def test_more_seeds_end_a_round_whatever_number_there_is(seeds: int) -> None:
    one = compared(np.random.default_rng(3), mean=0.03, seeds=0.03, shape=(seeds, 50))
    made = design(recipes=1)
    assert (seeds + narrow(one, made, 1).more_seeds) % made.round == 0


def test_without_an_interval_nothing_is_said() -> None:
    one = compared(np.random.default_rng(0), shape=(2, 50), seeds=0.1)
    unknown = narrow(one, design(), 1)
    assert unknown.binds == ""
    for name in ("of_seeds", "of_recipes", "of_images", "more_seeds", "more_images"):
        assert math.isnan(getattr(unknown, name))
        assert math.isnan(getattr(Narrowing(), name))


def test_as_many_seeds_and_images_as_there_are_change_nothing() -> None:
    planted = {"recipes": 0.05, "seeds": 0.02, "images": 0.3, "residual": 0.1}
    error = error_of(compared(np.random.default_rng(0), turn=4, **planted), design(recipes=4))
    assert with_seeds(error, 12, 12) == error
    assert with_images(error, 50, 50).se == pytest.approx(error.se)
    assert with_images(error, 50, 50).images == error.images


def test_four_times_as_many_leave_a_quarter_of_what_they_lower_and_nothing_else() -> None:
    planted = {"recipes": 0.05, "seeds": 0.02, "images": 0.3, "residual": 0.1}
    error = error_of(compared(np.random.default_rng(0), turn=4, **planted), design(recipes=4))
    seeds = with_seeds(error, 12, 48)
    assert seeds.seeds.variance == pytest.approx(error.seeds.variance / 4)
    assert seeds.seeds.df == error.seeds.df == 3, "more seeds of the same four recipes"
    assert (seeds.recipes, seeds.images) == (error.recipes, error.images)
    images = with_images(error, 50, 200)
    assert images.images.variance == pytest.approx(error.images.variance / 4)
    assert images.images.df == error.images.df + 150
    own = error.seeds.variance - error.residual
    assert images.seeds.variance == pytest.approx(own + error.residual / 4)
    assert (images.recipes, images.seeds.df) == (error.recipes, error.seeds.df)


def test_the_error_that_is_foretold_for_more_seeds_and_images_is_on_average_that_of_more() -> None:
    """What 4 recipes x 3 seeds and 50 images foretell of 24 seeds, and of 200 images."""
    rng = np.random.default_rng(0)
    planted = {"recipes": 0.03, "seeds": 0.03, "images": 0.3, "residual": 0.2, "turn": 4}
    made = design(recipes=4)
    told = np.zeros(2)
    had = np.zeros(2)
    for _ in range(300):
        error = error_of(compared(rng, **planted), made)
        told += [with_seeds(error, 12, 24).se ** 2, with_images(error, 50, 200).se ** 2]
        for at, shape in enumerate(((24, 50), (12, 200))):
            had[at] += error_of(compared(rng, shape=shape, **planted), made).se ** 2
    assert told == pytest.approx(had, rel=0.05)


def test_what_never_varies_is_decided() -> None:
    one = Compared(np.arange(3), np.full((3, 5), 0.02))
    error = error_of(one, design())
    assert error.se == 0.0
    assert decides(error, 0.02, WORTH, 1e-9)
