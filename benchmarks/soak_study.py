"""Short trials for `soak.py`, which kills what runs them.

python benchmarks/soak_study.py --preset full --data digits --weights none
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from search_spaces.space import Float, SearchSpace
from sweeps.runner import Study, main

SPACE = SearchSpace(
    arms={"trainable_layers": (2, 3)},
    tuned={"stage2_lr": Float(low=1e-4, high=1e-2, log=True, default=1e-3)},
    fixed={
        "image_size": 32,
        "batch_size": 64,
        "epochs": 12,
        "augmentation": "crop_flip",
        "stage1_epochs": 4,
    },
)
STUDY = Study(
    name="soak",
    question="Is anything lost?",
    space=SPACE,
    trials_per_arm=10,
    finalist_seeds=2,
    asha=True,
)

if __name__ == "__main__":
    main(STUDY)
