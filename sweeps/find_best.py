"""Which model is best for my folder of images? No comparison: everything is tuned together, the backbone too.

Arms:    one, which tunes backbone, layers, stages, rates, schedule, augmentation, mixup, decay, smoothing and
         class weights.
Budget:  48 trials of 20 epochs at 224 px on all images, the worse half stopped early; default and best three again over 5 seeds.
         --preset laptop: 12 trials of 10 epochs at 96 px on at most 100 images a class.
Demo:    digits at 32 px; the first one trains three source models, for a minute or two.
Result:  champion/ in the sweep's folder and models:/find_best-<folder>-<preset>@champion: the model to use.

    python sweeps/find_best.py --data photos/
"""

from dataclasses import replace

import cluster.early_interrupt  # noqa: F401 - for Ctrl-C while the rest is imported
from search_spaces.find_best import SPACE
from sweeps.runner import PRESETS, Study, main
from trainables.data.splits import EVERY

STUDY = Study(
    name="find_best",
    question="Which model is best for these images?",
    space=SPACE,
    trials_per_arm=48,
    finalist_seeds=5,  # they only choose among the default and the best ones
    assumptions=(
        "The champion's test accuracy is of one split; that of the best trial in the search is lucky.",
    ),
    presets=PRESETS
    | {
        "laptop": replace(PRESETS["laptop"], batch_size=64, trials_per_arm=12, data=""),
        "full": replace(
            PRESETS["full"],
            train_per_class=EVERY,
            val_per_class=EVERY,
            test_per_class=EVERY,
            data="",
        ),
    },
    own_data="a folder of class folders, such as photos/cat/1.jpg, or another form of image set that README.md lists",
)

if __name__ == "__main__":
    main(STUDY)
