"""Depth against tricks: three depths, each plain and with every trick of the source articles."""

from __future__ import annotations

from dataclasses import replace

from search_spaces.space import Choice, Float, Int, SearchSpace, Variant

# Three decades around the comparison article's 1e-3: below, 20 epochs do not reach; above, AdamW
# destroys the features.
PLAIN_LR = Float(low=1e-5, high=1e-2, log=True, default=1e-3)
# From fc alone to layer2 and up; 3 is the comparison article's. Stem and layer1 are general
# (Yosinski et al. 2014) and would double the cost of an epoch.
TRAINABLE_LAYERS = Int(low=1, high=4, default=3)

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
        # A fresh head and layer4 stand a high rate.
        "stage1_lr": Float(low=1e-4, high=1e-2, log=True, default=1e-3),
        # The two-stage article lowers the rate tenfold.
        "stage2_lr": replace(PLAIN_LR, default=1e-4),
        # The paper's best.
        "scheduler": Choice(options=("constant", "step", "cosine"), default="cosine"),
        # The paper's is crop_flip.
        "augmentation": Choice(
            options=("none", "crop_flip", "crop_flip_color", "trivial"), default="crop_flip"
        ),
        # Decoupled: from nothing to AdamW's strong end.
        "weight_decay": Float(low=1e-6, high=1e-1, log=True, default=1e-4),
        # 0.1 is usual; 0 is the articles'.
        "label_smoothing": Float(low=0.0, high=0.2, default=0.0),
    },
)

SPACE = SearchSpace(
    arms={
        "backbone": ("resnet18", "resnet34", "resnet50"),
        "recipe": {"plain": PLAIN, "tricks": TRICKS},
    },
    # Everything else is the comparison article's recipe: batch 256, 20 epochs, adamw, no weight
    # decay.
    fixed={"epochs": 20, "batch_size": 256, "optimizer": "adamw", "head": "linear"},
)
