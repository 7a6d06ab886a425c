"""A backbone's tensors are found behind any prefix, in any wrapper; what is beside them is said."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trainables.state_dicts import find, fits, flatten, listed

State = dict[str, Tensor]

BACKBONE: State = {
    "conv1.weight": torch.full((2, 3), 1.0),
    "bn1.running_mean": torch.full((2,), 2.0),
    "bn1.num_batches_tracked": torch.tensor(3),
    "layer1.0.bn1.running_mean": torch.full((2,), 4.0),
    "layer1.0.downsample.0.weight": torch.full((2, 2), 5.0),
}
HEAD: State = {"fc.weight": torch.ones(9, 2), "fc.bias": torch.ones(9)}
WHOLE = BACKBONE | HEAD


def other_values(state: State = WHOLE) -> State:
    return {name: value + 1 for name, value in state.items()}


def prefixed(prefix: str, state: State = WHOLE) -> State:
    return {prefix + name: value for name, value in state.items()}


def is_the_backbone(state: State) -> bool:
    return list(state) == list(BACKBONE) and all(
        torch.equal(state[name], BACKBONE[name]) for name in BACKBONE
    )


# One network


PREFIXES = st.sampled_from(
    [
        "module",
        "_orig_mod",
        "model",
        "backbone",
        "encoder",
        "net",
        "student",
        "fc",
        "layer1",
        "x-1",
        "é",
    ]
)
WRAPPERS = st.sampled_from(
    [
        "state_dict",
        "model",
        "model_state_dict",
        "net",
        "model_ema",
        "state_dict_ema",
        "ema",
        "teacher",
    ]
)
BESIDE: dict[str, Any] = {
    "epoch": 3,
    "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}},
    "hyper_parameters": {"lr": 1.0},
}


@settings(deadline=None, derandomize=True)
@given(st.lists(WRAPPERS, max_size=5), st.lists(PREFIXES, max_size=4), st.booleans(), st.booleans())
def test_any_prefix_and_any_nesting_of_wrappers_gives_the_same_state_dict(
    wrappers: list[str], prefixes: list[str], crowded: bool, headless: bool
) -> None:
    prefix = "".join(f"{part}." for part in prefixes)
    content: dict[str, Any] = prefixed(prefix, BACKBONE if headless else WHOLE)
    for wrapper in wrappers:
        content = {**(BESIDE if crowded else {}), wrapper: content}
    found = find(flatten(content), BACKBONE, "fc")
    assert found.whole
    assert found.prefix == "".join(f"{part}." for part in (*reversed(wrappers), *prefixes))
    assert is_the_backbone(found.state)
    assert found.passed_over == ()


@pytest.mark.parametrize(
    ("content", "prefix", "passed_over"),
    [
        (
            {**prefixed("model.backbone.", BACKBONE), **prefixed("model.", HEAD)},
            "model.backbone.",
            ("model.fc",),
        ),
        ({"criterion.weight": torch.ones(9), **prefixed("model.")}, "model.", ("criterion",)),
        (
            {**WHOLE, "head.weight": torch.ones(9, 2), "criterion.weight": torch.ones(9)},
            "",
            ("head", "criterion"),
        ),
        ({**BACKBONE, "classifier.weight": torch.ones(9, 2)}, "", ("classifier",)),
        ({**prefixed("module."), "n_averaged": torch.tensor(7)}, "module.", ("n_averaged",)),
        ({**WHOLE, "epoch": 3}, "", ()),
    ],
    ids=["lightning", "criterion", "heads", "classifier", "averaged model", "epoch"],
)
def test_what_is_beside_the_network_is_passed_over_and_named(
    content: dict[str, Any], prefix: str, passed_over: tuple[str, ...]
) -> None:
    found = find(flatten(content), BACKBONE, "fc")
    assert (found.prefix, found.passed_over, found.whole) == (prefix, passed_over, True)
    assert is_the_backbone(found.state)


def test_a_count_of_batches_may_be_missing_and_a_mean_may_not() -> None:
    for name, whole in (("bn1.num_batches_tracked", True), ("bn1.running_mean", False)):
        state = {key: value for key, value in WHOLE.items() if key != name}
        found = find(prefixed("module.", state), BACKBONE, "fc")
        assert (found.whole, found.prefix) == (whole, "module.")
        assert name not in found.state


def test_a_deeper_network_and_other_shapes_do_not_fit() -> None:
    assert fits(WHOLE, BACKBONE)
    assert not fits({**WHOLE, "layer1.1.conv1.weight": torch.ones(1)}, BACKBONE)
    assert not fits({**WHOLE, "conv1.weight": torch.ones(3, 3)}, BACKBONE)
    assert not fits({}, BACKBONE)
    assert not find({}, BACKBONE, "fc").whole


# Several networks


@pytest.mark.parametrize(
    ("other", "preferred"),
    [
        ("state_dict", "state_dict_ema"),
        ("model", "model_ema"),
        ("student", "teacher"),
        ("net", "ema"),
        ("module.encoder_k", "module.encoder_q"),
        ("target_network", "online_network"),
    ],
)
def test_of_two_networks_the_one_is_taken_that_its_authors_evaluate(
    other: str, preferred: str
) -> None:
    for content in (
        {other: other_values(), preferred: WHOLE},
        {preferred: WHOLE, other: other_values()},
    ):
        found = find(flatten(content), BACKBONE, "fc")
        assert found.prefix == f"{preferred}."
        assert is_the_backbone(found.state)
        assert found.passed_over == (other,)


def test_of_two_networks_that_nothing_tells_apart_neither_is_taken() -> None:
    with pytest.raises(ValueError, match=r"2 do, under 'best\.', 'last\.'"):
        find(flatten({"best": WHOLE, "last": other_values()}), BACKBONE, "fc")


def test_two_equal_networks_are_one() -> None:
    copy = {name: value.clone() for name, value in WHOLE.items()}
    for second in (WHOLE, copy):
        assert is_the_backbone(find(flatten({"best": WHOLE, "last": second}), BACKBONE, "fc").state)


# Odd content


def test_flattening_ends_on_loops_and_on_deep_nests() -> None:
    loop: dict[str, Any] = {"conv1.weight": torch.ones(1)}
    loop["model"] = loop
    assert list(flatten(loop)) == ["conv1.weight"]
    deep: dict[str, Any] = {}
    for _ in range(10_000):
        deep = {"a" * 100: deep, "t": torch.ones(1)}
    assert len(flatten(deep)) < 10
    assert flatten([torch.ones(1)]) == flatten({3: torch.ones(1)}) == {}


def test_a_name_with_thousands_of_dots_is_looked_at_in_no_time() -> None:
    hostile = {"." * 100_000: torch.ones(1), "a." * 100_000 + "conv1.weight": torch.ones(2, 3)}
    assert not find(hostile, BACKBONE, "fc").whole
    assert len(listed(hostile)) < 250


def test_lists_of_names_are_short() -> None:
    assert listed([]) == ""
    assert listed("ab") == "'a', 'b'"
    assert listed("abcde") == "'a', 'b', 'c' and 2 more"
