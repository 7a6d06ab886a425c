"""Do the recipes of the comparison with other ways to run them: 12 arms with nothing tuned.

Run by `sweep_vs_peers.py`.

    python benchmarks/peers_study.py --preset full --data FILE.npz --weights FILE --trials 1

PEERS_EPOCHS in the environment makes the recipes shorter, for a smoke test.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from search_spaces.space import Float, SearchSpace, Value, Variant
from sweeps.runner import Study, main

EPOCHS = int(os.environ.get("PEERS_EPOCHS", "5"))
STAGE1_EPOCHS = min(2, EPOCHS - 1)


def stages(trainable_layers: int, stage1_epochs: int) -> Variant:
    """One stage at a rate that fits its layers, or a warm-up and a lower rate."""
    rate = 3e-4 if stage1_epochs else 1e-2 if trainable_layers == 1 else 1e-3
    fixed: dict[str, Value] = {
        "trainable_layers": trainable_layers,
        "stage1_epochs": stage1_epochs,
        "stage2_lr": rate,
    }
    return Variant(fixed=fixed)


SPACE = SearchSpace(
    arms={
        "stages": {
            f"{layers}-{name}": stages(layers, stage1_epochs)
            for layers in (1, 2, 3)
            for name, stage1_epochs in (("one", 0), ("two", STAGE1_EPOCHS))
        },
        "augmentation": ("none", "crop_flip"),
    },
    tuned={
        "label_smoothing": Float(low=0.0, high=0.0, default=0.0)
    },  # one value: a trial of the search each
    fixed={
        "backbone": "resnet18",
        "optimizer": "adamw",
        "scheduler": "constant",
        "stage1_lr": 1e-3,
        "epochs": EPOCHS,
        "batch_size": 256,
        "image_size": 96,
    },
)
STUDY = Study(
    name="peers",
    question="What do 12 recipes of ResNet-18 reach?",
    space=SPACE,
    trials_per_arm=1,
    finalist_seeds=0,
)

if __name__ == "__main__":
    main(STUDY)
