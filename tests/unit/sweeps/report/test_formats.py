"""How numbers and recipes are written."""

from __future__ import annotations

import math

import pytest

from sweeps.report.formats import (
    MISSING,
    counted,
    fixed,
    in_words,
    listed,
    p_value,
    percent,
    points,
    span,
    with_span,
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (percent(0.8142), "81.4"),
        (percent(math.nan), MISSING),
        (points(0.018), "+1.8"),
        (points(-0.0042), "−0.4"),
        (points(-0.0001), "0.0"),
        (points(math.nan), MISSING),
        (fixed(-0.04, 1), "0.0"),
        (span(0.801, 0.8271), "80.1 to 82.7"),
        (span(-0.004, 0.028), "−0.4 to 2.8"),
        (span(None, None), ""),
        (span(math.nan, 1.0), ""),
        (span(0.9561, 1.4, 3, 1), "0.956 to 1.400"),
        (with_span("81.4", "80.1 to 82.7"), "81.4 (80.1 to 82.7)"),
        (with_span("81.4", ""), "81.4"),
        (p_value(0.00004), "< 0.001"),
        (p_value(0.0043), "0.004"),
        (p_value(0.284), "0.28"),
        (counted(1, "trial"), "1 trial"),
        (counted(2000, "trial"), "2,000 trials"),
        (counted(1, "class"), "1 class"),
        (counted(3, "class"), "3 classes"),
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_it_is_written_so(written: str, expected: str) -> None:
    assert written == expected


def test_a_recipe_in_words_leaves_out_what_another_value_switches_off() -> None:
    tuned = {
        "trainable_layers": {"when": {}},
        "stage2_lr": {"when": {}},
        "augmentation": {"when": {}},
        "optimizer": {"when": {}},
        "nesterov": {"when": {"optimizer": ["sgd"]}},
    }
    recipe = {
        "trainable_layers": 3,
        "stage2_lr": 0.000316,
        "augmentation": "none",
        "optimizer": "adamw",
        "nesterov": False,
    }
    assert (
        in_words(recipe, tuned)
        == "top 3 layer groups, learning rate 0.00032, no augmentation, adamw"
    )
    assert in_words({**recipe, "optimizer": "sgd"}, tuned).endswith("sgd, nesterov false")
    weights = {"class_weights": {"when": {}}}
    assert in_words({"class_weights": "balanced"}, weights) == "balanced class weights"
    assert in_words({"class_weights": "none"}, weights) == "no class weights"
    assert in_words(recipe, {}) == "nothing tuned"
