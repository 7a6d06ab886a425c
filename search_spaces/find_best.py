"""Everything that may help a model on your own images, tuned together, the backbone too."""

from __future__ import annotations

from search_spaces.depth_vs_tricks import TRICKS
from search_spaces.space import Choice, Float, Int, SearchSpace, Variant

# ResNet-152 gains 2 points more on ImageNet, for three times the work.
DEPTHS = ("resnet18", "resnet34", "resnet50")
STAGE1 = 5  # a quarter of 20, the two-stage article's

EVERYTHING = Variant(
    tuned={
        "backbone": Choice(options=DEPTHS, default="resnet18"),  # the fastest
        "stage1_epochs": Choice(options=(0, STAGE1), default=STAGE1),  # one stage or two
        # Rates, schedule, augmentation, decay and smoothing, with the reasons given there.
        **TRICKS.tuned,
        # As there, but only where there is a first stage.
        "stage1_lr": Float(
            low=1e-4, high=1e-2, log=True, default=1e-3, when={"stage1_epochs": (STAGE1,)}
        ),
        # Up to all: your set may be large, or far from ImageNet.
        "trainable_layers": Int(low=1, high=6, default=3),
        # Your classes may differ in size.
        "class_weights": Choice(options=("none", "balanced"), default="none"),
        # Of the 0.1 to 0.4 that gain on ImageNet (Zhang et al. 2018).
        "mixup": Choice(options=(0.0, 0.2), default=0.0),
    },
)

SPACE = SearchSpace(
    arms={"search": {"tuned": EVERYTHING}},
    fixed={
        # The flagship's.
        "epochs": 20,
        "image_size": 224,
        "optimizer": "adamw",
        "batch_size": 64,  # your set may be small: 200 images are still 4 steps per epoch
    },
)
