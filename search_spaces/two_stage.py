"""One stage against two, of equal length, on ResNet-18.

All that differs is which layers train when, and at which rate.
"""

from __future__ import annotations

from dataclasses import replace

from search_spaces.space import Float, SearchSpace, Variant

# Three decades around 1e-3, the comparison article's for one stage: below 1e-5, 20 epochs of 4
# steps do not reach; above 1e-2, AdamW destroys pretrained features.
LAST_LR = Float(low=1e-5, high=1e-2, log=True, default=1e-3)

ONE = Variant(fixed={"stage1_epochs": 0}, tuned={"stage2_lr": LAST_LR})

TWO = Variant(
    fixed={"stage1_epochs": 5},  # a quarter of the epochs, as in the two-stage article
    tuned={
        # Two decades around the two-stage article's 1e-3: a fresh head and layer4 stand a high
        # rate, and a low one leaves nothing to lower in stage 2.
        "stage1_lr": Float(low=1e-4, high=1e-2, log=True, default=1e-3),
        # The article lowers the rate tenfold.
        "stage2_lr": replace(LAST_LR, default=1e-4),
    },
)

SPACE = SearchSpace(
    arms={"stages": {"one": ONE, "two": TWO}},
    fixed={
        "backbone": "resnet18",
        "trainable_layers": 3,  # layer3, layer4 and fc, in the only stage and in the second
        # The comparison article's.
        "epochs": 20,
        "batch_size": 256,
        "image_size": 224,
        "optimizer": "adamw",
        "scheduler": "constant",
    },
)
