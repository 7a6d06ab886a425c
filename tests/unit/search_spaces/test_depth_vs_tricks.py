"""The flagship's space holds the articles' values."""

import pytest

from search_spaces.depth_vs_tricks import SPACE
from sweeps.runner.study import PRESETS
from trainables.recipe import Recipe

ARTICLE = {
    "trainable_layers": 3,
    "stage1_epochs": 0,
    "stage2_lr": 1e-3,
    "scheduler": "constant",
    "augmentation": "none",
}
TWO_STAGE = {
    **{"trainable_layers": 3, "stage1_epochs": 5, "stage1_lr": 1e-3, "stage2_lr": 1e-4},
    **{
        "scheduler": "cosine",
        "augmentation": "crop_flip",
        "weight_decay": 1e-4,
        "label_smoothing": 0.0,
    },
}


def test_it_has_six_arms() -> None:
    names = [
        f"{backbone}/{recipe}"
        for backbone in ("resnet18", "resnet34", "resnet50")
        for recipe in ("plain", "tricks")
    ]
    assert [arm.name for arm in SPACE.grid()] == names


def test_default_recipes_are_the_articles() -> None:
    shared = {"epochs": 20, "batch_size": 256, "optimizer": "adamw", "head": "linear"}
    for arm in SPACE.grid():
        backbone, variant = arm.name.split("/")
        stated = ARTICLE if variant == "plain" else TWO_STAGE
        assert arm.default_recipe() == Recipe(backbone=backbone, **shared, **stated), arm.name


def test_plain_resnet18_is_the_recipes_own_default() -> None:
    assert SPACE.grid()[0].default_recipe() == Recipe()


@pytest.mark.parametrize("name", PRESETS)
def test_every_arm_is_valid_in_every_preset_with_a_quarter_of_the_epochs_in_stage_1(
    name: str,
) -> None:
    preset = PRESETS[name]
    sizes = {
        "image_size": preset.image_size,
        "epochs": preset.epochs,
        "batch_size": preset.batch_size,
    }
    for arm in SPACE.with_fixed(**sizes, weights=preset.weights, seed=1).grid():
        recipe = arm.default_recipe()
        assert {key: getattr(recipe, key) for key in sizes} == sizes
        assert recipe.stage1_epochs == (
            0 if arm.name.endswith("plain") else pytest.approx(preset.epochs / 4, abs=0.5)
        )


def test_both_recipes_tune_depth_and_rate_over_the_same_ranges() -> None:
    plain, tricks = SPACE.grid()[:2]
    for name in ("trainable_layers", "stage2_lr"):
        assert plain.possible(name) == tricks.possible(name)
