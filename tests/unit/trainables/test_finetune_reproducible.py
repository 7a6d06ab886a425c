"""The training loop gives the same numbers again, and continues where it stopped, bit for bit."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import trainables.finetune as loop
from trainables.backbones import build
from trainables.checkpoint import best, load_last
from trainables.metrics import EPOCH_SECONDS, IMAGES_PER_SECOND
from trainables.recipe import Recipe

CPU = torch.device("cpu")
Run = Callable[..., list[dict[str, Any]]]


# Same recipe, same numbers


TRICKS = {
    "augmentation": "crop_flip",
    "mixup": 0.3,
    "label_smoothing": 0.1,
    "scheduler": "cosine",
    "stage1_epochs": 2,
    "epochs": 4,
    "trainable_layers": 5,
}


def test_the_same_recipe_gives_the_same_numbers_to_the_last_bit_whatever_ran_before(
    tiny: Recipe, run: Run
) -> None:
    recipe = replace(tiny, **TRICKS)
    first = run(recipe)
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(12345)
    run(replace(recipe, seed=9, epochs=3))
    assert run(recipe) == first
    assert run(replace(recipe, seed=1)) != first


def test_training_leaves_the_global_generators_where_they_were(tiny: Recipe, run: Run) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    run(replace(tiny, **TRICKS))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()


# Interrupted and continued


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("stage1_epochs", [0, 2])
def test_a_run_that_stops_after_any_epoch_continues_bit_for_bit(
    optimizer: str, stage1_epochs: int, tiny: Recipe, run: Run, tmp_path: Path
) -> None:
    recipe = replace(
        tiny,
        **(TRICKS | {"optimizer": optimizer, "stage1_epochs": stage1_epochs, "warmup_epochs": 1}),
    )
    whole = run(recipe, checkpoints=tmp_path / "whole")
    for stop in range(1, recipe.epochs + 1):
        folder = tmp_path / str(stop)
        assert run(recipe, checkpoints=folder, stop_after=stop) == whole[: stop - 1]
        assert run(recipe, checkpoints=folder) == whole[stop - 1 :], (
            "the report that was lost comes again"
        )
        _assert_equal(torch.load(best(folder)), torch.load(best(tmp_path / "whole")))
        _assert_equal(
            _without_clock(load_last(folder)), _without_clock(load_last(tmp_path / "whole"))
        )


def test_a_run_that_stops_after_every_epoch_ends_as_the_whole_one(
    tiny: Recipe, run: Run, tmp_path: Path
) -> None:
    recipe = replace(tiny, **TRICKS)
    whole = run(recipe, checkpoints=tmp_path / "whole")
    for stop in range(1, recipe.epochs + 1):
        assert (
            run(recipe, checkpoints=tmp_path, stop_after=stop) == whole[max(0, stop - 2) : stop - 1]
        )
    _assert_equal(torch.load(best(tmp_path)), torch.load(best(tmp_path / "whole")))


@pytest.mark.parametrize("step", [1, 6, 9, 12, 16])
def test_a_run_that_dies_within_an_epoch_repeats_that_epoch_bit_for_bit(
    step: int, tiny: Recipe, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(tiny, **TRICKS)
    whole = run(recipe)
    taken, train_batch = iter(range(1, 100)), loop.train_batch

    def dying(*args: Any) -> tuple[Tensor, Tensor]:
        if next(taken) == step:
            raise ConnectionError
        return train_batch(*args)

    monkeypatch.setattr(loop, "train_batch", dying)
    with pytest.raises(ConnectionError):
        run(recipe, checkpoints=tmp_path)
    assert run(recipe, checkpoints=tmp_path) == whole[max(0, (step - 1) // 4 - 1) :]


def test_a_finished_run_is_not_trained_again(
    tiny: Recipe, run: Run, tmp_path: Path, steps: list[Any]
) -> None:
    whole = run(tiny, checkpoints=tmp_path)
    before = len(steps)
    assert run(tiny, checkpoints=tmp_path) == whole[-1:]
    assert len(steps) == before


def _state(recipe: Recipe) -> dict[str, Tensor]:
    return build(recipe, 3).state_dict()


def _without_clock(saved: dict[str, Any]) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in saved["report"].items()
        if name not in (EPOCH_SECONDS, IMAGES_PER_SECOND)
    }
    return saved | {"report": kept}


def _assert_equal(ours: Any, theirs: Any) -> None:
    """Deep equality of what a checkpoint holds, tensors bit for bit."""
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert list(ours) == list(theirs)
        for key in ours:
            _assert_equal(ours[key], theirs[key])
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            _assert_equal(one, other)
    elif isinstance(ours, Tensor):
        assert torch.equal(ours, theirs)
    else:
        assert ours == theirs
