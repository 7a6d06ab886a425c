"""Learning-rate schedules as pure functions of the step.

They are equal to PyTorch's schedulers of the same name.

Constant, step decay and cosine annealing (Loshchilov & Hutter 2017, without restarts), each with an
optional linear warm-up (Goyal et al. 2017). There is no state: a resumed run needs only its step.
"""

from __future__ import annotations

import math

STEP_GAMMA = 0.1  # every third of the stage


def lr_factor(scheduler: str, step: int, total_steps: int, warmup_steps: int = 0) -> float:
    """Return the factor of the base rate at one optimizer step.

    Args:
        scheduler: `constant`, `step` (x0.1 at each third) or `cosine` (to 0 at the end).
        step: The step about to be taken, from 0 to total_steps - 1.
        total_steps: Steps of the whole stage, warm-up included.
        warmup_steps: The rate grows linearly over so many steps, reaching the base rate at the step
            after; 0 is off.

    Returns:
        A factor in [0, 1].
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    done = step - warmup_steps
    length = total_steps - warmup_steps
    if scheduler == "constant":
        return 1.0
    if scheduler == "step":
        return float(STEP_GAMMA ** (3 * done // length))
    if scheduler == "cosine":
        return (1 + math.cos(math.pi * done / length)) / 2
    raise AssertionError(f"a recipe cannot hold the scheduler {scheduler!r}")
