"""Balanced accuracy as a mean over images.

The value is exact, and intervals hold what they say though classes are uneven.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from sweeps.records.design import Design
from sweeps.report.effects import pairs
from sweeps.report.strata import balanced
from sweeps.report.variance import crossed

REPETITIONS = 400
TEN_TO_ONE = (200, 120, 80, 40, 20), (0.95, 0.9, 0.85, 0.75, 0.6)
SPREADS = {
    "seeds": (0.2, 0.5, 0.0),
    "both": (0.09, 1.0, 0.0),
    "seeds by class": (0.09, 0.5, 0.3),
    "nothing": (0.0, 0.0, 0.0),
}
"""Of seeds, of images, and of what a seed makes of a class, in units of the noise."""


@given(st.integers(1, 5), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_the_mean_over_images_is_the_mean_of_the_classes_recalls(
    classes: int, images: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, images, p=rng.dirichlet(np.full(classes, 0.5)))
    right = rng.random(images) < 0.7
    values = balanced(right, labels)
    assert values.mean() == pytest.approx(
        np.mean([right[labels == at].mean() for at in np.unique(labels)])
    )
    assert values.shape == (images,)


def test_where_all_classes_have_as_many_images_it_is_nearly_whether_each_is_right() -> None:
    labels = np.arange(400) % 2
    right = np.random.default_rng(0).random(400) < 0.7
    values = balanced(right, labels)
    assert values.mean() == pytest.approx(right.mean())
    assert values.std() == pytest.approx(right.std(), rel=0.01)


def test_the_variance_is_the_mean_of_the_classes_own() -> None:
    """The textbook estimate, by class."""
    labels = np.repeat([0, 1, 2], [100, 30, 7])
    right = np.random.default_rng(1).random(137) < np.array([0.9, 0.7, 0.5])[labels]
    own = [right[labels == at].var(ddof=1) / (labels == at).sum() for at in range(3)]
    assert balanced(right, labels).var(ddof=0) / 137 == pytest.approx(sum(own) / 9)


def _world(
    rng: np.random.Generator, seeds: int, spread: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw right or wrong [seeds, images] and labels; smaller classes are harder."""
    sizes, skills = TEN_TO_ONE
    of_seed, of_image, of_class = spread
    labels = np.repeat(np.arange(len(sizes)), sizes)
    scale = math.sqrt(1 + of_seed**2 + of_image**2 + of_class**2)
    total = scale * special.ndtri(np.array(skills))[labels]
    total = (
        total
        + of_image * rng.standard_normal(len(labels))
        + of_seed * rng.standard_normal((seeds, 1))
    )
    total = total + of_class * rng.standard_normal((seeds, len(sizes)))[:, labels]
    return total + rng.standard_normal(total.shape) > 0, labels


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS)
def test_95_percent_intervals_hold_in_92_to_98_percent_of_worlds_with_classes_of_20_to_200_images(
    seeds: int, spread: tuple[float, float, float]
) -> None:
    rng, truth, hits = np.random.default_rng(0), np.mean(TEN_TO_ONE[1]), 0
    for _ in range(REPETITIONS):
        right, labels = _world(rng, seeds, spread)
        found = crossed(np.stack([balanced(run, labels) for run in right]))
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / REPETITIONS <= 0.98


def test_of_two_arms_of_one_skill_at_most_7_percent_of_intervals_exclude_0() -> None:
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(REPETITIONS):
        worlds = [_world(rng, 5, SPREADS["both"]) for _ in range(2)]
        values = {
            str(at): {seed: balanced(run, labels) for seed, run in enumerate(right)}
            for at, (right, labels) in enumerate(worlds)
        }
        row = pairs(values, Design(recipes=1, seeds=5, worth=0.01)).iloc[0]
        wrong += row["low"] > 0 or row["high"] < 0
    assert wrong / REPETITIONS <= 0.07
