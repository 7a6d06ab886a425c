"""Three ResNets and the MobileNet that they beat, by the comparison article's recipe.

Its learning rate is tuned for each backbone.
"""

from __future__ import annotations

from search_spaces.space import Float, SearchSpace

SPACE = SearchSpace(
    arms={"backbone": ("mobilenet_v2", "resnet18", "resnet34", "resnet50")},
    tuned={
        # Three decades around the article's 1e-3: below, 80 steps of AdamW do not reach; above,
        # they destroy the features.
        "stage2_lr": Float(low=1e-5, high=1e-2, log=True, default=1e-3),
    },
    fixed={
        # The article's; 1,000 images are 4 steps per epoch.
        "epochs": 20,
        "batch_size": 256,
        "image_size": 224,
        "trainable_layers": 3,  # layer3, layer4 and fc, the article's
        "optimizer": "adamw",  # our inference: see the study's assumptions
        "weight_decay": 0.0,
        "batchnorm": "batch_stats",  # all of it in train mode, as in the article's script
    },
)
