"""One arm in which everything is tuned."""

import pytest

from search_spaces.depth_vs_tricks import SPACE as FLAGSHIP
from search_spaces.find_best import SPACE
from sweeps.find_best import STUDY
from trainables.recipe import Recipe


def test_the_only_arm_tunes_all_that_the_flagship_compares_or_tunes() -> None:
    (arm,) = SPACE.grid()
    elsewhere = {
        "backbone",
        "stage1_epochs",
        *(name for other in FLAGSHIP.grid() for name in other.tuned),
    }
    assert set(arm.tuned) == elsewhere | {"mixup", "class_weights"}
    for name in elsewhere - {"trainable_layers"}:
        assert {v for other in FLAGSHIP.grid() for v in other.possible(name)} <= {
            0,
            *arm.possible(name),
        }, name


def test_the_default_is_the_flagships_recipe_with_tricks() -> None:
    tricks = FLAGSHIP.matching("resnet18/tricks")[0].default_recipe()
    assert SPACE.grid()[0].default_recipe() == Recipe.from_sample(
        {**tricks.as_dict(), "batch_size": 64}
    )


@pytest.mark.parametrize("name", STUDY.presets)
def test_a_recipe_of_one_stage_has_no_rate_for_the_other(name: str) -> None:
    (arm,) = SPACE.with_fixed(epochs=STUDY.presets[name].epochs).grid()
    assert set(arm.possible("stage1_epochs")) == {0, arm.default_recipe().stage1_epochs}
    assert "stage1_lr" not in arm.sample_with({"stage1_epochs": 0})
    assert "stage1_lr" in arm.default_sample()
