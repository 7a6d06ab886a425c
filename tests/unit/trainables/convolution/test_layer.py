"""Matrix products give what torch's convolutions give; they are used only where chosen."""

import copy
from itertools import chain, combinations, product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.unit.trainables.convolution.layers import (
    bf16,
    choosing,
    conv2d,
    gradient_like,
    images,
    results,
)
from trainables.compute import best_precision
from trainables.convolution import (
    NOTHING,
    PASSES,
    Choices,
    Convolution,
    Pass,
    eligible,
    install,
    layer,
    offered,
    products,
    shape_key,
)
from trainables.convolution.passes import How, exact_forward
from trainables.network import Precision

products_correlate = products.correlate
BF16_IS_USED = best_precision(torch.device("cpu")) == "bf16"
SUBSETS = list(chain.from_iterable(combinations(PASSES, n) for n in range(4)))


def reference(conv: nn.Conv2d, x: Tensor) -> dict[str, Tensor]:
    """In float64, from what is left of the values in bf16."""
    x, w = (tensor.detach().bfloat16().double().requires_grad_() for tensor in (x, conv.weight))
    y = F.conv2d(x, w, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    return dict(
        zip(PASSES, (y.detach(), *torch.autograd.grad(y, (x, w), gradient_like(y))), strict=True)
    )


def assert_correctly_rounded(
    ours: dict[str, Tensor], exact: dict[str, Tensor], where: str, passes: tuple[Pass, ...] = PASSES
) -> None:
    """The error is hardly more than that of exact values in bf16.

    torch's own cannot undercut that.
    """
    for name in passes:
        error, least = (
            (got.double() - exact[name]).norm() for got in (ours[name], exact[name].bfloat16())
        )
        assert ours[name].shape == exact[name].shape, f"{name}, {where}"
        assert error <= 1.1 * least + 1e-5 * exact[name].norm(), f"{name}, {where}"


@pytest.mark.parametrize(("kernel", "stride", "batch"), list(product((1, 3, 7), (1, 2), (1, 5))))
@pytest.mark.parametrize("channels_last", [True, False])
def test_output_and_gradients_are_as_exact_as_bf16_allows(
    kernel: int, stride: int, batch: int, channels_last: bool
) -> None:
    conv = conv2d(kernel, stride, channels_last=channels_last)
    for size in ((1, 1), (2, 2), (3, 3), (5, 5), (6, 6), (7, 7), (2, 5), (6, 1)):
        x = images(batch, *size)
        exact = reference(conv, x)
        for passes in SUBSETS:
            if kernel > 1 and stride > 1 and size[1] == 1 and "weight" not in passes:
                # oneDNN leaves the gradient of a tap that meets padding alone uninitialised.
                continue
            ours = results(choosing(conv, passes, *size), x)
            # Without instructions for bf16, torch's own passes are less exact; the product computes
            # in fp32 there.
            asked = (
                PASSES
                if BF16_IS_USED
                else tuple(name for name in offered(conv, "bf16") if name in passes)
            )
            assert_correctly_rounded(ours, exact, f"{passes} at {size}", asked)
            assert ours["weight"].dtype == torch.float32
            assert ours["weight"].stride() == conv.weight.stride() or not passes
            assert ours["forward"].dtype == torch.bfloat16
            assert ours["forward"].is_contiguous(memory_format=torch.channels_last) or not passes


@pytest.mark.parametrize(("kernel", "stride"), list(product((1, 3, 7), (1, 2))))
def test_output_and_gradients_in_fp32_are_those_of_float64_up_to_rounding(
    kernel: int, stride: int
) -> None:
    conv = conv2d(kernel, stride)
    for size in ((1, 1), (3, 3), (6, 6), (2, 5)):
        x = images(5, *size).float()
        double = copy.deepcopy(conv).double()
        exact = results(double, x.double(), "fp32")
        for passes in SUBSETS:
            ours = choosing(conv, passes, *size, precision="fp32")
            for name, got in results(ours, x, "fp32").items():
                assert got.dtype == torch.float32
                torch.testing.assert_close(got.double(), exact[name], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("passes", SUBSETS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", [{}, {"groups": 8}, {"dilation": 2, "padding": 2}, {"stride": 2}])
def test_what_torch_gets_wrong_is_computed_without_onednn_in_fp32(
    passes: tuple[Pass, ...],
    precision: Precision,
    kind: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conv = nn.Conv2d(8, 8, 3, **{"padding": 1, **kind}, bias=False)
    conv.weight.data = conv.weight.data.bfloat16().float()
    x = images(3, 5, 5)
    # Not torch's own, which in bf16 may indeed be wrong.
    exact = reference(conv, x)
    x = x if precision == "bf16" else x.float()
    ours = choosing(conv, (), 5, 5, precision=precision, wrong=passes)
    dtypes = {name: value.dtype for name, value in results(conv, x, precision).items()}
    on: list[bool] = []
    for name in ("exact_forward", "exact_gradients"):
        do = getattr(layer, name)
        monkeypatch.setattr(layer, name, lambda *args, do=do: (on.append(True), do(*args))[1])
    got = results(ours, x, precision)
    assert bool(on) == bool(passes)
    assert torch.backends.mkldnn.enabled
    assert {name: value.dtype for name, value in got.items()} == dtypes
    for name in passes:
        least = 1e-5 if precision == "fp32" else 1e-2
        torch.testing.assert_close(got[name].double(), exact[name], rtol=least, atol=least)


def test_a_wrong_pass_is_a_product_where_that_was_chosen() -> None:
    conv, x = conv2d(3), images(2, 3, 3)
    both = choosing(conv, PASSES, 3, 3, wrong=PASSES)
    expected = results(choosing(conv, PASSES, 3, 3), x)
    assert all(torch.equal(got, expected[name]) for name, got in results(both, x).items())


@pytest.mark.parametrize(("kernel", "padding"), [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (5, 4)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_whole_numbers_come_out_exactly_with_any_padding(
    kernel: int, padding: int, stride: int
) -> None:
    conv, x = conv2d(kernel, stride, padding=padding), images(2, 5, 4).sign()
    conv.weight.data.sign_()
    # No sum of its is rounded but at its end, which could hide a tap in the wrong place.
    exact = reference(conv, x)
    for name, got in results(choosing(conv, PASSES, 5, 4), x).items():
        assert torch.equal(got.bfloat16(), exact[name].bfloat16()), name


def test_a_part_of_a_larger_tensor_and_other_layouts_and_dtypes_are_read_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Pieces of few samples, and a smaller last one.
    monkeypatch.setattr(products, "_CHUNK", 2 * 2 * 8 * 9 * 9)
    conv, whole = conv2d(3), images(9, 3, 3)
    ours = choosing(conv, PASSES, 3, 3)
    expected = results(ours, whole[2:].clone())
    for x in (whole[2:], whole[2:].contiguous(), images(9, 3, 6)[2:, :, :, ::2].copy_(whole[2:])):
        assert all(torch.equal(got, expected[name]) for name, got in results(ours, x).items())
    in_fp32 = results(ours, whole[2:].float())
    assert in_fp32["input"].dtype == torch.float32
    assert all(torch.equal(got, expected[name].to(got.dtype)) for name, got in in_fp32.items())
    assert results(ours, whole[:0])["weight"].count_nonzero() == 0


@pytest.mark.parametrize("passes", SUBSETS)
def test_only_needed_gradients_are_made_and_what_they_need_is_kept(
    passes: tuple[Pass, ...],
) -> None:
    for frozen in ("input", "weight", None):
        ours, x = (
            choosing(conv2d(3), passes, 3, 3),
            images(2, 3, 3).requires_grad_(frozen != "input"),
        )
        ours.weight.requires_grad_(frozen != "weight")
        with bf16():
            y = ours(x)
        if frozen and y.grad_fn.name() == "_PassesBackward":
            assert [saved is None for saved in y.grad_fn.saved_tensors] == [
                frozen == "weight",
                frozen == "input",
            ]
        y.backward(gradient_like(y))
        assert (x.grad is None, ours.weight.grad is None) == (frozen == "input", frozen == "weight")
        both = results(choosing(conv2d(3), passes, 3, 3), images(2, 3, 3))
        assert frozen == "input" or torch.equal(x.grad, both["input"])
        assert frozen == "weight" or torch.equal(ours.weight.grad, both["weight"])


@pytest.mark.parametrize("grad_off", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_output_is_that_of_training(grad_off: type[torch.no_grad]) -> None:
    conv, x = conv2d(3), images(3, 5, 5)
    for passes in SUBSETS:
        with bf16(), grad_off():
            y = choosing(conv, passes, 5, 5)(x)
        assert torch.equal(y, results(choosing(conv, passes, 5, 5), x)["forward"])
        assert not y.requires_grad


def test_nothing_changes_to_the_last_bit_in_another_precision_and_at_shapes_without_a_choice() -> (
    None
):
    conv = conv2d(3)
    ours, x = choosing(conv, PASSES, 3, 3), images(2, 3, 3).float()
    y = ours(x)
    assert torch.equal(y, conv(x))
    assert torch.equal(
        *(
            torch.autograd.grad(layer(x), conv.weight, torch.ones_like(y))[0]
            for layer in (ours, conv)
        )
    )
    with torch.autocast("cpu", dtype=torch.float16):
        assert ours(x).dtype == torch.float16
    elsewhere = images(2, 4, 3)
    assert all(
        torch.equal(got, results(conv, elsewhere)[name])
        for name, got in results(ours, elsewhere).items()
    )


def test_the_same_input_gives_the_same_bits_again_and_the_output_may_be_changed_in_place() -> None:
    ours, x = choosing(conv2d(3), PASSES, 6, 6), images(5, 6, 6)
    first = results(ours, x)
    assert all(torch.equal(first[name], again) for name, again in results(ours, x).items())
    with bf16():
        nn.ReLU(inplace=True)(ours(x)).sum().backward()


def tiny() -> nn.Sequential:
    torch.manual_seed(0)
    body = [
        nn.Conv2d(3, 8, 3, 1, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
    ]
    head = [
        nn.Conv2d(8, 8, 3, 2, 1, bias=False),
        nn.Conv2d(8, 8, 1, 2, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ]
    return nn.Sequential(nn.Sequential(*body), *head, nn.Linear(8, 4)).to(
        memory_format=torch.channels_last
    )


TINY = Choices(
    precision="bf16",
    faster={
        "3>8 3x3/1 at 6x6": dict.fromkeys(PASSES, "product"),
        "8>8 3x3/2 at 6x6": {"weight": "product", "forward": "product"},
        "8>8 1x1/2 at 3x3": dict.fromkeys(PASSES, "product"),
    },
)


def test_install_keeps_parameters_state_dict_and_modes() -> None:
    network = tiny()
    network[0].eval()
    keys, parameters, random = (
        list(network.state_dict()),
        dict(network.named_parameters()),
        torch.get_rng_state(),
    )
    install(network, TINY)
    replaced = [network[0][0], network[1], network[2]]
    assert [type(module) for module in replaced] == [Convolution] * 3
    assert [module.training for module in replaced] == [False, True, True]
    assert list(network.state_dict()) == keys
    assert all(parameters[name] is parameter for name, parameter in network.named_parameters())
    assert torch.equal(torch.get_rng_state(), random)
    network.append(network[1])
    other = Choices(precision="bf16", faster={"another": {"forward": "product"}})
    install(network, other)
    assert network[1] is network[-1]  # one module at two places stays one
    assert network[1].choices == other
    assert copy.deepcopy(network)[1].choices == other


def test_keys_say_what_they_are() -> None:
    assert shape_key(nn.Conv2d(512, 256, 3, 1, 1, bias=False), 3, 4) == "512>256 3x3/1 at 3x4"
    assert shape_key(nn.Conv2d(64, 8, 3, 2, bias=False), 7, 7) == "64>8 3x3/2 padded by 0 at 7x7"
    odd = nn.Conv2d(64, 8, 3, 1, 1, dilation=2, groups=4, bias=False)
    assert shape_key(odd, 7, 7) == "64>8 3x3/1 dilated by 2 in 4 groups at 7x7"


def test_an_empty_table_and_convolutions_of_other_kinds_are_left_alone() -> None:
    network = tiny()
    before = list(network.modules())
    install(network, NOTHING)
    assert all(a is b for a, b in zip(before, network.modules(), strict=True))
    other = {
        "bias": True,
        "padding": "same",
        "padding_mode": "reflect",
        "stride": (1, 2),
    }
    usual = {"kernel_size": 3, "padding": 1, "bias": False}
    others = nn.Sequential(
        *(nn.Conv2d(4, 4, **{**usual, name: value}) for name, value in other.items())
    )
    others.append(nn.Conv2d(4, 4, (1, 3), padding=(0, 1), bias=False))
    install(others, TINY)
    assert not any(eligible(module) or isinstance(module, Convolution) for module in others)


def test_training_goes_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = (
        torch.randn(16, 3, 6, 6, generator=torch.Generator().manual_seed(1)),
        torch.arange(16) % 4,
    )
    made: list[int] = []
    # Of the output, and of the gradient of the input.
    monkeypatch.setattr(
        products, "correlate", lambda *args: (made.append(1), products_correlate(*args))[1]
    )
    losses: list[list[float]] = []
    for choices, count in (
        (NOTHING, 0),
        (TINY, 20 * 4),
    ):  # three outputs and the gradient of one input a step
        made.clear()
        network = tiny()
        install(network, choices)
        optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        torch.manual_seed(2)
        losses.append([])
        for _ in range(20):
            with bf16():
                loss = F.cross_entropy(network(x), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses[-1].append(loss.item())
        assert len(made) == count
    assert losses[1] == pytest.approx(losses[0], abs=0.05)
    assert losses[1][-1] < losses[1][0] - 0.1


def test_what_is_plain_is_in_fp32_under_autocast_too() -> None:
    conv, x = conv2d(3), images(2, 6, 6)
    how = How.of(conv)
    expected = exact_forward(x, conv.weight.detach(), how)
    with bf16():
        got = exact_forward(x, conv.weight.detach(), how)
    assert got.dtype == torch.float32
    assert torch.equal(got, expected)
