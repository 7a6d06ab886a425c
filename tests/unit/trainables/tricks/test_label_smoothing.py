"""Smoothed targets are those of PyTorch's own loss."""

import pytest
import torch
import torch.nn.functional as F

from trainables.tricks.label_smoothing import smooth_targets

LABELS = torch.tensor([0, 3, 1, 1, 6])


@pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.1, 0.5, 0.99])
def test_the_loss_is_that_of_cross_entropys_label_smoothing(smoothing: float) -> None:
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours = F.cross_entropy(logits, smooth_targets(LABELS, 7, smoothing).double())
    torch.testing.assert_close(
        ours, F.cross_entropy(logits, LABELS, label_smoothing=smoothing), rtol=1e-6, atol=0
    )


def test_no_smoothing_gives_one_hot_targets_and_the_plain_loss() -> None:
    targets = smooth_targets(LABELS, 7, 0.0)
    assert torch.equal(targets, F.one_hot(LABELS, 7).float())


def test_rows_sum_to_1_and_the_label_keeps_its_lead() -> None:
    targets = smooth_targets(LABELS, 7, 0.3)
    assert targets.dtype == torch.float32
    torch.testing.assert_close(targets.sum(1), torch.ones(5))
    assert torch.equal(targets.argmax(1), LABELS)
    torch.testing.assert_close(targets.max(1).values, torch.full((5,), 0.7 + 0.3 / 7))
