"""A batch that does not fit into memory goes through in smaller pieces, with the same gradient."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from trainables.backbones import build
from trainables.network import Network
from trainables.recipe import MICRO_BATCH, Recipe
from trainables.stages import stages, start_stage
from trainables.step import train_batch

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
    recipe = replace(tiny, optimizer="sgd", trainable_layers=1)  # without BatchNorm in train mode, whose batch it is
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


def test_a_step_that_never_fits_fails_as_what_it_is(tiny: Recipe, run: Run, memory: Callable[[int], list[int]]) -> None:
    tried = memory(1)
    with pytest.raises(torch.OutOfMemoryError):
        run(tiny)
    assert tried == [8, 4]


def test_evaluation_that_does_not_fit_goes_through_in_smaller_batches(
    tiny: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, logits = run(tiny), Network.logits

    def limited(self: Network, inputs: Tensor) -> Tensor:
        if len(inputs) > 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logits(self, inputs)

    monkeypatch.setattr(Network, "logits", limited)
    for report, expected in zip(run(tiny), whole, strict=True):
        assert report == pytest.approx(expected, rel=1e-5)
