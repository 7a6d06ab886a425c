"""The training loop: what trains, in which stage and at which rate.

Pretrained weights; divergence.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

import trainables.finetune as loop
from trainables import metrics as names
from trainables.backbones import build
from trainables.checkpoint import best, load_last
from trainables.recipe import LAYER_GROUPS, Recipe
from trainables.weights import Weights

CPU = torch.device("cpu")
Run = Callable[..., list[dict[str, Any]]]


# What trains


@pytest.mark.parametrize("k", range(1, 7))
@pytest.mark.parametrize("stage1_epochs", [0, 1])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_optimiser_holds_exactly_the_trainable_parameters_of_its_stage(
    k: int, stage1_epochs: int, optimizer: str, tiny: Recipe, run: Run, steps: list[Any]
) -> None:
    recipe = replace(
        tiny,
        trainable_layers=k,
        stage1_epochs=stage1_epochs,
        epochs=stage1_epochs + 1,
        optimizer=optimizer,
    )
    run(recipe)
    assert len(steps) == 4 * recipe.epochs
    for number, step in enumerate(steps):
        groups = min(2, k) if number < 4 * stage1_epochs else k
        expected = {
            id(p)
            for group in LAYER_GROUPS[-groups:]
            for p in step.network.get_submodule(group).parameters()
        }
        assert step.parameters == step.trainable == expected


@pytest.mark.parametrize("batchnorm", ["frozen", "batch_stats"])
@pytest.mark.parametrize(("k", "stage1_epochs"), [(1, 0), (3, 0), (6, 0), (1, 2), (2, 2), (5, 2)])
def test_frozen_groups_stay_bit_equal_and_trainable_ones_move(
    batchnorm: str, k: int, stage1_epochs: int, tiny: Recipe, run: Run, tmp_path: Path
) -> None:
    """Parameters and BatchNorm's buffers, after each epoch of both stages."""
    recipe = replace(
        tiny,
        trainable_layers=k,
        stage1_epochs=stage1_epochs,
        epochs=stage1_epochs + 2,
        batchnorm=batchnorm,
        weight_decay=0.1,
    )
    before = _state(recipe)
    for epoch in range(1, recipe.epochs + 1):
        run(recipe, checkpoints=tmp_path, stop_after=epoch)
        after = _last_state(recipe, tmp_path)
        groups = min(2, k) if epoch <= stage1_epochs else k
        for key, value in after.items():
            statistics = "running" in key or "num_batches" in key
            moves = key.partition(".")[0] in LAYER_GROUPS[-groups:] or (
                statistics and batchnorm == "batch_stats"
            )
            assert torch.equal(value, before[key]) != moves, (epoch, key)
        before = after


def test_the_same_holds_for_a_resnet18(
    run: Run, make_data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(
        weights="none", image_size=32, batch_size=8, trainable_layers=2, stage1_epochs=0, epochs=1
    )
    networks = []
    monkeypatch.setattr(loop, "build", lambda *args: networks.append(build(*args)) or networks[0])
    run(recipe, on=make_data(train=9, val=5))
    before = _state(recipe)
    for key, value in networks[0].state_dict().items():
        assert torch.equal(value, before[key]) != key.startswith(("layer4", "fc")), key


# Stages and rates


def test_each_stage_has_its_own_fresh_optimiser_and_rate(
    tiny: Recipe, run: Run, steps: list[Any]
) -> None:
    recipe = replace(
        tiny, stage1_epochs=2, epochs=5, stage1_lr=0.003, stage2_lr=0.07, scheduler="cosine"
    )
    reports = run(recipe)
    assert [report["stage"] for report in reports] == [1, 1, 2, 2, 2]
    assert [report["epoch"] for report in reports] == [1, 2, 3, 4, 5]
    first, second = steps[:8], steps[8:]
    assert len({step.optimizer for step in first}) == len({step.optimizer for step in second}) == 1
    assert first[0].optimizer != second[0].optimizer
    assert {step.lr for step in first} == {0.003}
    assert (first[0].state_entries, second[0].state_entries) == (0, 0)
    assert second[0].lr == 0.07  # step 0 of the schedule, whatever stage 1 did
    assert second[1].state_entries == len(second[1].parameters)


@pytest.mark.parametrize("scheduler", ["constant", "step", "cosine"])
@pytest.mark.parametrize(
    ("stage1_epochs", "epochs", "warmup_epochs"), [(0, 3, 0), (0, 4, 1), (1, 5, 0), (2, 5, 1)]
)
def test_the_rates_that_are_used_follow_pytorchs_schedule_of_the_last_stage(
    scheduler: str,
    stage1_epochs: int,
    epochs: int,
    warmup_epochs: int,
    tiny: Recipe,
    run: Run,
    steps: list[Any],
) -> None:
    recipe = replace(
        tiny,
        stage1_epochs=stage1_epochs,
        epochs=epochs,
        warmup_epochs=warmup_epochs,
        scheduler=scheduler,
        stage2_lr=0.02,
    )
    reports = run(recipe)
    warmup, length = 4 * warmup_epochs, 4 * (epochs - stage1_epochs - warmup_epochs)
    expected = [recipe.stage1_lr] * 4 * stage1_epochs
    expected += [0.02 * (step + 1) / (warmup + 1) for step in range(warmup)] + _pytorchs_rates(
        scheduler, length
    )
    used = [step.lr for step in steps]
    assert used == pytest.approx(expected, rel=1e-6)
    assert [report["lr"] for report in reports] == used[::4]  # that of the epoch's first step


@pytest.mark.parametrize(
    ("k", "stage1_epochs", "epochs"),
    [(1, 0, 1), (1, 3, 4), (2, 1, 5), (3, 1, 2), (6, 19, 20), (6, 0, 20)],
)
def test_stages_follow_each_other_and_their_epochs_add_up(
    k: int, stage1_epochs: int, epochs: int
) -> None:
    stages = loop.stages(
        Recipe(
            trainable_layers=k,
            stage1_epochs=stage1_epochs,
            epochs=epochs,
            stage1_lr=0.5,
            scheduler="step",
        )
    )
    assert sum(stage.epochs for stage in stages) == epochs
    assert [
        epoch for stage in stages for epoch in range(stage.first_epoch, stage.last_epoch + 1)
    ] == list(range(1, epochs + 1))
    assert (stages[-1].number, stages[-1].trainable_layers, stages[-1].scheduler) == (2, k, "step")
    if stage1_epochs:
        first = stages[0]
        assert (first.number, first.trainable_layers, first.lr) == (1, min(2, k), 0.5)
        assert (first.scheduler, first.warmup_epochs) == ("constant", 0)
    else:
        assert len(stages) == 1


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_has_momentum_and_both_optimisers_the_recipes_weight_decay(
    nesterov: bool, tiny: Recipe
) -> None:
    recipe = replace(tiny, optimizer="sgd", nesterov=nesterov, weight_decay=0.02)
    optimizer = loop.start_stage(recipe, build(recipe, 3), loop.stages(recipe)[0])
    group = optimizer.param_groups[0]
    assert isinstance(optimizer, torch.optim.SGD)
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.9, nesterov, 0.02)
    recipe = replace(tiny, weight_decay=0.02)
    optimizer = loop.start_stage(recipe, build(recipe, 3), loop.stages(recipe)[0])
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.param_groups[0]["weight_decay"] == 0.02


# Weights


def test_pretrained_weights_are_where_training_starts_and_the_head_is_new(
    tiny: Recipe, run: Run, tmp_path: Path, steps: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    donor = build(replace(tiny, seed=77), 10).torchvision_state_dict()
    torch.save(donor, tmp_path / "donor.pt")
    starts = []
    monkeypatch.setattr(
        loop,
        "train_batch",
        lambda network, *_: starts.append(network.torchvision_state_dict()) or 1 / 0,
    )
    with pytest.raises(ZeroDivisionError):
        run(tiny, weights=Weights.of(tmp_path / "donor.pt"))
    fresh = build(tiny, 3).torchvision_state_dict()
    for key, value in starts[0].items():
        assert torch.equal(value, (fresh if key.startswith("fc.") else donor)[key]), key


# Divergence


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("stage1_epochs", [0, 2])
def test_a_loss_that_is_not_finite_ends_the_run_with_its_epoch_and_reports_nothing_for_it(
    optimizer: str, stage1_epochs: int, tiny: Recipe, data: Any, tmp_path: Path
) -> None:
    recipe = replace(
        tiny,
        stage1_epochs=stage1_epochs,
        epochs=6,
        stage2_lr=1e30,
        optimizer=optimizer,
        weight_decay=0.1,
        trainable_layers=6,
    )
    reports: list[dict[str, Any]] = []
    with pytest.raises(loop.DivergedError, match="epoch") as diverged:
        loop.finetune(recipe, data, CPU, reports.append, checkpoints=tmp_path)
    assert diverged.value.epoch == stage1_epochs + 1
    assert [report["epoch"] for report in reports] == list(range(1, stage1_epochs + 1))
    kept = best(tmp_path)
    assert (kept is not None) == (stage1_epochs > 0)
    if kept:
        assert torch.load(kept)["epoch"] == stage1_epochs


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_validation_loss_that_is_not_finite_is_divergence_too(
    value: float, tiny: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        loop, "evaluate", lambda *_: {names.VAL_ACCURACY: 0.3, names.VAL_LOSS: value}
    )
    with pytest.raises(loop.DivergedError):
        run(tiny)


def _state(recipe: Recipe) -> dict[str, Tensor]:
    return build(recipe, 3).state_dict()


def _last_state(recipe: Recipe, folder: Path) -> dict[str, Tensor]:
    """Return the state to continue from, under the network's own names.

    They begin with the layer group.
    """
    network = build(recipe, 3)
    saved = load_last(folder)
    assert saved
    network.load_torchvision_state_dict(saved["state_dict"], with_head=True)
    return {key: value.clone() for key, value in network.state_dict().items()}


def _pytorchs_rates(scheduler: str, total: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.02)
    schedule = {
        "constant": lambda: MultiStepLR(optimizer, [], gamma=1),
        "step": lambda: MultiStepLR(
            optimizer, [math.ceil(total / 3), math.ceil(2 * total / 3)], gamma=0.1
        ),
        "cosine": lambda: CosineAnnealingLR(optimizer, T_max=total),
    }[scheduler]()
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates
