"""What must hold on a GPU.

The same random numbers as on the CPU, nearly the same views, and training that learns there.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trainables.compute import Compute, best_precision
from trainables.data.augment import view
from trainables.data.counter_rng import uniform
from trainables.data.dataset import Caps, prepare
from trainables.feature_store import FeatureStore
from trainables.finetune import finetune
from trainables.frozen_features import Shared
from trainables.metrics import MICRO_BATCH, SCORE, VAL_LOSS
from trainables.recipe import Recipe

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_random_numbers_are_the_same_bit_for_bit() -> None:
    samples = torch.arange(1000)
    assert torch.equal(
        uniform(1, 2, samples, 9, "crop"), uniform(1, 2, samples.cuda(), 9, "crop").cpu()
    )


@pytest.mark.parametrize("augmentation", ["none", "crop_flip", "crop_flip_color", "trivial"])
def test_a_view_is_the_cpus_view(augmentation: str) -> None:
    images = torch.randint(
        0, 256, (16, 40, 40, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    samples = torch.arange(16)
    there = view(
        images.cuda(), samples.cuda(), augmentation=augmentation, image_size=32, seed=0, epoch=1
    ).cpu()
    here = view(images, samples, augmentation=augmentation, image_size=32, seed=0, epoch=1)
    assert (
        (there - here).abs() > 1 / 255
    ).float().mean() < 0.001  # a rounded grey level may fall to the other side


def test_training_learns(tmp_path: Path) -> None:
    data = prepare(
        "digits",
        image_size=32,
        caps=Caps(train=50, val=30, test=30),
        seed=0,
        cache=tmp_path / "cache",
    )
    recipe = Recipe(
        weights="none",
        trainable_layers=6,
        batchnorm="batch_stats",
        image_size=32,
        epochs=4,
        batch_size=50,
    )
    reports: list[dict[str, float]] = []
    finetune(recipe, data, torch.device("cuda"), reports.append, checkpoints=tmp_path / "run")
    assert [report["epoch"] for report in reports] == [1, 2, 3, 4]
    assert reports[-1][SCORE] > 0.4


@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
@pytest.mark.parametrize("stage1_epochs", [0, 1])
def test_with_and_without_the_store_the_numbers_are_the_same(
    augmentation: str, stage1_epochs: int, tmp_path: Path
) -> None:
    data = prepare(
        "digits",
        image_size=32,
        caps=Caps(train=20, val=20, test=20),
        seed=0,
        cache=tmp_path / "cache",
    )
    recipe = Recipe(
        weights="none",
        image_size=32,
        epochs=3,
        batch_size=50,
        augmentation=augmentation,
        stage1_epochs=stage1_epochs,
    )
    cuda = torch.device("cuda")
    shared = Shared(
        store=FeatureStore(tmp_path / "prefix", sweep="one"),
        cuts=("layer3", "layer4"),
    )
    scores = []
    for options in ({}, {"shared": shared}, {"shared": shared}):
        reports: list[dict[str, float]] = []
        finetune(
            recipe,
            data,
            cuda,
            reports.append,
            compute=Compute(precision=best_precision(cuda)),
            **options,
        )
        scores.append([report[VAL_LOSS] for report in reports])
    # Some of cuDNN's backward kernels add in any order.
    assert scores[0] == pytest.approx(scores[1], rel=1e-3)
    assert scores[1] == pytest.approx(scores[2], rel=1e-3)


def test_a_batch_that_does_not_fit_continues_in_smaller_pieces(tmp_path: Path) -> None:
    data = prepare(
        "digits",
        image_size=224,
        caps=Caps(train=50, val=20, test=20),
        seed=0,
        cache=tmp_path / "cache",
    )
    recipe = Recipe(weights="none", trainable_layers=6, image_size=224, epochs=1, batch_size=500)
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, 6 * 2**30 / total))
    reports: list[dict[str, float]] = []
    try:
        finetune(recipe, data, torch.device("cuda"), reports.append)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert reports[0][MICRO_BATCH] < 500
