"""Is ResNet-34 better than ResNet-18 on 120 breeds of dogs?

Arms:    ResNet-18 / 34, pretrained, with a small output network; SGD, step, crops, flips and colours.
Budget:  12 trials an arm for rate and trained layers, 20 epochs each; default and best five in turn over up to 5 seeds.
Data:    accept the rules of kaggle.com/c/dog-breed-identification, then
         kaggle competitions download -c dog-breed-identification && unzip -d dogs dog-breed-identification.zip
         A folder of class folders does, too. Kaggle keeps its test labels: the 10,222 others are split 60/20/20.
Demo:    digits in the place of dogs; it shows that the sweep works, and says nothing of dogs.
Result:  not run in full yet.

    python sweeps/depth_on_dogs.py --data dogs/ --gpus 4
"""

from dataclasses import replace

import cluster.early_interrupt  # noqa: F401 - for Ctrl-C while the rest is imported
from search_spaces.depth_on_dogs import SPACE
from sweeps.runner import PRESETS, Contrast, Published, Study, main
from trainables.data.splits import EVERY
from trainables.metrics import TEST_LOSS

PAPER = "the depth study's table: score, read as Kaggle's log loss, lower is better"

STUDY = Study(
    name="depth_on_dogs",
    question="Is ResNet-34 better than ResNet-18 on 120 breeds of dogs?",
    space=SPACE,
    trials_per_arm=12,
    finalist_seeds=5,
    contrasts=(Contrast(name="34 against 18", weights={"resnet34": 1, "resnet18": -1}),),
    published=(
        Published(arm="resnet18", value=0.8018, metric=TEST_LOSS, source=PAPER),
        Published(arm="resnet34", value=1.3327, metric=TEST_LOSS, source=PAPER),
    ),
    assumptions=(
        "The table calls 0.8018 and 1.3327 scores. If, as the competition's metric implies, that is a log loss, "
        "lower is better and the published table says the opposite of its text.",
        "It is read as ResNet-18 first, then ResNet-34.",
        "Its loss is on Kaggle's own test images, whose labels are not public; ours is on a fifth of the labelled ones.",
        "Rate, epochs, batch and trained layers are not known to us: by default 1e-2, 20, 64 and the output network alone.",
        "The dogs are ImageNet's own (Stanford Dogs): pretrained weights have seen them, which may favour depth.",
    ),
    presets=PRESETS
    | {
        "laptop": replace(
            PRESETS["laptop"],
            batch_size=64,
            train_per_class=20,
            val_per_class=10,
            test_per_class=10,
            data="",
        ),
        "full": replace(
            PRESETS["full"],
            train_per_class=EVERY,
            val_per_class=EVERY,
            test_per_class=EVERY,
            data="",
        ),
    },
    own_data="the Kaggle folder of dog-breed-identification (labels.csv, train/) or a folder of class folders",
)

if __name__ == "__main__":
    main(STUDY)
