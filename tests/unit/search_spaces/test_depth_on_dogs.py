"""Two depths on dogs with the depth study's recipe."""

from search_spaces.depth_on_dogs import SPACE
from trainables.recipe import Recipe


def test_default_recipes_train_a_small_output_network_and_differ_in_depth_alone() -> None:
    stated = {
        **{
            "head": "mlp",
            "optimizer": "sgd",
            "scheduler": "step",
            "augmentation": "crop_flip_color",
        },
        **{
            "trainable_layers": 1,
            "stage2_lr": 1e-2,
            "epochs": 20,
            "batch_size": 64,
            "image_size": 224,
        },
    }
    assert [arm.default_recipe() for arm in SPACE.grid()] == [
        Recipe(backbone=name, **stated) for name in ("resnet18", "resnet34")
    ]


def test_both_tune_the_same() -> None:
    small, large = SPACE.grid()
    assert small.tuned == large.tuned
    assert list(small.tuned) == ["stage2_lr", "trainable_layers"]
