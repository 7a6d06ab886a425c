"""Confident learning against its definition, and on planted wrong labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sweeps.report.confident_learning import confident_joint, suspects, thresholds


def made(
    seed: int, images: int = 60, classes: int = 4
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=images)
    logits = rng.normal(0, 1.5, (images, classes))
    logits[np.arange(images), labels] += 1
    probabilities = np.exp(logits)
    return probabilities / probabilities.sum(axis=1, keepdims=True), labels


def planted(
    images: NDArray[np.int64], wrong: float, seed: int, sure: float = 4.0
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Probabilities of a good model, given labels, and true ones; so many `images` per class."""
    rng = np.random.default_rng(seed)
    true = np.repeat(np.arange(len(images)), images)
    labels = true.copy()
    flipped = rng.permutation(len(true))[: round(wrong * len(true))]
    labels[flipped] = (true[flipped] + rng.integers(1, len(images), len(flipped))) % len(images)
    logits = rng.normal(0, 1, (len(true), len(images)))
    logits[np.arange(len(true)), true] += sure
    probabilities = np.exp(logits)
    return probabilities / probabilities.sum(axis=1, keepdims=True), labels, true


def by_definition(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Equations 1 and 2 of the paper, image by image."""
    classes = range(probabilities.shape[1])
    limits = [
        np.mean([p[c] for p, label in zip(probabilities, labels, strict=True) if label == c])
        for c in classes
    ]
    counts = np.zeros((len(classes), len(classes)))
    for p, label in zip(probabilities, labels, strict=True):
        reached = [c for c in classes if p[c] >= limits[c]]
        if reached:
            counts[label, max(reached, key=lambda c: p[c])] += 1
    return counts


@pytest.mark.parametrize("seed", range(5))
def test_the_joint_is_that_of_the_papers_definition(seed: int) -> None:
    probabilities, labels = made(seed)
    assert np.array_equal(
        confident_joint(probabilities, labels), by_definition(probabilities, labels)
    )


@given(seed=st.integers(0, 10**6))
def test_the_order_of_images_and_the_numbers_of_classes_do_not_matter(seed: int) -> None:
    probabilities, labels = made(seed)
    rng = np.random.default_rng(seed)
    order, number = rng.permutation(60), rng.permutation(4)
    expected = {(s.row, s.given, s.suggested) for s in suspects(probabilities, labels)}
    moved = suspects(probabilities[order][:, np.argsort(number)], number[labels[order]])
    back = np.argsort(number)
    assert {
        (int(order[s.row]), int(back[s.given]), int(back[s.suggested])) for s in moved
    } == expected


@given(seed=st.integers(0, 10**6), classes=st.integers(2, 5), images=st.integers(1, 30))
def test_a_suspect_has_a_likelier_class_and_suspicion_falls(
    seed: int, classes: int, images: int
) -> None:
    probabilities, labels = made(seed, images, classes)
    found = suspects(probabilities, labels)
    assert len({suspect.row for suspect in found}) == len(found)
    known = {
        int(label) for p, label in zip(probabilities, labels, strict=True) if p.argmax() == label
    }
    order = [(suspect.given not in known, -suspect.score) for suspect in found]
    assert order == sorted(order)
    for suspect in found:
        own = probabilities[suspect.row]
        assert suspect.given == labels[suspect.row]
        assert own[suspect.suggested] == own.max() > own[suspect.given]
        assert suspect.score == pytest.approx(1 - own[suspect.given])


def test_labels_that_all_models_agree_with_are_not_suspected() -> None:
    labels = np.arange(30) % 3
    assert suspects(np.eye(3)[labels] * 0.7 + 0.1, labels) == []
    assert suspects(np.full((30, 3), 1 / 3, np.float32), labels) == []


def test_a_class_without_images_is_reached_by_none_and_may_be_suggested() -> None:
    labels = np.array([0] * 10 + [1] * 10)
    probabilities = np.eye(3)[labels] * 0.7 + 0.1
    probabilities[12] = (0.1, 0.2, 0.7)
    assert thresholds(probabilities, labels)[2] == np.inf
    assert suspects(probabilities, labels) == []
    probabilities[17] = (0.9, 0.05, 0.05)
    assert [(s.row, s.suggested) for s in suspects(probabilities, labels)] == [(17, 0), (12, 2)]


def test_images_of_a_class_that_no_model_recognizes_come_last() -> None:
    labels = np.array([0] * 40 + [1] * 40 + [2] * 3)
    probabilities = np.eye(3)[labels] * 0.8 + 0.05
    probabilities[80:] = (0.8, 0.15, 0.05)
    assert suspects(probabilities, labels) == []
    probabilities[3] = (0.06, 0.9, 0.04)
    assert [suspect.row for suspect in suspects(probabilities, labels)][:2] == [3, 80]


@pytest.mark.parametrize("wrong", [0.05, 0.07, 0.10])
@pytest.mark.parametrize(
    "images", [[60] * 5, [200, 100, 50, 20, 10]], ids=["equal classes", "1 to 20"]
)
def test_most_planted_wrong_labels_are_at_the_top(images: list[int], wrong: float) -> None:
    for seed in range(5):
        probabilities, labels, true = planted(np.array(images), wrong, seed)
        found = suspects(probabilities, labels)
        count = int((labels != true).sum())
        hits = [suspect for suspect in found[:count] if labels[suspect.row] != true[suspect.row]]
        assert len(hits) >= 0.9 * count
        assert len(found) <= 2 * count
        assert all(suspect.suggested == true[suspect.row] for suspect in hits[: count // 2])


def test_of_real_images_and_a_real_model_most_planted_labels_are_found() -> None:
    from sklearn.datasets import load_digits

    scans = load_digits()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(scans.target))
    pixels, true = scans.data[order] / 16, scans.target[order]
    labels = true.copy()
    flipped = rng.permutation(len(true))[: round(0.07 * len(true))]
    labels[flipped] = (true[flipped] + rng.integers(1, 10, len(flipped))) % 10
    # ridge regression on half of the images, whose labels are as wrong
    seen, asked = pixels[:900], pixels[900:]
    weights = np.linalg.solve(seen.T @ seen + 10 * np.eye(64), seen.T @ np.eye(10)[labels[:900]])
    probabilities = np.exp(8 * asked @ weights)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    found = suspects(probabilities, labels[900:])
    wrong = (labels != true)[900:]
    count = int(wrong.sum())
    assert sum(wrong[suspect.row] for suspect in found[:count]) >= 0.7 * count
    assert count <= len(found) <= 3 * count
