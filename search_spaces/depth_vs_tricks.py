"""Depth against tricks: three depths, each plain and with every trick of the source articles."""

from __future__ import annotations

from dataclasses import replace

from search_spaces.space import Choice, Float, Int, SearchSpace, Variant

# Three decades around the comparison article's 1e-3: below, 20 epochs do not reach; above, AdamW destroys the features.
PLAIN_LR = Float(low=1e-5, high=1e-2, log=True, default=1e-3)  # the comparison article's rate
# From fc alone to layer2 and up. stem and layer1 are general (Yosinski et al. 2014) and would double the cost of an epoch.
TRAINABLE_LAYERS = Int(low=1, high=4, default=3)  # 3 is the comparison article's

PLAIN = Variant(
    fixed={"stage1_epochs": 0, "scheduler": "constant", "augmentation": "none"},
    tuned={
        "trainable_layers": TRAINABLE_LAYERS,
        "stage2_lr": PLAIN_LR,
    },
)

TRICKS = Variant(
    fixed={"stage1_epochs": 5},  # a quarter of 20, as in the two-stage article
    tuned={
        "trainable_layers": TRAINABLE_LAYERS,
        "stage1_lr": Float(
            low=1e-4, high=1e-2, log=True, default=1e-3
        ),  # a fresh head and layer4 stand a high rate
        "stage2_lr": replace(
            PLAIN_LR, default=1e-4
        ),  # the two-stage article lowers the rate tenfold
        "scheduler": Choice(
            options=("constant", "step", "cosine"), default="cosine"
        ),  # the paper's best
        "augmentation": Choice(
            options=("none", "crop_flip", "crop_flip_color", "trivial"), default="crop_flip"
        ),  # the paper's
        "weight_decay": Float(
            low=1e-6, high=1e-1, log=True, default=1e-4
        ),  # decoupled: from nothing to AdamW's strong end
        "label_smoothing": Float(
            low=0.0, high=0.2, default=0.0
        ),  # 0.1 is usual; 0 is the articles'
    },
)

SPACE = SearchSpace(
    arms={
        "backbone": ("resnet18", "resnet34", "resnet50"),
        "recipe": {"plain": PLAIN, "tricks": TRICKS},
    },
    # Everything else is the comparison article's recipe: batch 256, 20 epochs, adamw, no weight decay.
    fixed={"epochs": 20, "batch_size": 256, "optimizer": "adamw", "head": "linear"},
)
