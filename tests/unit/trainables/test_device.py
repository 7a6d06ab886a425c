"""The estimate of an epoch's time."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from trainables import device
from trainables.recipe import Recipe


def seconds(
    recipe: Recipe, *, train_images: int = 100, val_images: int = 50, threads: int = 1
) -> float:
    return device.epoch_seconds(
        recipe,
        num_classes=3,
        train_images=train_images,
        val_images=val_images,
        device="cpu",
        threads=threads,
    )


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A training step takes 2 s and an evaluation 0.5 s.

    What is kept are the threads that were set.
    """
    threads, durations = [], iter([2.0, 0.5] * 9)

    def median(_step: Callable[[], object], _place: torch.device) -> float:
        threads.append(torch.get_num_threads())
        return next(durations)

    monkeypatch.setattr(device, "_median_seconds", median)
    return threads


def test_an_epoch_is_its_images_times_the_seconds_of_one(tiny: Recipe, timed: list[int]) -> None:
    assert seconds(tiny, train_images=80, val_images=40) == (2.0 * 80 + 0.5 * 40) / 8
    assert (
        seconds(replace(tiny, batch_size=64), train_images=10, val_images=40)
        == (2.0 * 10 + 0.5 * 40) / 10
    )
    assert seconds(replace(tiny, batch_size=64), train_images=100, val_images=0) == 2.0 * 100 / 32


def test_threads_are_those_of_a_trial_while_timing_and_set_back_after(
    tiny: Recipe, timed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    seconds(tiny, threads=before + 1)
    assert timed == [before + 1] * 2
    assert torch.get_num_threads() == before
    monkeypatch.setattr(device, "_median_seconds", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        seconds(tiny, threads=before + 1)
    assert torch.get_num_threads() == before


def test_a_real_estimate_is_positive_for_both_stages_and_batch_statistics(tiny: Recipe) -> None:
    for recipe in (
        tiny,
        replace(tiny, stage1_epochs=1, batchnorm="batch_stats", trainable_layers=6, head="mlp"),
    ):
        assert 0 < seconds(recipe) < 60


def test_without_a_gpu_none_is_counted_and_the_cpu_is_described(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    # As a driver that torch does not fit reports.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert device.count_gpus() == 0
    assert device.describe("cpu") == f"CPU with {torch.get_num_threads()} threads"
