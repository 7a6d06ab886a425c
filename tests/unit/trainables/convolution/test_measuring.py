"""What is wrong is found and not used; what is right and clearly faster is."""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables.compute import best_precision
from trainables.convolution import (
    PASSES,
    Choices,
    Pass,
    Way,
    Ways,
    install,
    measure,
    nnpack,
    offered,
    products,
)
from trainables.convolution import measuring as module
from trainables.convolution.layer import KERNELS
from trainables.network import Precision

BOTH: tuple[Precision, ...] = ("fp32", "bf16")
FIRST = "3>8 3x3/1 at 6x6"
SECOND = "8>8 3x3/2 at 6x6"
THIRD = "8>8 1x1/2 at 3x3"
DEPTHWISE = "8>8 3x3/1 in 8 groups at 2x2"


def tiny() -> nn.Sequential:
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.Dropout(0.5)]
    rest = [nn.Conv2d(8, 8, 3, 2, 1, bias=False), nn.Conv2d(8, 8, 1, 2, bias=False)]
    network = nn.Sequential(nn.Sequential(*body), *rest, nn.Conv2d(8, 8, 3, 1, 1, 1, 8, bias=False))
    return network.to(memory_format=torch.channels_last)


def of(network: nn.Module, precision: Precision, **options: Any) -> dict[str, Ways]:
    return measure(network, torch.zeros(1, 3, 6, 6), precision, batch=2, rounds=1, **options)


def spoil(do: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A kernel that forgets what it owes at one place."""

    def spoiled(*arguments: Any) -> Tensor:
        made = do(*arguments)
        made.select(0, 0).select(0, 0).fill_(123.0)
        return made

    return spoiled


def spoil_gradient(number: int) -> Callable[..., Any]:
    """torch's gradients, of which the first or second is what lay in memory."""
    do = module.gradients

    def spoiled(*arguments: Any) -> Any:
        made = list(do(*arguments))
        if made[number] is not None:
            made[number] = torch.full_like(made[number], torch.nan)
        return made

    return spoiled


@pytest.mark.parametrize("precision", BOTH)
def test_measure_leaves_the_network_as_it_was_and_checks_all_that_is_needed(
    precision: Precision,
) -> None:
    network = tiny()
    network[1].eval()
    network[0].requires_grad_(False)
    network[2].weight.grad = torch.ones_like(network[2].weight)
    state, random = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    found = of(network, precision)
    # What is frozen needs no gradients.
    assert found[FIRST].checked == ("forward",)
    assert set(found[FIRST].faster) <= {"forward"}
    assert {key: ways.checked for key, ways in found.items() if key != FIRST} == dict.fromkeys(
        (SECOND, THIRD, DEPTHWISE), PASSES
    )
    for conv, key in ((network[1], SECOND), (network[2], THIRD), (network[3], DEPTHWISE)):
        for name, way in found[key].faster.items():
            assert way in offered(conv, precision)[name]
        assert not conv._forward_pre_hooks
    assert list(offered(network[1], precision)) == ["forward", "weight"]
    assert offered(network[3], precision) == {}
    assert [part.training for part in network[:3]] == [True, False, True]
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert [name for name, p in network.named_parameters() if p.grad is not None] == ["2.weight"]
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.backends.mkldnn.enabled


@pytest.fixture
def takes(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The seconds that oneDNN and each other way take, which a test may set."""
    seconds: dict[str, float] = {"onednn": 10.0, "product": 1.0}
    seconds |= {"tiles": 100.0, "nnpack": 100.0}
    monkeypatch.setattr(
        module, "timeit", lambda run, number: seconds[getattr(run, "args", ["onednn"])[0]]
    )
    return seconds


LOST: dict[str, Pass] = {
    "output": "forward",
    "input_gradient": "input",
    "weight_gradient": "weight",
}


@pytest.mark.parametrize("precision", BOTH)
@pytest.mark.parametrize("kernel", LOST)
def test_a_wrong_kernel_of_ours_is_not_used_however_fast(
    precision: Precision, kernel: str, takes: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert of(tiny(), precision)[THIRD].faster == dict.fromkeys(PASSES, "product")
    monkeypatch.setattr(products, kernel, spoil(getattr(products, kernel)))
    found = of(tiny(), precision)
    for key in (FIRST, SECOND, THIRD):
        assert LOST[kernel] not in found[key].faster
        assert found[key].wrong == ()
    assert set(found[FIRST].faster) == set(PASSES) - {LOST[kernel]}


TILED = [*product(["tiles"], LOST), ("nnpack", "output"), ("nnpack", "input_gradient")]


@pytest.mark.parametrize(("way", "kernel"), TILED)
def test_wrong_tiles_are_not_used_however_fast(
    way: Way, kernel: str, takes: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "nnpack" and not nnpack.available():
        pytest.skip("torch has no NNPACK here")
    takes[way] = 0.5
    assert of(tiny(), "fp32")[FIRST].faster[LOST[kernel]] == way
    assert way not in of(tiny(), "bf16")[FIRST].faster.values()
    monkeypatch.setattr(KERNELS[way], kernel, spoil(getattr(KERNELS[way], kernel)))
    assert of(tiny(), "fp32")[FIRST].faster[LOST[kernel]] == "product"


@pytest.mark.parametrize("precision", BOTH)
@pytest.mark.parametrize("wrong", PASSES)
def test_a_wrong_kernel_of_torch_is_not_used_however_slow_ours_is(
    precision: Precision,
    wrong: Pass,
    takes: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    takes.update(product=100.0, tiles=1000.0, nnpack=1000.0)
    if wrong == "forward":
        monkeypatch.setattr(module, "forward", spoil(module.forward))
    else:
        gradient = spoil_gradient(("input", "weight").index(wrong))
        monkeypatch.setattr(module, "gradients", gradient)
    network = tiny()
    found = of(network, precision)
    for conv, key in ((network[1], SECOND), (network[2], THIRD), (network[3], DEPTHWISE)):
        assert found[key].wrong == (wrong,)
        assert found[key].faster == (
            {wrong: "product"} if wrong in offered(conv, precision) else {}
        )


def test_what_the_check_finds_is_what_a_network_then_computes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, images = tiny(), torch.randn(2, 3, 6, 6)
    expected = network.eval()(images)
    monkeypatch.setattr(module, "forward", spoil(module.forward))
    found = of(network, "fp32")
    # As they are on this machine, were torch's kernels as bad as that.
    monkeypatch.setattr("trainables.convolution.layer.forward", spoil(module.forward))
    wrong = {key: ways.wrong for key, ways in found.items()}
    install(network, Choices(precision="fp32", wrong=wrong))
    torch.testing.assert_close(network(images), expected)


@pytest.mark.parametrize(("ratio", "faster"), [(0.9, True), (0.91, False), (3.0, False)])
def test_measure_chooses_what_is_clearly_faster_and_tries_no_known_shape(
    ratio: float, faster: bool, takes: dict[str, float]
) -> None:
    takes.update(product=10.0 * ratio)
    known = {
        FIRST: Ways(checked=PASSES, faster={"input": "product"}),
        SECOND: Ways(checked=("forward",), wrong=("forward",)),  # once it was frozen
    }
    found = of(tiny(), best_precision(torch.device("cpu")), known=known)
    assert found[FIRST] == known[FIRST]
    assert set(found[SECOND].faster) == ({"forward", "weight"} if faster else set())
    assert set(found[THIRD].faster) == (set(PASSES) if faster else set())
    assert found[SECOND].checked == PASSES
    for ways in found.values():
        assert Ways.from_dict(json.loads(json.dumps(asdict(ways)))) == ways


def test_a_gradient_that_onednn_leaves_as_it_was_in_memory_is_never_its() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False))
    found = measure(network, torch.zeros(1, 3, 1, 1), "bf16", batch=2, rounds=1)
    (ways,) = found.values()
    assert ways.wrong == ("weight",)
    assert ways.faster["weight"] == "product"


def test_what_has_no_other_way_is_checked_with_few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """A depthwise convolution would take hundreds until its speed could be told."""
    taken = {}
    do = module._try

    def noted(conv: nn.Conv2d, shape: Sequence[int], *rest: Any) -> Ways:
        taken[conv.groups] = shape[0]
        return do(conv, shape, *rest)

    monkeypatch.setattr(module, "_try", noted)
    measure(tiny(), torch.zeros(1, 3, 6, 6), "fp32", batch=64, rounds=1)
    assert taken[1] == 64
    assert taken[8] == module.ONLY_CHECKED
