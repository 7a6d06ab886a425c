"""Mixup against the formula of its paper, written with numpy."""

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.randomness import named_seed
from trainables.tricks.mixup import mixup

NAMES = {"seed": 3, "epoch": 2, "batch": 5}


def batch(size: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(size)
    return torch.rand(size, 3, 4, 4, generator=generator), torch.eye(size)


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 8.0])
def test_images_and_targets_are_the_papers_convex_combination(alpha: float) -> None:
    images, targets = batch()
    rng = np.random.default_rng(named_seed(3, "mixup", 2, 5))
    weight, partner = rng.beta(alpha, alpha), rng.permutation(6)
    x, y = images.double().numpy(), targets.double().numpy()
    mixed, mixed_targets = mixup(images, targets, alpha=alpha, **NAMES)
    np.testing.assert_allclose(mixed, weight * x + (1 - weight) * x[partner], atol=1e-6)
    np.testing.assert_allclose(mixed_targets, weight * y + (1 - weight) * y[partner], atol=1e-6)
    assert mixed.dtype == mixed_targets.dtype == torch.float32


def test_alpha_0_does_nothing() -> None:
    images, targets = batch()
    mixed, mixed_targets = mixup(images, targets, alpha=0.0, **NAMES)
    assert torch.equal(mixed, images)
    assert torch.equal(mixed_targets, targets)


def test_the_same_names_give_the_same_mix_and_another_name_another_one() -> None:
    images, targets = batch()
    first = mixup(images, targets, alpha=1.0, **NAMES)[0]
    torch.rand(7)
    np.random.rand(7)
    assert torch.equal(first, mixup(images, targets, alpha=1.0, **NAMES)[0])
    for name in NAMES:
        other = mixup(images, targets, alpha=1.0, **(NAMES | {name: 9}))[0]
        assert not torch.equal(first, other)


def test_the_batch_that_came_in_is_left_as_it_was() -> None:
    images, targets = batch()
    before = images.clone(), targets.clone()
    mixup(images, targets, alpha=1.0, **NAMES)
    assert torch.equal(images, before[0])
    assert torch.equal(targets, before[1])


def test_targets_stay_probabilities_and_images_stay_in_range() -> None:
    for number in range(20):
        images, targets = mixup(*batch(), alpha=0.3, seed=0, epoch=1, batch=number)
        torch.testing.assert_close(targets.sum(1), torch.ones(6))
        assert targets.min() >= 0
        assert 0 <= images.min() <= images.max() <= 1


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixing_weights_have_the_mean_and_the_variance_of_the_beta_distribution(
    alpha: float,
) -> None:
    images, targets = torch.zeros(8, 1, 1, 1), torch.eye(8)
    # The smallest of the diagonal: an image that is its own partner keeps 1, whatever was drawn.
    mixed = (mixup(images, targets, alpha=alpha, seed=0, epoch=1, batch=i)[1] for i in range(3000))
    weights = np.array([target.diagonal().min().item() for target in mixed])
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(weights.mean() - 0.5) < 5 * (variance / len(weights)) ** 0.5
    assert abs(weights.var() - variance) < 0.1 * variance
