"""A batch that does not fit into memory goes through in smaller pieces, with the same gradient."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables import checkpoint
from trainables.backbones import build
from trainables.compute import Compute
from trainables.final import evaluate_finalist
from trainables.metrics import MICRO_BATCH
from trainables.network import Network
from trainables.recipe import Recipe
from trainables.stages import stages, start_stage
from trainables.step import EVAL_BATCH_SIZE, evaluate, in_batches, train_batch

CPU = torch.device("cpu")
Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Let a pass of more images than fit fail as on a GPU; the sizes that were tried are kept."""

    def of(images: int) -> list[int]:
        tried: list[int] = []
        logits = Network.logits

        def limited(self: Network, inputs: Tensor) -> Tensor:
            tried.append(len(inputs))
            if len(inputs) > images and torch.is_grad_enabled():
                raise torch.OutOfMemoryError("CUDA out of memory")
            return logits(self, inputs)

        monkeypatch.setattr(Network, "logits", limited)
        return tried

    return of


@pytest.mark.parametrize("batch", [8, 11, 13])
def test_the_step_in_micro_batches_is_that_of_the_whole_batch(
    batch: int, tiny: Recipe, memory: Callable[[int], list[int]]
) -> None:
    # Without BatchNorm in train mode, whose batch it is.
    recipe = replace(tiny, optimizer="sgd", trainable_layers=1)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch, 3, 32, 32, generator=generator)
    targets = torch.rand(batch, 3, generator=generator).softmax(1)
    results = []
    for limit in (batch, 6):
        tried = memory(limit)
        network = build(recipe, 3)
        network.train_groups(1, batch_stats=False)
        optimizer = start_stage(recipe, network, stages(recipe)[0])
        logits, loss = train_batch(network, optimizer, images, targets)
        results.append((logits, loss, network.get_submodule("fc").state_dict()))
    assert tried[0] == batch
    assert max(tried[-2:]) <= 6
    assert network.micro_batch == batch // 2 if batch < 13 else 6
    (logits, loss, head), (part_logits, part_loss, part_head) = results
    torch.testing.assert_close(part_logits, logits)
    torch.testing.assert_close(part_loss, loss)
    for key, value in head.items():
        torch.testing.assert_close(part_head[key], value)


def test_the_size_that_fits_is_kept_for_the_rest_of_the_trial_and_reported(
    tiny: Recipe, run: Run, memory: Callable[[int], list[int]]
) -> None:
    tried = memory(4)
    reports = run(tiny)
    assert [report[MICRO_BATCH] for report in reports] == [4, 4]
    assert tried.count(8) == 1
    assert MICRO_BATCH not in run(replace(tiny, batch_size=3))[0]


def test_a_step_that_never_fits_fails_as_what_it_is(
    tiny: Recipe, run: Run, memory: Callable[[int], list[int]]
) -> None:
    tried = memory(1)
    with pytest.raises(torch.OutOfMemoryError):
        run(tiny)
    assert tried == [8, 4]


@pytest.fixture
def small_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Let an evaluation of more images than fit fail as on a GPU.

    The sizes that were tried are kept.
    """
    logits = Network.logits

    def of(images: int) -> list[int]:
        tried: list[int] = []

        def limited(self: Network, inputs: Tensor) -> Tensor:
            tried.append(len(inputs))
            if len(inputs) > images:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return logits(self, inputs)

        monkeypatch.setattr(Network, "logits", limited)
        return tried

    return of


def test_evaluation_that_does_not_fit_goes_through_in_smaller_batches(
    tiny: Recipe, run: Run, small_gpu: Callable[[int], list[int]]
) -> None:
    whole = run(tiny)
    small_gpu(16)
    for report, expected in zip(run(tiny), whole, strict=True):
        assert report == pytest.approx(expected, rel=1e-5)


def test_validation_and_a_finalists_answer_in_smaller_batches_are_as_if_of_such_batches_at_first(
    tiny: Recipe,
    run: Run,
    data: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    small_gpu: Callable[[int], list[int]],
) -> None:
    run(tiny, checkpoints=tmp_path)
    best, val = checkpoint.best(tmp_path), data.split("val")
    assert best
    network, _, _ = checkpoint.load_best(best)
    opened: Any = SimpleNamespace(split=lambda name: val)

    def asked(name: str) -> tuple[dict[str, float], dict[str, Any]]:
        evaluate_finalist(best, opened, CPU, Compute(), tmp_path / name)
        with np.load(tmp_path / name) as arrays:
            return evaluate(network, val, tiny.image_size, CPU), dict(arrays)

    tried = small_gpu(16)
    metrics, said = asked("halved.npz")
    assert tried[:5] == [40, 40, 40, 32, 16]
    monkeypatch.setitem(EVAL_BATCH_SIZE, "cpu", 16)
    expected, reference = asked("plain.npz")
    assert metrics == expected
    assert said.keys() == reference.keys()
    assert all(np.array_equal(said[name], reference[name]) for name in reference)


@pytest.mark.parametrize(
    ("images", "most", "sizes"),
    [(300, 1000, [256, 44]), (300, 64, [64] * 4 + [44]), (3, 1, [1, 1, 1]), (0, 9, [])],
)
def test_batches_hold_every_image_once_in_order_and_stay_as_small_as_they_had_to_become(
    images: int, most: int, sizes: list[int]
) -> None:
    def told(samples: Tensor) -> list[int]:
        if len(samples) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return samples.tolist()

    found = list(in_batches(told, images, CPU))
    assert [len(said) for _, said in found] == sizes
    assert [image for _, said in found for image in said] == list(range(images))
    assert all(said == list(range(images))[batch] for batch, said in found)


def test_an_evaluation_of_which_no_image_fits_fails_as_what_it_is() -> None:
    tried = []

    def told(samples: Tensor) -> None:
        tried.append(len(samples))
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        list(in_batches(told, 5, CPU))
    assert tried == [5, 5, 5, 5, 5, 5, 4, 2, 1]
