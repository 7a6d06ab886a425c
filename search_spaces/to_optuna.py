"""The bridge from an arm's tuned dimensions to Optuna's define-by-run trial."""

from __future__ import annotations

import optuna

from search_spaces.space import Arm, Choice, Float, Value, applies


def suggest(arm: Arm, trial: optuna.trial.BaseTrial) -> dict[str, Value]:
    """Ask an Optuna trial for a value of every tuned dimension whose condition holds.

    They are asked for in the order they are written.
    """
    sample: dict[str, Value] = {}
    for name, dim in arm.tuned.items():
        if not applies(dim, {**arm.fixed, **sample}):
            continue
        if isinstance(dim, Choice):
            chosen = trial.suggest_categorical(name, dim.options)
            assert chosen is not None
            sample[name] = chosen
        elif isinstance(dim, Float):
            sample[name] = trial.suggest_float(name, dim.low, dim.high, log=dim.log)
        else:
            sample[name] = trial.suggest_int(name, dim.low, dim.high, log=dim.log)
    return sample
