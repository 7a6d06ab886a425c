"""What the bound on a champion's size leaves is known before anything runs."""

from __future__ import annotations

import pytest

from search_spaces.depth_vs_tricks import SPACE
from search_spaces.space import Choice, SearchSpace, Variant
from sweeps.records.champion import Bounds
from sweeps.runner.finalists.bounds import check_size
from trainables.backbones import count_parameters
from trainables.recipe import Recipe

ARMS = SPACE.with_fixed(weights="none").matching("*/plain")


def megabytes(backbone: str, classes: int = 10) -> float:
    return 4 * count_parameters(Recipe(backbone=backbone, weights="none"), classes) / 1e6


def test_without_a_bound_or_within_it_nothing_is_said() -> None:
    assert check_size(Bounds(), ARMS, 10) == ()
    assert check_size(Bounds(ms=0.001), ARMS, 10) == (), "how fast they are is not known yet"
    assert check_size(Bounds(mb=megabytes("resnet50")), ARMS, 10) == ()


def test_arms_that_are_compared_and_too_large_to_be_shipped_are_named() -> None:
    assert check_size(Bounds(mb=50), ARMS, 10) == (
        "Compared, but too large for --max-mb 50: resnet34/plain, resnet50/plain.",
    )


def test_a_bound_that_leaves_no_network_is_refused_with_the_least_that_would() -> None:
    least = megabytes("resnet18")
    with pytest.raises(ValueError) as refused:
        check_size(Bounds(mb=20), ARMS, 10)
    assert str(refused.value) == (
        f"--max-mb must leave a network, but the smallest has {least:.1f} MB of weights and 20 is "
        f"asked for: pass {least + 0.1:.1f} or more, or compare smaller backbones."
    )
    assert check_size(Bounds(mb=float(f"{least + 0.1:.1f}")), ARMS, 10)


def test_a_size_is_that_of_the_head_for_these_classes_too() -> None:
    assert megabytes("resnet18", 1000) > megabytes("resnet18", 10) + 2
    bounds = Bounds(mb=megabytes("resnet18", 10))
    assert check_size(bounds, ARMS[:1], 10) == ()
    with pytest.raises(ValueError, match="must leave a network"):
        check_size(bounds, ARMS[:1], 1000)


def test_of_an_arm_that_tunes_its_backbone_the_smallest_counts() -> None:
    backbone = Choice(options=("resnet50", "resnet18"), default="resnet50")
    space = SearchSpace(
        arms={"any": {"any": Variant(tuned={"backbone": backbone})}}, fixed={"weights": "none"}
    )
    assert check_size(Bounds(mb=50), space.grid(), 10) == ()
