"""One stage against two, of equal length, on ResNet-18: all that differs is which layers train when, and at which rate."""

from __future__ import annotations

from dataclasses import replace

from search_spaces.space import Float, SearchSpace, Variant

# Three decades: below 1e-5, 20 epochs of 4 steps do not reach; above 1e-2, AdamW destroys pretrained features.
LAST_LR = Float(
    low=1e-5, high=1e-2, log=True, default=1e-3
)  # 1e-3 is the comparison article's, for one stage

SPACE = SearchSpace(
    arms={
        "stages": {
            "one": Variant(fixed={"stage1_epochs": 0}, tuned={"stage2_lr": LAST_LR}),
            "two": Variant(
                fixed={"stage1_epochs": 5},  # a quarter of the epochs, as in the two-stage article
                tuned={
                    # Two decades: a fresh head and layer4 stand a high rate, and a low one leaves nothing to lower in stage 2.
                    "stage1_lr": Float(
                        low=1e-4, high=1e-2, log=True, default=1e-3
                    ),  # 1e-3 is the two-stage article's
                    "stage2_lr": replace(
                        LAST_LR, default=1e-4
                    ),  # the article lowers the rate tenfold
                },
            ),
        },
    },
    fixed={
        "backbone": "resnet18",
        "trainable_layers": 3,  # layer3, layer4 and fc, in the only stage and in the second
        **{
            "epochs": 20,
            "batch_size": 256,
            "image_size": 224,
            "optimizer": "adamw",
            "scheduler": "constant",
        },
    },
)
