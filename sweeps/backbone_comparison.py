"""With 100 images a class, is the smallest ResNet the best? Does it stay so once every backbone has its own rate?

Arms:    mobilenet_v2 (the baseline), ResNet-18 / 34 / 50, all by the comparison article's recipe.
Budget:  12 trials an arm for the one thing that is tuned, the rate: 4 a decade, of which 5 come before Optuna learns.
         20 epochs each; the default of each arm and its best five in turn over up to 10 seeds.
Demo:    ResNet-18 and 34 alone, on digits at 32 px: the other two would need source models of their own.
Result:  not run in full yet.

    python sweeps/backbone_comparison.py --gpus 4
"""

import cluster.early_interrupt  # noqa: F401 - for Ctrl-C while the rest is imported
from search_spaces.backbone_comparison import SPACE
from sweeps.runner import Contrast, Published, Study, main
from trainables.metrics import VAL_ACCURACY

ARTICLE = "the comparison article: best epoch on its 1,000 val images, one run"

STUDY = Study(
    name="backbone_comparison",
    question="With 100 images a class, is ResNet-18 the best backbone, and does that survive equal tuning?",
    space=SPACE,
    trials_per_arm=12,
    demo_arms="resnet18,resnet34",
    log_epochs=True,
    contrasts=(
        Contrast(name="18 against 34", weights={"resnet18": 1, "resnet34": -1}),
        Contrast(name="18 against 50", weights={"resnet18": 1, "resnet50": -1}),
        Contrast(name="ResNets against MobileNetV2", weights={"resnet*": 1, "mobilenet_v2": -1}),
    ),
    published=(
        Published(arm="resnet18", value=0.814, metric=VAL_ACCURACY, source=ARTICLE),
        Published(arm="resnet34", value=0.773, metric=VAL_ACCURACY, source=ARTICLE),
        Published(arm="resnet50", value=0.732, metric=VAL_ACCURACY, source=ARTICLE),
    ),
    assumptions=(
        "The article names no optimiser; its train accuracy (.50, .85, .92 after 4 steps an epoch) looks like Adam's: "
        "adamw without weight decay, our inference.",
        "Every BatchNorm is in train mode, frozen layers too, as in the article's script: our inference.",
        "Its 100 + 100 images a class are not known: ours are drawn by the sweep's seed.",
        "It publishes the best epoch of one run, chosen and shown on one set of 1,000 images; test has no such luck.",
        "It names MobileNetV2 as what ResNet beat, without a number; here that backbone has the same recipe.",
    ),
)

if __name__ == "__main__":
    main(STUDY)
