"""What must hold on a GPU: the same random numbers as on the CPU, nearly the same views, and training that learns there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trainables.data.augment import view
from trainables.data.counter_rng import uniform
from trainables.data.dataset import Caps, prepare
from trainables.finetune import finetune
from trainables.recipe import SCORE, Recipe

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def test_random_numbers_are_the_same_bit_for_bit() -> None:
    samples = torch.arange(1000)
    assert torch.equal(uniform(1, 2, samples, 9, "crop"), uniform(1, 2, samples.cuda(), 9, "crop").cpu())


@pytest.mark.parametrize("augmentation", ["none", "crop_flip", "crop_flip_color", "trivial"])
def test_a_view_is_the_cpus_view(augmentation: str) -> None:
    images = torch.randint(0, 256, (16, 40, 40, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    samples = torch.arange(16)
    there = view(images.cuda(), samples.cuda(), augmentation=augmentation, image_size=32, seed=0, epoch=1).cpu()
    here = view(images, samples, augmentation=augmentation, image_size=32, seed=0, epoch=1)
    assert ((there - here).abs() > 1 / 255).float().mean() < 0.001  # a rounded grey level may fall to the other side


def test_training_learns(tmp_path: Path) -> None:
    data = prepare("digits", image_size=32, caps=Caps(train=50, val=30, test=30), seed=0, cache=tmp_path / "cache")
    recipe = Recipe(weights="none", trainable_layers=6, batchnorm="batch_stats", image_size=32, epochs=4, batch_size=50)
    reports: list[dict[str, float]] = []
    finetune(recipe, data, torch.device("cuda"), reports.append, checkpoints=tmp_path / "run")
    assert [report["epoch"] for report in reports] == [1, 2, 3, 4]
    assert reports[-1][SCORE] > 0.4
