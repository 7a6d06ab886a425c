"""What do augmentation and a schedule bring to a ResNet-18 from random weights, and do they add up?

Arms:    {no augmentation, crop_flip}  x  {constant, step, cosine}
Budget:  8 trials an arm for the rate, 100 epochs each of all of CIFAR-10 (45,000 train, 5,000 val, 10,000 test), none
         stopped early: before a schedule has lowered the rate, the best rates look worse. Default and best four in turn over up to 5 seeds.
Demo:    constant and cosine alone, on digits at their own 8 px. Laptop: a tenth of the epochs on 100 images a class.
Result:  not run in full yet.

    python sweeps/augmentation_and_schedulers.py --gpus 4
"""

from dataclasses import replace

import cluster.early_interrupt  # noqa: F401 - for Ctrl-C while the rest is imported
from search_spaces.augmentation_and_schedulers import SPACE
from sweeps.runner import PRESETS, Contrast, Published, Study, main

PAPER = "the paper: test, one run"
CROSSED = {"crop_flip/cosine": 1, "crop_flip/constant": -1, "none/cosine": -1, "none/constant": 1}

STUDY = Study(
    name="augmentation_and_schedulers",
    question="What do augmentation and a schedule bring to a ResNet-18 from random weights, and do they add up?",
    space=SPACE,
    trials_per_arm=8,
    finalist_seeds=5,
    asha=False,
    demo_arms="*/constant,*/cosine",
    contrasts=(
        Contrast(name="augmentation", weights={"crop_flip/*": 1, "none/*": -1}),
        Contrast(
            name="schedule: cosine against constant", weights={"*/cosine": 1, "*/constant": -1}
        ),
        Contrast(name="augmentation x schedule", weights=CROSSED),
    ),
    published=(
        Published(arm="none/constant", value=0.8294, source=PAPER),
        Published(arm="none/step", value=0.8372, source=PAPER),
        Published(arm="none/cosine", value=0.8387, source=PAPER),
        Published(arm="crop_flip/constant", value=0.8814, source=PAPER),
        Published(arm="crop_flip/step", value=0.8827, source=PAPER),
        Published(arm="crop_flip/cosine", value=0.8848, source=PAPER),
    ),
    assumptions=(
        "The paper's rate is not known to us: the default is 1e-2 for all arms, momentum 0.9, no weight decay.",
        "Its ResNet-18 is taken to have the stem for 32 px, 3x3 without max-pool.",
        "Its step is taken to be a tenth after each third of the epochs; cosine falls to 0.",
        "A tenth of its train images is val, which chooses epoch and rate; whether the paper had one is not known.",
    ),
    presets=PRESETS
    | {
        "demo": replace(PRESETS["demo"], image_size=8, weights="none"),
        "laptop": replace(
            PRESETS["laptop"],
            image_size=32,
            batch_size=32,
            trials_per_arm=2,
            weights="none",
        ),
        "full": replace(PRESETS["full"], train_per_class=4500, val_per_class=500, weights="none"),
    },
)

if __name__ == "__main__":
    main(STUDY)
