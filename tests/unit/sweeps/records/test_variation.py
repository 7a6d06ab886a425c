"""Which fields of their recipes the trials of a sweep share."""

from __future__ import annotations

from search_spaces.depth_vs_tricks import SPACE
from search_spaces.space import Float, SearchSpace
from sweeps.records.manifest import definition
from sweeps.records.variation import shared_fields, varied_fields
from trainables.recipe import Recipe

SMALL = SearchSpace(
    arms={"backbone": ("resnet18", "resnet34")},
    tuned={"stage2_lr": Float(low=1e-4, high=1e-2, default=1e-3)},
    fixed={"epochs": 6},
)


def test_arms_and_what_is_tuned_vary_and_all_else_is_shared() -> None:
    arms = definition(SMALL.grid())
    assert varied_fields(arms) == ("backbone", "stage2_lr")
    shared = shared_fields(arms)
    assert shared["epochs"] == 6
    assert shared["batch_size"] == Recipe().batch_size
    assert shared.keys() | {"backbone", "stage2_lr"} == set(Recipe.field_names())


def test_a_field_that_one_arm_alone_sets_or_tunes_varies() -> None:
    names = varied_fields(definition(SPACE.grid()))
    assert {"backbone", "stage1_epochs", "scheduler", "weight_decay"} <= set(names)
    assert "image_size" not in names


def test_of_one_arm_only_what_is_tuned_varies() -> None:
    assert varied_fields(definition(SMALL.matching("resnet34"))) == ("stage2_lr",)


def test_every_recipe_of_the_space_has_the_shared_values() -> None:
    shared = shared_fields(definition(SPACE.grid()))
    for arm in SPACE.grid():
        recipe = arm.default_recipe().as_dict()
        assert {name: recipe[name] for name in shared} == shared


def test_without_a_definition_nothing_is_known_to_be_shared() -> None:
    assert shared_fields({}) == {}
