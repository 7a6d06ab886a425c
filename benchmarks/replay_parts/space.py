"""The arms whose runs are recorded: `depth_vs_tricks` with one backbone, as deep as it is trained.

Depth is the number of layer groups that train: of a deeper backbone there are no weights wherever
this is recorded, and what policies are asked about is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from search_spaces.depth_vs_tricks import PLAIN, TRICKS
from search_spaces.space import Arm, Choice, Dimension, Float, Int, SearchSpace, Value, Variant
from sweeps.runner.study import Contrast

EPOCHS = 20


def _without_layers(variant: Variant) -> Variant:
    tuned = {name: dim for name, dim in variant.tuned.items() if name != "trainable_layers"}
    return replace(variant, tuned=tuned)


SPACE = SearchSpace(
    arms={
        "layers": {
            "few": Variant(tuned={"trainable_layers": Int(low=1, high=2, default=2)}),
            "many": Variant(tuned={"trainable_layers": Int(low=3, high=4, default=3)}),
        },
        "recipe": {"plain": _without_layers(PLAIN), "tricks": _without_layers(TRICKS)},
    },
    fixed={"backbone": "resnet18", "epochs": EPOCHS, "optimizer": "adamw", "head": "linear"},
)

CONTRASTS = (
    Contrast(name="tricks", weights={"*/tricks": 1, "*/plain": -1}),
    Contrast(name="layers", weights={"many/*": 1, "few/*": -1}),
    Contrast(
        name="layers x tricks",
        weights={"many/tricks": 1, "many/plain": -1, "few/tricks": -1, "few/plain": 1},
    ),
)


def random_sample(arm: Arm, rng: np.random.Generator) -> dict[str, Value]:
    """Return one value of each tuned dimension, as Optuna's first trials draw them."""
    return {name: _value(dim, rng) for name, dim in arm.tuned.items()}


def place(arm: Arm, sample: Mapping[str, Value]) -> np.ndarray:
    """Return where a sample lies in its arm: each dimension is as long as any other, 0 to 1."""
    places: list[float] = []
    for name, dim in arm.tuned.items():
        value = sample[name]
        if isinstance(dim, Choice):
            # Any two options are as far apart as the two ends of a range.
            places += [float(value == option) / 2**0.5 for option in dim.options]
            continue
        assert isinstance(value, int | float)
        low, high = float(dim.low), float(dim.high)
        at = float(value)
        if dim.log:
            low, high, at = np.log(low), np.log(high), np.log(at)
        places.append((at - low) / (high - low))
    return np.array(places)


def _value(dim: Dimension, rng: np.random.Generator) -> Value:
    if isinstance(dim, Choice):
        return dim.options[int(rng.integers(len(dim.options)))]
    if isinstance(dim, Float) and dim.log:
        return float(np.exp(rng.uniform(np.log(dim.low), np.log(dim.high))))
    if isinstance(dim, Float):
        return float(rng.uniform(dim.low, dim.high))
    return int(rng.integers(dim.low, dim.high + 1))
