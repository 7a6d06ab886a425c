"""Image passes: what a run costs, on whatever machine it runs.

The unit is one image forward through the part of a network that is trained. Forward and backward
are three: the gradients of inputs and of weights take about a forward pass each. Frozen layers do
not count: their activations are computed once, for all trials that share them.
"""

from __future__ import annotations

FORWARD = 1
TRAINING = 3


def of_epoch(train: int, val: int) -> int:
    """Return the passes of an epoch: all images of train, then all of val."""
    return TRAINING * train + FORWARD * val


def of_test(val: int, test: int) -> int:
    """Return the passes of a finalist's evaluation, which answers for val and test."""
    return FORWARD * (val + test)
