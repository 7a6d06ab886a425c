"""The share of a machine's matrix product that training reaches: what is counted, and how."""

from dataclasses import replace

import pytest
import torch

from benchmarks.flops import useful
from benchmarks.gemm import Gemm
from benchmarks.roof import Work, flop_per_image, measured, rows_of, together
from benchmarks.roof_convolutions import convolutions, reaches, verdict
from trainables.compute import Compute
from trainables.recipe import Recipe
from trainables.stages import stages

RECIPE = Recipe(image_size=32, trainable_layers=2, batch_size=8, epochs=3)
TAPS = 2 * 9  # a multiplication and an addition each


def test_a_step_on_stored_activations_counts_the_trained_part_alone() -> None:
    (stage,) = stages(RECIPE)
    work = Work.of(RECIPE, stage)
    assert work.source == "store"
    first = TAPS * 256 * 512 + 2 * 256 * 512  # 1x1 positions: a 3x3 and the 1x1 beside it
    others = 3 * TAPS * 512 * 512
    head = 2 * 512 * 10
    # The activations themselves need no gradient.
    expected = 2 * first + 3 * others + 3 * head
    total, net = flop_per_image(RECIPE, work, Compute())
    assert total == expected
    # At 1x1 one tap of nine meets a pixel; of the first convolution four, at the even positions.
    met = 2 * (4 * 2 * 256 * 512 + 2 * 256 * 512) + 3 * 3 * 2 * 512 * 512 + 3 * head
    assert net == pytest.approx(met)


def test_taps_on_padding_are_counted_as_such() -> None:
    conv = torch.nn.Conv2d(1, 1, 3, padding=1)
    assert useful(conv, 3, 3) == pytest.approx((7 / 9) ** 2)
    assert useful(torch.nn.Conv2d(1, 1, 3), 3, 3) == 1
    assert useful(torch.nn.Conv2d(1, 1, 1, stride=2), 6, 6) == 1


def test_kernels_of_ours_change_no_count() -> None:
    (stage,) = stages(RECIPE)
    work = Work.of(RECIPE, stage)
    ours = Compute(convolutions={"512>512 3x3/1 at 1x1": ["forward", "weight"]})
    assert flop_per_image(RECIPE, work, ours) == flop_per_image(RECIPE, work, Compute())


@pytest.mark.parametrize("change", [{"mixup": 0.2}, {"batchnorm": "batch_stats"}])
def test_what_the_store_cannot_serve_counts_from_the_pixels(change: dict[str, object]) -> None:
    recipe = replace(RECIPE, **change)  # type: ignore[arg-type]
    (stage,) = stages(recipe)
    work = Work.of(recipe, stage)
    assert work.source == "pixels"
    stored = replace(work, source="store")
    assert flop_per_image(recipe, work, Compute()) > flop_per_image(RECIPE, stored, Compute())


def test_each_stage_of_each_recipe_has_a_row_and_all_together_one_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.gemm.SHAPES", ((64, 64, 64), (64, 32, 64)))
    monkeypatch.setattr("benchmarks.roof.STEP_SECONDS", 0.001)
    two = replace(RECIPE, stage1_epochs=1)
    recipes = {"one": RECIPE, "two": two}
    works = {Work.of(r, stage): r for r in recipes.values() for stage in stages(r)}
    works[Work.filling(RECIPE)] = RECIPE
    rows = rows_of(recipes, measured(works, Compute(), Gemm("fp32"), rounds=1), "fp32")
    assert [(row["recipe"], row["stage"]) for row in rows] == [
        ("one", "1/1"),
        ("two", "1/2"),
        ("two", "2/2"),
        ("resnet18 32px", "fill"),
    ]
    assert together(rows)["gflops"] == pytest.approx(rows[0]["gflops"], rel=0.01)


def test_a_weights_gradient_must_reach_its_share_and_torchs_own_speed() -> None:
    fast = {"share_of_roof": 0.8, "chosen_gflops": 80.0, "torch_gflops": 60.0}
    assert reaches(fast)
    assert not reaches(fast | {"share_of_roof": 0.6}), "below the share"
    assert not reaches(fast | {"torch_gflops": 100.0}), "torch's own is faster"
    rows = [{"weight": fast}, {"weight": fast | {"share_of_roof": 0.6}}]
    assert verdict(rows).startswith("weight gradient: 1 of 2 shapes reach 70% of the GEMM")


def test_each_pass_of_each_shape_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.gemm.SHAPES", ((64, 64, 64),))
    monkeypatch.setattr("benchmarks.roof_convolutions.PASS_SECONDS", 0.0001)
    monkeypatch.setattr("benchmarks.roof_convolutions.BATCH", 2)
    with torch.random.fork_rng(devices=[]):
        rows = convolutions([RECIPE], Compute(), Gemm("fp32"), rounds=1, classes=3)
    assert rows[0]["shape"] == "3>64 7x7/2 at 32x32"
    assert "input" not in rows[0], "images need no gradient"
    assert len(rows) == len({row["shape"] for row in rows}) == 11
    assert all(row["weight"]["torch_gflops"] > 0 for row in rows)
