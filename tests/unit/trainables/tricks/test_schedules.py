"""Schedules equal PyTorch's schedulers at every step."""

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    SequentialLR,
    StepLR,
)

from trainables.tricks.schedules import lr_factor

BASE = 0.3


def reference(scheduler: str, total: int, warmup: int) -> list[float]:
    """The rate at each of PyTorch's steps."""
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=BASE)
    length = total - warmup
    after: LRScheduler
    if scheduler == "constant":
        after = ConstantLR(optimizer, factor=1)
    elif scheduler == "cosine":
        after = CosineAnnealingLR(optimizer, T_max=length)
    elif length % 3 == 0:
        after = StepLR(optimizer, step_size=length // 3, gamma=0.1)
    else:
        after = MultiStepLR(optimizer, milestones=[-(-length // 3), -(-2 * length // 3)], gamma=0.1)
    if warmup:
        growth = LinearLR(
            optimizer, start_factor=1 / (warmup + 1), end_factor=1, total_iters=warmup
        )
        after = SequentialLR(optimizer, [growth, after], milestones=[warmup])
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        after.step()
    return rates


@pytest.mark.filterwarnings("ignore:The epoch parameter")  # SequentialLR's own
@pytest.mark.parametrize("scheduler", ["constant", "step", "cosine"])
@pytest.mark.parametrize(
    ("total", "warmup"),
    [(30, 0), (31, 0), (32, 0), (1, 0), (2, 0), (30, 6), (31, 5), (20, 1), (12, 11)],
)
def test_a_schedule_equals_pytorchs_step_by_step(scheduler: str, total: int, warmup: int) -> None:
    ours = [BASE * lr_factor(scheduler, step, total, warmup) for step in range(total)]
    assert ours == pytest.approx(reference(scheduler, total, warmup), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("scheduler", ["constant", "step", "cosine"])
@pytest.mark.parametrize("warmup", [0, 4])
def test_the_base_rate_is_reached_right_after_warm_up_and_never_passed(
    scheduler: str, warmup: int
) -> None:
    factors = [lr_factor(scheduler, step, 23, warmup) for step in range(23)]
    assert factors[warmup] == 1 == max(factors)
    assert factors[: warmup + 1] == sorted(factors[: warmup + 1])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert min(factors) > 0


def test_thirds_get_a_tenth_each_time() -> None:
    assert [lr_factor("step", step, 6) for step in range(6)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )


def test_a_schedule_that_no_recipe_can_hold_is_impossible() -> None:
    with pytest.raises(AssertionError, match="cosin"):
        lr_factor("cosin", 0, 10)
