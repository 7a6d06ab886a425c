"""ResNet-18 against ResNet-34 on 120 breeds of dogs.

A small output network is trained on pretrained features.
"""

from __future__ import annotations

from search_spaces.space import Float, Int, SearchSpace

SPACE = SearchSpace(
    arms={"backbone": ("resnet18", "resnet34")},
    tuned={
        # Three decades of SGD: below 1e-4, 1,900 steps do not train the output network; above 0.1,
        # the layers under it diverge. Torchvision's transfer tutorial is at 1e-3 with batches of 4.
        "stage2_lr": Float(low=1e-4, high=1e-1, log=True, default=1e-2),
        # From the output network alone, on features that stay, to layer3 and up: the breeds are
        # ImageNet's own, so that less below needs to change.
        "trainable_layers": Int(low=1, high=3, default=1),
    },
    fixed={
        # The depth study's.
        "head": "mlp",
        "optimizer": "sgd",
        "scheduler": "step",
        "augmentation": "crop_flip_color",
        "epochs": 20,
        "image_size": 224,
        "batch_size": 64,  # 96 steps per epoch; 256 would leave 24, too few for SGD
    },
)
