"""One stage and two differ in stages and rates alone, and are equally long in every preset."""

import pytest

from search_spaces.two_stage import SPACE
from sweeps.two_stage import STUDY
from trainables.recipe import Recipe

SHARED = {
    "backbone": "resnet18",
    "trainable_layers": 3,
    "epochs": 20,
    "batch_size": 256,
    "optimizer": "adamw",
}


def test_default_recipes_are_the_articles() -> None:
    one, two = (arm.default_recipe() for arm in SPACE.grid())
    assert one == Recipe(**SHARED, stage1_epochs=0, stage2_lr=1e-3)
    assert two == Recipe(**SHARED, stage1_epochs=5, stage1_lr=1e-3, stage2_lr=1e-4)


def test_only_rates_are_tuned_and_the_shared_one_over_the_same_range() -> None:
    one, two = SPACE.grid()
    assert (list(one.tuned), list(two.tuned)) == (["stage2_lr"], ["stage1_lr", "stage2_lr"])
    assert one.possible("stage2_lr") == two.possible("stage2_lr")


@pytest.mark.parametrize("name", STUDY.presets)
def test_both_train_equally_long_with_a_quarter_in_stage_1_in_every_preset(name: str) -> None:
    epochs = STUDY.presets[name].epochs
    one, two = (arm.default_recipe() for arm in SPACE.with_fixed(epochs=epochs).grid())
    assert one.epochs == two.epochs == epochs
    assert one.stage1_epochs == 0
    assert two.stage1_epochs == pytest.approx(epochs / 4, abs=0.5)
