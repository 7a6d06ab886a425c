"""Augmentation x schedule, with ResNet-18 from random weights on all of CIFAR-10; the rate is tuned in every arm."""

from __future__ import annotations

from search_spaces.space import Float, SearchSpace

SPACE = SearchSpace(
    arms={
        "augmentation": ("none", "crop_flip"),
        "scheduler": ("constant", "step", "cosine"),
    },
    tuned={
        # From the 1e-3 of PyTorch's CIFAR-10 tutorial, which suits a constant rate, to three times the 0.1 of He et al. 2016,
        # which needs a schedule; higher, momentum 0.9 without warm-up diverges.
        "stage2_lr": Float(
            low=1e-3, high=0.3, log=True, default=1e-2
        ),  # the paper's is not known: between these two
    },
    fixed={
        "backbone": "resnet18",
        "weights": "none",  # from random weights, so that all layers train, each by the statistics of its batch
        **{"trainable_layers": 6, "batchnorm": "batch_stats"},
        "stem": "cifar",  # for 32 px
        **{"epochs": 100, "batch_size": 128, "image_size": 32},  # the paper's
        "optimizer": "sgd",  # with momentum 0.9, the paper's
    },
)
