"""Tiles round little, and are offered where they fit."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.unit.trainables.convolution.layers import choosing, conv2d, images, results
from trainables.convolution import nnpack, offered


@pytest.mark.skipif(not nnpack.available(), reason="torch has no NNPACK here")
@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_tiles_round_between_fp32_and_bf16_and_are_only_offered_where_they_fit(
    padding: int, batch: int
) -> None:
    conv = conv2d(3, padding=padding)
    for size in ((3, 3), (6, 6), (7, 7), (13, 5)):
        x = images(batch, *size).float()
        exact = results(copy.deepcopy(conv).double(), x.double(), "fp32")
        ours = choosing(conv, ("forward", "input"), *size, precision="fp32", way="nnpack")
        first = results(ours, x, "fp32")
        for name, got in first.items():
            assert got.dtype == torch.float32
            usual = exact[name].square().mean().sqrt().item()
            torch.testing.assert_close(got.double(), exact[name], rtol=0, atol=1e-3 * usual)
        assert first["forward"].is_contiguous(memory_format=torch.channels_last)
        again = results(ours, x, "fp32")
        assert all(torch.equal(got, again[name]) for name, got in first.items())
    for other in (conv2d(3, 2), conv2d(1), conv2d(7)):
        assert all("nnpack" not in ways for ways in offered(other, "fp32").values())
    assert all("nnpack" not in ways for ways in offered(conv, "bf16").values())
