"""How trials compute is chosen once a machine, and is right before it is fast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from trainables.backbones import build
from trainables.compute import CACHE_FILE, Compute, best_precision, choose
from trainables.convolution import Convolution, Pass, Way, measuring
from trainables.recipe import LAYER_GROUPS, Recipe

CPU = torch.device("cpu")
RECIPE = Recipe(backbone="resnet18", image_size=32, trainable_layers=2, batch_size=4)
DEEPER = Recipe(backbone="resnet18", image_size=32, trainable_layers=3, batch_size=4)
LAST = "512>512 3x3/1 at 1x1"
FROZEN = "64>64 3x3/1 at 8x8"


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What is needed of each shape that is tried, of which torch's output is found wrong."""
    calls: list[tuple[str, ...]] = []

    def found(conv: Any, shape: Any, precision: Any, needed: Any, rounds: int) -> measuring.Ways:
        calls.append(tuple(needed))
        ours: dict[Pass, Way] = {"weight": "product"} if len(needed) > 1 else {}
        return measuring.Ways(checked=tuple(needed), faster=ours, wrong=("forward",))

    monkeypatch.setattr(measuring, "_try", found)
    return calls


def chosen(*recipes: Recipe, cache: Path, said: list[str] | None = None) -> Compute:
    say = (said if said is not None else []).append
    return choose(recipes, 2, "cpu", threads=1, cache=cache, say=say)


def test_what_is_known_is_not_tried_again_but_what_was_frozen_is_when_it_trains(
    tried: list[tuple[str, ...]], tmp_path: Path
) -> None:
    said: list[str] = []
    first = chosen(RECIPE, cache=tmp_path, said=said)
    assert said[0].startswith("Checking and timing convolutions")
    assert tried.count(("forward", "input", "weight")) == 3
    assert len(tried) == 11
    tried.clear()
    said.clear()
    assert chosen(RECIPE, cache=tmp_path, said=said) == first
    assert tried == []
    assert [line for line in said if "Checking" in line] == []
    chosen(DEEPER, cache=tmp_path)
    assert tried == [("forward", "input", "weight")] * 3


def test_what_torch_gets_wrong_is_said_in_a_line_each_time(
    tried: list[tuple[str, ...]], tmp_path: Path
) -> None:
    precision = best_precision(CPU)
    for _ in range(2):
        said: list[str] = []
        found = chosen(RECIPE, cache=tmp_path, said=said)
        assert len(found.wrong) == 11
        (line,) = [line for line in said if "wrong" in line]
        assert f"torch {torch.__version__} is wrong here in {precision} at the convolution" in line
        assert "and 10 other shapes" in line


def test_frozen_groups_get_what_is_right_and_those_that_train_what_is_fast_too(
    tried: list[tuple[str, ...]], tmp_path: Path
) -> None:
    found = chosen(RECIPE, cache=tmp_path)
    network = build(RECIPE, 2)
    found.install(network, RECIPE.trainable_layers)
    assert network.precision == found.precision
    assert FROZEN in network.exact
    for name in LAYER_GROUPS[:-1]:
        for part in network.get_submodule(name).modules():
            if not isinstance(part, Convolution):
                continue
            assert part.choices.wrong == found.wrong
            assert part.choices.faster == (found.convolutions if name == "layer4" else {})
    assert found.convolutions[LAST] == {"weight": "product"}


def test_a_machine_without_a_wrong_pass_leaves_frozen_groups_untouched() -> None:
    network = build(RECIPE, 2)
    Compute(convolutions={LAST: {"weight": "product"}}).install(network, 2)
    own = {type(part) for part in network.get_submodule("layer3").modules()}
    assert Convolution not in own
    assert Convolution in {type(part) for part in network.get_submodule("layer4").modules()}
    assert network.exact == ()


def test_a_sweep_of_an_earlier_version_computes_as_it_did() -> None:
    earlier = {"precision": "bf16", "convolutions": {LAST: ["weight"]}}
    ways: dict[Pass, Way] = {"weight": "product"}
    assert Compute.from_dict(earlier) == Compute(precision="bf16", convolutions={LAST: ways})
    now = Compute(precision="fp32", wrong={LAST: ["forward"]})
    assert Compute.from_dict(json.loads(json.dumps(now.as_dict()))) == now


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"another machine": {}}'])
def test_a_damaged_cache_is_made_again(
    damage: str, tried: list[tuple[str, ...]], tmp_path: Path
) -> None:
    (tmp_path / CACHE_FILE).write_text(damage)
    assert chosen(RECIPE, cache=tmp_path).wrong
    assert len(tried) == 11
    known = json.loads((tmp_path / CACHE_FILE).read_text())
    assert any(key.endswith(best_precision(CPU)) for key in known)


def test_torchs_threads_are_left_as_they_were(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    choose(
        [], 2, "cpu", threads=1, cache=tmp_path, say=lambda _: seen.append(torch.get_num_threads())
    )
    assert seen == [1]
    assert torch.get_num_threads() == before
