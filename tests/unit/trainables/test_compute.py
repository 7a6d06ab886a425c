"""How trials compute is chosen once a machine, and is right before it is fast."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from trainables import compute
from trainables.backbones import build
from trainables.compute import CACHE_FILE, Compute, best_precision, choose
from trainables.convolution import Convolution, Pass, Way, measuring
from trainables.recipe import Recipe

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


@pytest.mark.parametrize(("bf16_seconds", "precision"), [(0.5, "bf16"), (1.5, "fp32")])
def test_bf16_is_used_where_the_instructions_are_there_and_pay(
    monkeypatch: pytest.MonkeyPatch, bf16_seconds: float, precision: str
) -> None:
    seconds = {torch.bfloat16: bf16_seconds, torch.float32: 1.0}
    monkeypatch.setattr(compute, "_product_seconds", seconds.__getitem__)
    monkeypatch.setattr(compute, "_bf16_is_faster", compute._bf16_is_faster.__wrapped__)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert best_precision(CPU) == precision
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert best_precision(CPU) == "fp32"


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


def test_a_network_computes_as_was_chosen_and_says_what_decides_its_activations(
    tried: list[tuple[str, ...]], tmp_path: Path
) -> None:
    found = chosen(RECIPE, replace(RECIPE, backbone="mobilenet_v2"), cache=tmp_path)
    assert found.convolutions[LAST] == {"weight": "product"}
    network = build(RECIPE, 2)
    found.install(network)
    assert network.precision == found.precision
    own = [part for part in network.modules() if isinstance(part, Convolution)]
    assert len(own) == 20
    for part in own:
        assert part.choices.wrong == found.wrong
        assert part.choices.faster == found.convolutions
    assert len(network.ways) == 11, "and no shape of the other network"
    assert network.ways[FROZEN] == "fp32"
    assert len(found.wrong) > 30


def test_a_faster_way_counts_more_than_a_wrong_one_and_gradients_decide_no_activations() -> None:
    network = build(RECIPE, 2)
    faster: dict[str, dict[Pass, Way]] = {
        LAST: {"weight": "product"},
        FROZEN: {"forward": "nnpack"},
    }
    Compute(convolutions=faster, wrong={FROZEN: ("forward",)}).install(network)
    assert network.ways == {FROZEN: "nnpack"}


def test_a_machine_on_which_nothing_is_wrong_or_faster_leaves_a_network_untouched() -> None:
    network = build(RECIPE, 2)
    Compute().install(network)
    assert not any(isinstance(part, Convolution) for part in network.modules())
    assert network.ways == {}


def test_what_a_sweep_of_an_earlier_version_chose_is_read() -> None:
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
    assert any(f", {best_precision(CPU)}, ways " in key for key in known)


def test_entries_that_cannot_be_read_are_tried_again(
    tried: list[tuple[str, ...]], tmp_path: Path
) -> None:
    chosen(RECIPE, cache=tmp_path)
    file = tmp_path / CACHE_FILE
    (here,) = json.loads(file.read_text())
    for entries in ([], {LAST: []}, {LAST: {"checked": ["forward"], "products": []}}):
        tried.clear()
        file.write_text(json.dumps({here: entries}))
        assert chosen(RECIPE, cache=tmp_path).wrong
        assert len(tried) == 11


def test_torchs_threads_are_left_as_they_were(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    choose(
        [], 2, "cpu", threads=1, cache=tmp_path, say=lambda _: seen.append(torch.get_num_threads())
    )
    assert seen == [1]
    assert torch.get_num_threads() == before
