"""Class weights are scikit-learn's, and keep the loss's scale whatever other tricks do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from trainables.backbones import build
from trainables.data.dataset import Split
from trainables.recipe import Recipe
from trainables.stages import stages, start_stage
from trainables.step import train_batch
from trainables.tricks.class_weights import class_weights, weigh
from trainables.tricks.label_smoothing import smooth_targets
from trainables.tricks.mixup import mixup

LABELS = torch.tensor([0] * 40 + [1] * 8 + [2] * 2)


def test_weights_are_scikit_learns_balanced_and_their_mean_over_the_images_is_1() -> None:
    weights = class_weights(LABELS, 3)
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx(
        compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy())
    )
    assert weights[LABELS].mean().item() == pytest.approx(1)


def test_classes_of_one_size_weigh_1() -> None:
    assert class_weights(torch.arange(12) % 4, 4).tolist() == [1.0] * 4


def test_a_class_without_images_weighs_nothing_and_the_others_as_without_it() -> None:
    assert class_weights(LABELS, 5).tolist() == [*class_weights(LABELS, 3).tolist(), 0.0, 0.0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_weighed_loss_is_the_mean_of_each_images_loss_times_its_weight(
    smoothing: float,
) -> None:
    logits = torch.randn(len(LABELS), 3, generator=torch.Generator().manual_seed(0))
    targets = smooth_targets(LABELS, 3, smoothing)
    loss = F.cross_entropy(logits, weigh(targets, class_weights(LABELS, 3), smoothing=smoothing))
    each = F.cross_entropy(logits, LABELS, reduction="none", label_smoothing=smoothing)
    weights = torch.tensor(compute_sample_weight("balanced", LABELS.numpy())).float()
    torch.testing.assert_close(loss, (weights * each).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_an_image_that_was_mixed_weighs_the_mean_of_its_two_by_their_shares(
    smoothing: float,
) -> None:
    weights, images = class_weights(LABELS, 3), LABELS.float().view(-1, 1, 1, 1)
    draw = {"alpha": 0.4, "seed": 1, "epoch": 2, "batch": 3}
    _, mixed = mixup(images, smooth_targets(LABELS, 3, smoothing), **draw)
    # By the same partners and shares.
    own, _ = mixup(weights[LABELS].view(-1, 1, 1, 1), mixed, **draw)
    torch.testing.assert_close(weigh(mixed, weights, smoothing=smoothing).sum(1), own.flatten())


def _uneven(data: Any) -> Any:
    """The training data without most of the images of two classes."""
    train = data.split("train")
    kept = np.flatnonzero((train.labels == 0) | (np.arange(len(train.labels)) < 9))
    return replace(
        data, splits={**data.splits, "train": Split(train.images[kept], train.labels[kept])}
    )


def test_a_run_with_balanced_weights_is_another_one_where_classes_differ(
    tiny: Recipe, data: Any, run: Callable[..., list[dict[str, Any]]]
) -> None:
    recipe = replace(tiny, optimizer="sgd")
    plain, weighed = (
        run(replace(recipe, class_weights=how), on=_uneven(data)) for how in ("none", "balanced")
    )
    assert plain[-1]["train/loss"] != weighed[-1]["train/loss"]


def test_in_micro_batches_the_weighed_gradient_is_that_of_the_whole_batch(tiny: Recipe) -> None:
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(10, 3, 32, 32, generator=generator), torch.tensor([0] * 8 + [1] * 2)
    targets = weigh(smooth_targets(labels, 3, 0.1), class_weights(labels, 3), smoothing=0.1)
    results = []
    for size in (None, 4):
        network = build(tiny, 3)
        # Without BatchNorm in train mode, whose batch it is.
        network.train_groups(1, batch_stats=False)
        network.micro_batch = size
        optimizer = start_stage(
            replace(tiny, optimizer="sgd", trainable_layers=1), network, stages(tiny)[0]
        )
        _, loss = train_batch(network, optimizer, images, targets)
        results.append((loss, network.get_submodule("fc").state_dict()))
    (loss, head), (part_loss, part_head) = results
    torch.testing.assert_close(part_loss, loss)
    for key, value in head.items():
        torch.testing.assert_close(part_head[key], value)
