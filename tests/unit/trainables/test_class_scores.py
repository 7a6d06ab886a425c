"""Balanced accuracy and macro F1 are scikit-learn's."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from trainables.class_scores import class_scores


@given(st.integers(1, 6), st.integers(1, 60), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_scores_are_scikit_learns_whatever_classes_are_missing(
    classes: int, images: int, seed: int, skill: float
) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(classes, 0.5))  # some classes have next to nothing, or nothing
    labels = rng.choice(classes, images, p=shares)
    predicted = np.where(rng.random(images) < skill, labels, rng.integers(0, classes, images))
    found = class_scores(torch.tensor(labels), torch.tensor(predicted), classes)
    assert found.accuracy == accuracy_score(labels, predicted)
    with warnings.catch_warnings():
        # That a predicted class is not among the true ones.
        warnings.simplefilter("ignore", UserWarning)
        assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert found.macro_f1 == pytest.approx(
        f1_score(labels, predicted, average="macro", zero_division=0)
    )


def test_who_always_says_the_largest_class_has_high_accuracy_and_a_guess_s_balanced_one() -> None:
    labels = torch.tensor([0] * 95 + [1] * 5)
    found = class_scores(labels, torch.zeros_like(labels), 2)
    assert (found.accuracy, found.balanced_accuracy) == (0.95, 0.5)
    assert found.macro_f1 == pytest.approx(0.5 * 2 * 95 / (100 + 95))


def test_where_classes_have_as_many_images_balanced_accuracy_is_accuracy() -> None:
    labels = torch.arange(60) % 3
    predicted = (labels + (torch.arange(60) % 7 == 0).long()) % 3
    found = class_scores(labels, predicted, 3)
    assert found.balanced_accuracy == pytest.approx(found.accuracy)
