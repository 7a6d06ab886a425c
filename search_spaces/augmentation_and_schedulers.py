"""Augmentation x schedule, with ResNet-18 from random weights on all of CIFAR-10.

The learning rate is tuned in every arm.
"""

from __future__ import annotations

from search_spaces.space import Float, SearchSpace

SPACE = SearchSpace(
    arms={
        "augmentation": ("none", "crop_flip"),
        "scheduler": ("constant", "step", "cosine"),
    },
    tuned={
        # From the 1e-3 of PyTorch's CIFAR-10 tutorial, which suits a constant rate, to three times
        # the 0.1 of He et al. 2016, which needs a schedule; higher, momentum 0.9 without warm-up
        # diverges. The paper's rate is not known: the default lies between these two.
        "stage2_lr": Float(low=1e-3, high=0.3, log=True, default=1e-2),
    },
    fixed={
        "backbone": "resnet18",
        # From random weights, so that all layers train, each by the statistics of its batch.
        "weights": "none",
        "trainable_layers": 6,
        "batchnorm": "batch_stats",
        "stem": "cifar",  # for 32 px
        # The paper's, as is the momentum of 0.9 that goes with sgd.
        "epochs": 100,
        "batch_size": 128,
        "image_size": 32,
        "optimizer": "sgd",
    },
)
