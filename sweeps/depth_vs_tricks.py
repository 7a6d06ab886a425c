"""Does depth pay, or do better training tricks, when a small image set meets a pretrained ResNet?

Arms:    ResNet-18 / 34 / 50  x  {plain, tricks}
         plain: one stage, constant rate, no augmentation; tricks: two stages, schedule, augmentation, decay, smoothing.
Budget:  24 trials an arm, 20 epochs each, 100 train and 100 val images a class.
Result:  not run in full yet; `--preset demo` answers for a toy task, see README.

    python sweeps/depth_vs_tricks.py --gpus 4
"""

import cluster.early_interrupt  # noqa: F401 - for Ctrl-C while the rest is imported
from search_spaces.depth_vs_tricks import SPACE
from sweeps.runner import Contrast, Study, main

STUDY = Study(
    name="depth_vs_tricks",
    question="Does depth pay, or do better training tricks?",
    space=SPACE,
    trials_per_arm=24,
    demo_arms="resnet18/*",  # one depth leaves time for a verdict on tricks: minutes on two cores
    contrasts=(
        Contrast(name="tricks", weights={"*/tricks": 1, "*/plain": -1}),
        Contrast(
            name="depth, linear trend", weights={"resnet50/*": 1, "resnet18/*": -1}
        ),  # the middle weighs 0
        Contrast(
            name="depth x tricks",
            weights={
                "resnet50/tricks": 1,
                "resnet50/plain": -1,
                "resnet18/tricks": -1,
                "resnet18/plain": 1,
            },
        ),
    ),
)

if __name__ == "__main__":
    main(STUDY)
