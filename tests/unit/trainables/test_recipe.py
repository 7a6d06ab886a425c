"""A recipe is whole and typed, or it is refused with everything that is wrong with it."""

import json
import math
import subprocess
import sys
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from trainables.problems import unknown_name
from trainables.recipe import LAYER_GROUPS, Recipe


def problems(**fields: Any) -> list[str]:
    with pytest.raises(ValueError) as refusal:
        Recipe(**fields)
    return str(refusal.value).splitlines()


@pytest.mark.parametrize(
    ("field", "low", "high", "value"),
    [
        *(("trainable_layers", 1, 6, v) for v in (0, 7, -1, 2.0, "3", True, None)),
        *(("stage1_epochs", 0, 100_000, v) for v in (-1, 1.5, False)),
        *(("epochs", 1, 100_000, v) for v in (0, -3, 1.0, True)),
        *(("warmup_epochs", 0, 100_000, v) for v in (-1, 0.5)),
        *(("batch_size", 2, 1_000_000, v) for v in (1, 0, 64.0)),
        *(("image_size", 8, 2048, v) for v in (7, 2049)),
        *(("seed", 0, 2**63 - 1, v) for v in (-1, 2**63, "0")),
    ],
)
def test_a_count_outside_its_bounds_or_not_whole_is_refused_with_rule_and_value(
    field: str, low: int, high: int, value: Any
) -> None:
    assert problems(**{field: value}) == [
        f"{field} must be a whole number from {low} to {high}, but got {value!r}."
    ]


@pytest.mark.parametrize(
    ("field", "lowest", "highest"),
    [
        ("trainable_layers", 1, 6),
        ("batch_size", 2, 1_000_000),
        ("image_size", 8, 2048),
        ("seed", 0, 2**63 - 1),
    ],
)
def test_the_bounds_of_a_count_belong_to_it(field: str, lowest: int, highest: int) -> None:
    for value in (lowest, highest):
        assert getattr(Recipe(**{field: value}), field) == value


@pytest.mark.parametrize(
    ("field", "rule", "values"),
    [
        ("stage1_lr", "over 0 and finite", (0, 0.0, -1e-3, math.nan, math.inf, "1e-3", True, None)),
        ("stage2_lr", "over 0 and finite", (0.0, -1.0, math.nan, math.inf, -math.inf)),
        ("weight_decay", "at least 0 and finite", (-1e-9, math.nan, math.inf, "0")),
        ("mixup", "at least 0 and finite", (-0.1, math.nan, math.inf)),
        ("label_smoothing", "at least 0 and under 1", (-0.1, 1.0, 1, math.nan, math.inf)),
    ],
)
def test_a_number_outside_its_bounds_is_refused_with_rule_and_value(
    field: str, rule: str, values: tuple[Any, ...]
) -> None:
    for value in values:
        assert problems(**{field: value}) == [f"{field} must be {rule}, but got {value!r}."]


def test_zero_turns_a_trick_off_and_whole_numbers_do_for_real_ones() -> None:
    assert Recipe(mixup=0, weight_decay=0, label_smoothing=0, stage2_lr=1).stage2_lr == 1


@pytest.mark.parametrize(
    ("field", "wrong", "nearest", "known"),
    [
        ("head", "liner", "linear", "linear, mlp"),
        ("stem", "cifar10", "cifar", "imagenet, cifar"),
        ("optimizer", "adam", "adamw", "sgd, adamw"),
        ("scheduler", "cosin", "cosine", "constant, step, cosine"),
        ("augmentation", "cropflip", "crop_flip", "none, crop_flip, crop_flip_color, trivial"),
        ("batchnorm", "batch_stat", "batch_stats", "frozen, batch_stats"),
    ],
)
def test_an_unknown_choice_names_the_nearest_and_all_known_ones(
    field: str, wrong: str, nearest: str, known: str
) -> None:
    assert problems(**{field: wrong}) == [
        f"unknown value {wrong!r} of {field}. Did you mean {nearest!r}? Known: {known}.",
    ]


def test_a_choice_of_another_type_is_refused() -> None:
    for value in (None, 1, ["linear"], {}):
        assert f"unknown value {str(value)!r} of head." in problems(head=value)[0]


@pytest.mark.parametrize(
    ("field", "value"), [("backbone", ""), ("backbone", None), ("weights", ""), ("weights", 3)]
)
def test_names_must_be_words(field: str, value: Any) -> None:
    assert problems(**{field: value}) == [f"{field} must be a name, but got {value!r}."]


@pytest.mark.parametrize("value", ["false", 1, None])
def test_nesterov_must_be_a_truth_value(value: Any) -> None:
    assert problems(nesterov=value, optimizer="sgd") == [
        f"nesterov must be true or false, but got {value!r}."
    ]


def test_nesterov_belongs_to_sgd() -> None:
    assert problems(nesterov=True, optimizer="adamw") == [
        "nesterov belongs to sgd, but optimizer is 'adamw'."
    ]
    assert Recipe(nesterov=True, optimizer="sgd").nesterov


@pytest.mark.parametrize(("stage1_epochs", "epochs"), [(4, 4), (5, 4), (1, 1)])
def test_stage_1_must_leave_an_epoch_for_stage_2(stage1_epochs: int, epochs: int) -> None:
    assert problems(stage1_epochs=stage1_epochs, epochs=epochs) == [
        f"stage1_epochs < epochs must hold, but got {stage1_epochs} and {epochs}.",
    ]


def test_warm_up_must_be_shorter_than_the_last_stage_and_not_than_all_epochs() -> None:
    assert problems(stage1_epochs=3, epochs=5, warmup_epochs=2) == [
        "warmup_epochs must be shorter than the last stage (2), but got 2.",
    ]
    assert Recipe(stage1_epochs=3, epochs=5, warmup_epochs=1).warmup_epochs == 1
    assert Recipe(epochs=1, warmup_epochs=0).epochs == 1


def test_a_cifar_stem_does_not_take_imagenet_weights() -> None:
    assert len(problems(stem="cifar", weights="imagenet")) == 1
    assert Recipe(stem="cifar", weights="none").stem == "cifar"


def test_all_problems_are_named_at_once_and_unknown_fields_among_them() -> None:
    sample = {
        "backbon": "resnet18",
        "trainable_layer": 3,
        "epochs": 0,
        "stage2_lr": -1.0,
        "head": "mpl",
    }
    with pytest.raises(ValueError) as refusal:
        Recipe.from_sample(sample)
    lines = str(refusal.value).splitlines()
    assert [line.partition(".")[0].partition(" must")[0] for line in lines] == [
        "unknown recipe field 'backbon'",
        "unknown recipe field 'trainable_layer'",
        "unknown value 'mpl' of head",
        "epochs",
        "stage2_lr",
    ]
    assert lines[0].endswith(". Did you mean 'backbone'?")
    assert lines[1].endswith(". Did you mean 'trainable_layers'?")


def test_a_name_far_from_every_known_one_gets_no_guess() -> None:
    assert (
        unknown_name("zzz", ("linear", "mlp"), "head") == "unknown head 'zzz'. Known: linear, mlp."
    )


def test_of_many_names_only_the_nearest_is_named() -> None:
    many = [f"--{letter}{letter}" for letter in "abcdefghijklm"]
    assert unknown_name("--aaa", many, "option") == "unknown option '--aaa'. Did you mean '--aa'?"
    assert unknown_name("--aaa", many[:-1], "option").endswith("--ll.")


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(
            backbone="mobilenet_v2", weights="/w", head="mlp", stem="cifar", trainable_layers=6,
            stage1_epochs=2, stage1_lr=0.5, stage2_lr=1e-7, optimizer="sgd", nesterov=True,
            weight_decay=5e-4, scheduler="step", warmup_epochs=1, augmentation="trivial", mixup=0.2,
            label_smoothing=0.1, class_weights="balanced", batchnorm="batch_stats",
            epochs=9, batch_size=2, image_size=8, seed=2**63 - 1,
        ),
    ],
)  # fmt: skip
def test_a_recipe_survives_json_unchanged(recipe: Recipe) -> None:
    assert Recipe.from_sample(recipe.as_dict()) == recipe
    assert Recipe.from_sample(json.loads(json.dumps(recipe.as_dict()))) == recipe
    assert tuple(recipe.as_dict()) == Recipe.field_names()


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Recipe().epochs = 3  # type: ignore[misc]


def test_a_recipe_needs_no_torch() -> None:
    code = (
        "import sys, trainables.recipe as r; r.Recipe(); print('torch' in sys.modules, "
        "len(r.LAYER_GROUPS))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False", str(len(LAYER_GROUPS))]
