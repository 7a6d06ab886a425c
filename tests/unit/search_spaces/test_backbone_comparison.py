"""The space of the backbone comparison holds the comparison article's values."""

from search_spaces.backbone_comparison import SPACE
from trainables.recipe import Recipe


def test_default_recipes_are_the_articles_and_differ_in_the_backbone_alone() -> None:
    stated = {
        **{
            "trainable_layers": 3,
            "stage1_epochs": 0,
            "stage2_lr": 1e-3,
            "scheduler": "constant",
            "augmentation": "none",
        },
        **{
            "optimizer": "adamw",
            "weight_decay": 0.0,
            "batchnorm": "batch_stats",
            "head": "linear",
            "weights": "imagenet",
        },
        **{"epochs": 20, "batch_size": 256, "image_size": 224},
    }
    found = {arm.name: arm.default_recipe() for arm in SPACE.grid()}
    assert found == {
        name: Recipe(backbone=name, **stated)
        for name in ("mobilenet_v2", "resnet18", "resnet34", "resnet50")
    }


def test_the_rate_alone_is_tuned_over_the_same_three_decades_in_every_arm() -> None:
    for arm in SPACE.grid():
        assert list(arm.tuned) == ["stage2_lr"]
        assert arm.possible("stage2_lr") == (1e-5, 1e-2)
