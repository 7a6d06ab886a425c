"""Trials that differ in their rate alone: a study for `overhead.py`, which also runs them directly.

    python benchmarks/overhead_study.py --preset full --data FILE.npz --weights FILE --trials 1

OVERHEAD_LAYERS and OVERHEAD_EPOCHS in the environment say what the trials train.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from search_spaces.space import Float, SearchSpace
from sweeps.runner import Study, main

TRIALS = 8
SPACE = SearchSpace(
    arms={"stage2_lr": tuple(round(1e-3 + 1e-4 * number, 6) for number in range(TRIALS))},
    tuned={
        "label_smoothing": Float(low=0.0, high=0.0, default=0.0)
    },  # one value: a trial of the search, as it was
    fixed={
        "trainable_layers": int(os.environ.get("OVERHEAD_LAYERS", "2")),
        "epochs": int(os.environ.get("OVERHEAD_EPOCHS", "8")),
        "image_size": 96,
        "batch_size": 256,
    },
)
STUDY = Study(
    name="overhead",
    question="What does a sweep cost beyond its trials?",
    space=SPACE,
    trials_per_arm=1,
    finalist_seeds=0,
)

if __name__ == "__main__":
    main(STUDY)
