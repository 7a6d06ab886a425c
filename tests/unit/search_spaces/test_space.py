"""A search space says all that is wrong with it at once; each of its samples is a valid recipe."""

import math

import pytest

from search_spaces.space import Choice, Float, Int, SearchSpace, Variant

DEPTHS = {"backbone": ("resnet18", "resnet34")}
DECAY = Float(low=0.0, high=0.1, default=0.01)


def test_a_valid_space_names_its_arms_with_the_first_dimension_varying_slowest() -> None:
    space = SearchSpace(
        arms={
            **DEPTHS,
            "recipe": {"plain": Variant(), "tricks": Variant(tuned={"weight_decay": DECAY})},
        }
    )
    assert [arm.name for arm in space.grid()] == [
        "resnet18/plain",
        "resnet18/tricks",
        "resnet34/plain",
        "resnet34/tricks",
    ]
    assert [list(arm.tuned) for arm in space.grid()] == [[], ["weight_decay"]] * 2
    assert [arm.default_recipe().backbone for arm in space.grid()] == [
        "resnet18",
        "resnet18",
        "resnet34",
        "resnet34",
    ]


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (
            {"fixed": {"epoch": 5}},
            "unknown recipe field 'epoch', so it cannot be fixed. Did you mean 'epochs'?",
        ),
        (
            {"tuned": {"weight_decays": DECAY}},
            "unknown recipe field 'weight_decays', so it cannot be tuned. Did you mean 'weight",
        ),
        (
            {"arms": {"backbones": ("a", "b")}},
            "unknown recipe field 'backbones', so it cannot be an arm. Did you mean 'backbone'?",
        ),
        (
            {"arms": {"r": {"plain": Variant(fixed={"heads": "mlp"})}}},
            "so plain cannot fix it. Did you mean 'head'?",
        ),
        (
            {"arms": {"r": {"plain": Variant(tuned={"mixups": DECAY})}}},
            "cannot be tuned. Did you mean 'mixup'?",
        ),
        ({"arms": {}}, "a space needs at least one arm dimension, each with at least one value"),
        (
            {"arms": {"backbone": ()}},
            "a space needs at least one arm dimension, each with at least one value",
        ),
        (
            {"arms": {"r": {}}},
            "a space needs at least one arm dimension, each with at least one value",
        ),
        (
            {"arms": {"backbone": ("a", "b", "a")}},
            "the values of an arm dimension must differ, but got backbone = a, b, a.",
        ),
        (
            {"arms": {"r": {"a/b": Variant()}}},
            "a variant's name must hold no '/' and not be empty, but got 'a/b'.",
        ),
        (
            {"arms": {"r": {"": Variant()}}},
            "a variant's name must hold no '/' and not be empty, but got ''.",
        ),
    ],
)
def test_unknown_names_and_bad_arms_are_named_with_the_rule(parts: dict, line: str) -> None:
    with pytest.raises(ValueError) as refused:
        SearchSpace(**{"arms": DEPTHS, **parts})
    assert line in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (
            {"fixed": {"weight_decay": 0.1}, "tuned": {"weight_decay": DECAY}},
            "'weight_decay' is fixed and tuned.",
        ),
        (
            {"tuned": {"backbone": Choice(options=("resnet18",), default="resnet18")}},
            "'backbone' is an arm and tuned.",
        ),
        ({"fixed": {"backbone": "resnet18"}}, "'backbone' is an arm and fixed."),
        (
            {"arms": {"r": {"a": Variant(fixed={"mixup": 0.1}, tuned={"mixup": DECAY})}}},
            "'mixup' is fixed and tuned in a.",
        ),
        (
            {
                "arms": {"r": {"a": Variant(fixed={"weight_decay": 0.1})}},
                "tuned": {"weight_decay": DECAY},
            },
            "'weight_decay' is fixed and tuned in a.",
        ),
        (
            {"arms": {**DEPTHS, "r": {"a": Variant(fixed={"backbone": "resnet50"})}}},
            "'backbone' is varied by backbone and by r.",
        ),
        (
            {
                "arms": {
                    "r": {"a": Variant(fixed={"mixup": 0.1})},
                    "s": {"b": Variant(tuned={"mixup": DECAY})},
                }
            },
            "'mixup' is varied by r and by s.",
        ),
    ],
)
def test_a_name_has_one_role(parts: dict, line: str) -> None:
    with pytest.raises(ValueError) as refused:
        SearchSpace(**{"arms": DEPTHS, **parts})
    assert str(refused.value) == f"a name has one role, but {line}"


@pytest.mark.parametrize(
    ("name", "dim", "line"),
    [
        (
            "weight_decay",
            Float(low=1.0, high=0.0, default=0.5),
            "low <= default <= high must hold, but weight_decay has 1.0, 0.5",
        ),
        ("weight_decay", Float(low=0.0, high=0.1, default=0.2), "low <= default <= high must hold"),
        (
            "weight_decay",
            Float(low=0.0, high=math.inf, default=0.2),
            "low <= default <= high must hold",
        ),
        (
            "weight_decay",
            Float(low=0.0, high=0.1, default=math.nan),
            "low <= default <= high must hold",
        ),
        (
            "weight_decay",
            Float(low=0.0, high=0.1, default=0.1, log=True),
            "a log scale needs low > 0, but weight_decay has low=0.",
        ),
        (
            "trainable_layers",
            Int(low=3, high=4, default=2),
            "low <= default <= high must hold, but trainable_layers has 3, 2, 4.",
        ),
        (
            "scheduler",
            Choice(options=("step",), default="cosine"),
            "the default must be an option, but scheduler has 'cosine' and",
        ),
        ("scheduler", Choice(options=(), default="cosine"), "the default must be an option"),
        (
            "mixup",
            Float(low=0, high=1, default=0, when={"scheduler": ("step",)}),
            "must name a dimension above it, but mixup",
        ),
        (
            "mixup",
            Float(low=0, high=1, default=0, when={"mixup": (0,)}),
            "mixup depends on 'mixup'.",
        ),
    ],
)
def test_bounds_defaults_and_conditions_follow_their_rules(
    name: str, dim: Float | Int | Choice, line: str
) -> None:
    for parts in (
        {"arms": DEPTHS, "tuned": {name: dim}},
        {"arms": {"r": {"a": Variant(tuned={name: dim})}}},
    ):
        with pytest.raises(ValueError) as refused:
            SearchSpace(**parts)
        assert line in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "dim", "line"),
    [
        (
            "trainable_layers",
            Int(low=1, high=9, default=3),
            "trainable_layers must be a whole number from 1 to 6, but got 9.",
        ),
        (
            "stage2_lr",
            Float(low=0.0, high=1.0, default=0.1),
            "stage2_lr must be over 0 and finite, but got 0.0.",
        ),
        ("epochs", Float(low=1.0, high=2.0, default=2.0), "epochs must be a whole number"),
        ("scheduler", Choice(options=("step", "cosin"), default="step"), "Did you mean 'cosine'?"),
        (
            "stage1_epochs",
            Int(low=0, high=20, default=5),
            "stage1_epochs < epochs must hold, but got 20 and 20.",
        ),
    ],
)
def test_what_the_recipe_would_refuse_in_the_middle_of_a_sweep_is_refused_now(
    name: str, dim: Float | Int, line: str
) -> None:
    with pytest.raises(ValueError) as refused:
        SearchSpace(arms=DEPTHS, tuned={name: dim})
    assert line in str(refused.value)


def test_bounds_that_break_a_rule_only_together_are_refused() -> None:
    lengths = {
        "stage1_epochs": Int(low=0, high=12, default=5),
        "warmup_epochs": Int(low=0, high=12, default=0),
    }
    with pytest.raises(
        ValueError, match="resnet18: warmup_epochs must be shorter than the last stage"
    ):
        SearchSpace(arms=DEPTHS, tuned=lengths)


def test_all_problems_come_at_once_and_each_once() -> None:
    with pytest.raises(ValueError) as refused:
        SearchSpace(
            arms={**DEPTHS, "r": {"a/b": Variant(), "c": Variant(fixed={"heads": "mlp"})}},
            fixed={"epoch": 5},
            tuned={"mixup": Float(low=1, high=0, default=0)},
        )
    assert len(str(refused.value).splitlines()) == 4
