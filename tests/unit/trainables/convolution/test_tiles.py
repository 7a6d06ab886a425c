"""What goes by tiles rounds little, and is offered where tiles fit."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.unit.trainables.convolution.layers import choosing, conv2d, images, results
from trainables.convolution import PASSES, Pass, Way, nnpack, offered, tiles
from trainables.convolution.passes import How

WAYS: dict[Way, tuple[Pass, ...]] = {"tiles": PASSES, "nnpack": ("forward", "input")}
NEEDS_NNPACK = pytest.mark.skipif(not nnpack.available(), reason="torch has no NNPACK here")


@pytest.mark.parametrize("way", ["tiles", pytest.param("nnpack", marks=NEEDS_NNPACK)])
@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_tiles_round_between_fp32_and_bf16(padding: int, batch: int, way: Way) -> None:
    conv = conv2d(3, padding=padding)
    for size in ((3, 3), (4, 4), (6, 6), (7, 7), (13, 5)):
        x = images(batch, *size).float()
        exact = results(copy.deepcopy(conv).double(), x.double(), "fp32")
        ours = choosing(conv, WAYS[way], *size, precision="fp32", way=way)
        first = results(ours, x, "fp32")
        for name, got in first.items():
            assert got.dtype == torch.float32
            usual = exact[name].square().mean().sqrt().item()
            most = 1e-3 if way == "nnpack" else 1e-4
            torch.testing.assert_close(got.double(), exact[name], rtol=0, atol=most * usual)
        assert first["forward"].is_contiguous(memory_format=torch.channels_last)
        again = results(ours, x, "fp32")
        assert all(torch.equal(got, again[name]) for name, got in first.items())


def test_images_that_go_through_in_pieces_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    conv, x = conv2d(3), images(7, 6, 6).float()
    w, how = conv.weight.detach(), How.of(conv)
    whole = tiles.output(x, w, how)
    gradient = tiles.weight_gradient(whole, x, torch.empty_like(w), how)
    monkeypatch.setattr(tiles, "_CHUNK", 3 * 4 * 25 * 8 * 4)
    assert torch.equal(tiles.output(x, w, how), whole)
    in_pieces = tiles.weight_gradient(whole, x, torch.empty_like(w), how)
    # Sums in another order: half of what tiles round. Small elements are sums of large ones.
    usual = gradient.square().mean().sqrt().item()
    torch.testing.assert_close(in_pieces, gradient, rtol=0, atol=1e-5 * usual)


def test_they_are_offered_in_fp32_for_3x3_with_a_stride_of_1() -> None:
    for other in (conv2d(3, 2), conv2d(1), conv2d(7)):
        assert {way for ways in offered(other, "fp32").values() for way in ways} == {"product"}
    assert {way for ways in offered(conv2d(3), "bf16").values() for way in ways} == {"product"}
    for name in PASSES:
        assert {"product", "tiles"} <= set(offered(conv2d(3), "fp32")[name])
    assert "nnpack" not in offered(conv2d(3), "fp32")["weight"]
