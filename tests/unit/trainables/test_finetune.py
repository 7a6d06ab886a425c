"""The training loop: what trains, at which rate, on which batches; what it reports; that it can be continued."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

import trainables.finetune as loop
from trainables import recipe as names
from trainables.backbones import build
from trainables.checkpoint import load_best, load_last
from trainables.data.dataset import Split
from trainables.recipe import EPOCH_SECONDS, IMAGES_PER_SECOND, LAYER_GROUPS, Recipe
from trainables.tricks.mixup import mixup

CPU = torch.device("cpu")
Run = Callable[..., list[dict[str, Any]]]


@dataclass(frozen=True)
class Step:
    """What one optimiser step was given, and the rate it was taken at."""

    optimizer: int
    lr: float
    state_entries: int
    parameters: frozenset[int]
    trainable: frozenset[int]
    images: Tensor
    targets: Tensor
    network: Any


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """Every call of `train_batch`, which still does its work; optimisers are kept alive so that their ids differ."""
    taken: list[Step] = []
    train_batch, alive = loop.train_batch, []

    def spy(network: Any, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        alive.append(optimizer)
        held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
        assert len(held) == len(set(held))
        taken.append(
            Step(
                optimizer=id(optimizer),
                lr=optimizer.param_groups[0]["lr"],
                state_entries=len(optimizer.state),
                parameters=frozenset(held),
                trainable=frozenset(id(parameter) for parameter in network.parameters() if parameter.requires_grad),
                images=images.clone(),
                targets=targets.clone(),
                network=network,
            )
        )
        return train_batch(network, optimizer, images, targets)

    monkeypatch.setattr(loop, "train_batch", spy)
    return taken


# What trains


@pytest.mark.parametrize("k", range(1, 7))
@pytest.mark.parametrize("stage1_epochs", [0, 1])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_optimiser_holds_exactly_the_trainable_parameters_of_its_stage(
    k: int, stage1_epochs: int, optimizer: str, tiny: Recipe, run: Run, steps: list[Step]
) -> None:
    recipe = replace(tiny, trainable_layers=k, stage1_epochs=stage1_epochs, epochs=stage1_epochs + 1, optimizer=optimizer)
    run(recipe)
    assert len(steps) == 4 * recipe.epochs
    for number, step in enumerate(steps):
        groups = min(2, k) if number < 4 * stage1_epochs else k
        expected = {id(p) for group in LAYER_GROUPS[-groups:] for p in step.network.get_submodule(group).parameters()}
        assert step.parameters == step.trainable == expected


@pytest.mark.parametrize("batchnorm", ["frozen", "batch_stats"])
@pytest.mark.parametrize(("k", "stage1_epochs"), [(1, 0), (3, 0), (6, 0), (1, 2), (2, 2), (5, 2)])
def test_frozen_groups_stay_bit_equal_and_trainable_ones_move(
    batchnorm: str, k: int, stage1_epochs: int, tiny: Recipe, run: Run, tmp_path: Path
) -> None:
    """Parameters and BatchNorm's buffers, after each epoch of both stages."""
    recipe = replace(
        tiny, trainable_layers=k, stage1_epochs=stage1_epochs, epochs=stage1_epochs + 2, batchnorm=batchnorm, weight_decay=0.1
    )
    before = _state(recipe)
    for epoch in range(1, recipe.epochs + 1):
        run(recipe, checkpoints=tmp_path, stop_after=epoch)
        after = _last_state(recipe, tmp_path)
        groups = min(2, k) if epoch <= stage1_epochs else k
        for key, value in after.items():
            statistics = "running" in key or "num_batches" in key
            moves = key.partition(".")[0] in LAYER_GROUPS[-groups:] or (statistics and batchnorm == "batch_stats")
            assert torch.equal(value, before[key]) != moves, (epoch, key)
        before = after


def test_the_same_holds_for_a_resnet18(run: Run, make_data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(weights="none", image_size=32, batch_size=8, trainable_layers=2, stage1_epochs=0, epochs=1)
    networks = []
    monkeypatch.setattr(loop, "build", lambda *args: networks.append(build(*args)) or networks[0])
    run(recipe, on=make_data(train=9, val=5))
    before = _state(recipe)
    for key, value in networks[0].state_dict().items():
        assert torch.equal(value, before[key]) != key.startswith(("layer4", "fc")), key


# Stages and rates


def test_each_stage_has_its_own_fresh_optimiser_and_rate(tiny: Recipe, run: Run, steps: list[Step]) -> None:
    recipe = replace(tiny, stage1_epochs=2, epochs=5, stage1_lr=0.003, stage2_lr=0.07, scheduler="cosine")
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
@pytest.mark.parametrize(("stage1_epochs", "epochs", "warmup_epochs"), [(0, 3, 0), (0, 4, 1), (1, 5, 0), (2, 5, 1)])
def test_the_rates_that_are_used_follow_pytorchs_schedule_of_the_last_stage(
    scheduler: str, stage1_epochs: int, epochs: int, warmup_epochs: int, tiny: Recipe, run: Run, steps: list[Step]
) -> None:
    recipe = replace(
        tiny, stage1_epochs=stage1_epochs, epochs=epochs, warmup_epochs=warmup_epochs, scheduler=scheduler, stage2_lr=0.02
    )
    reports = run(recipe)
    warmup, length = 4 * warmup_epochs, 4 * (epochs - stage1_epochs - warmup_epochs)
    expected = [recipe.stage1_lr] * 4 * stage1_epochs
    expected += [0.02 * (step + 1) / (warmup + 1) for step in range(warmup)] + _pytorchs_rates(scheduler, length)
    used = [step.lr for step in steps]
    assert used == pytest.approx(expected, rel=1e-6)
    assert [report["lr"] for report in reports] == used[::4]  # that of the epoch's first step


@pytest.mark.parametrize(
    ("k", "stage1_epochs", "epochs"), [(1, 0, 1), (1, 3, 4), (2, 1, 5), (3, 1, 2), (6, 19, 20), (6, 0, 20)]
)
def test_stages_follow_each_other_and_their_epochs_add_up(k: int, stage1_epochs: int, epochs: int) -> None:
    stages = loop.stages(
        Recipe(trainable_layers=k, stage1_epochs=stage1_epochs, epochs=epochs, stage1_lr=0.5, scheduler="step")
    )
    assert sum(stage.epochs for stage in stages) == epochs
    assert [epoch for stage in stages for epoch in range(stage.first_epoch, stage.last_epoch + 1)] == list(range(1, epochs + 1))
    assert (stages[-1].number, stages[-1].trainable_layers, stages[-1].scheduler) == (2, k, "step")
    if stage1_epochs:
        first = stages[0]
        assert (first.number, first.trainable_layers, first.lr) == (1, min(2, k), 0.5)
        assert (first.scheduler, first.warmup_epochs) == ("constant", 0)
    else:
        assert len(stages) == 1


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_has_momentum_and_both_optimisers_the_recipes_weight_decay(nesterov: bool, tiny: Recipe) -> None:
    recipe = replace(tiny, optimizer="sgd", nesterov=nesterov, weight_decay=0.02)
    optimizer = loop.start_stage(recipe, build(recipe, 3), loop.stages(recipe)[0])
    group = optimizer.param_groups[0]
    assert isinstance(optimizer, torch.optim.SGD)
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.9, nesterov, 0.02)
    recipe = replace(tiny, weight_decay=0.02)
    optimizer = loop.start_stage(recipe, build(recipe, 3), loop.stages(recipe)[0])
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.param_groups[0]["weight_decay"] == 0.02


# Batches and targets


@pytest.mark.parametrize(
    ("samples", "batch_size", "sizes"),
    [
        (29, 8, [8, 8, 8, 5]),
        (24, 8, [8, 8, 8]),
        (25, 8, [8, 8, 9]),
        (26, 8, [8, 8, 8, 2]),
        (9, 8, [9]),
        (3, 2, [3]),
        (5, 8, [5]),
        (1, 8, [1]),
    ],
)
def test_every_sample_comes_once_and_a_remainder_of_one_joins_the_batch_before(
    samples: int, batch_size: int, sizes: list[int]
) -> None:
    for epoch in range(1, 4):
        order = loop.batches(samples, batch_size, seed=0, epoch=epoch)
        assert [len(batch) for batch in order] == sizes
        assert torch.cat(order).sort().values.tolist() == list(range(samples))


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_that_ran_before() -> None:
    first = torch.cat(loop.batches(100, 8, seed=0, epoch=1))
    torch.rand(13)
    loop.batches(100, 8, seed=5, epoch=7)
    assert torch.equal(first, torch.cat(loop.batches(100, 8, seed=0, epoch=1)))
    assert torch.equal(first, torch.cat(loop.batches(100, 16, seed=0, epoch=1)))
    assert not torch.equal(first, torch.cat(loop.batches(100, 8, seed=0, epoch=2)))
    assert not torch.equal(first, torch.cat(loop.batches(100, 8, seed=1, epoch=1)))


def test_one_image_more_than_a_batch_trains_at_32_pixels(run: Run, make_data: Callable[..., Any]) -> None:
    """BatchNorm would raise on a batch of one at layer4's 1x1 positions."""
    recipe = Recipe(weights="none", image_size=32, batch_size=8, trainable_layers=2, epochs=1)
    assert len(run(recipe, on=make_data(train=9, val=3))) == 1


def test_targets_are_smoothed_and_mixed_as_the_recipe_says(tiny: Recipe, run: Run, steps: list[Step], data: Any) -> None:
    recipe = replace(tiny, label_smoothing=0.1, mixup=0.4, epochs=2)
    run(recipe)
    labels = torch.from_numpy(data.splits["train"].labels.copy())
    images = torch.from_numpy(data.splits["train"].images.copy()).permute(0, 3, 1, 2) / 255
    for number, step in enumerate(steps):
        epoch, batch = number // 4 + 1, number % 4
        samples = loop.batches(29, 8, seed=0, epoch=epoch)[batch]
        smoothed = F.one_hot(labels[samples], 3) * 0.9 + 0.1 / 3
        mixed, targets = mixup(images[samples], smoothed, alpha=0.4, seed=0, epoch=epoch, batch=batch)
        torch.testing.assert_close(step.images, mixed)
        torch.testing.assert_close(step.targets, targets)


def test_without_tricks_a_batch_is_its_images_and_one_hot_targets(tiny: Recipe, run: Run, steps: list[Step], data: Any) -> None:
    run(replace(tiny, epochs=1))
    order = loop.batches(29, 8, seed=0, epoch=1)
    for samples, step in zip(order, steps, strict=True):
        labels = torch.from_numpy(data.splits["train"].labels[samples])
        assert torch.equal(step.targets, F.one_hot(labels, 3).float())
        assert torch.equal(step.images, torch.from_numpy(data.splits["train"].images[samples]).permute(0, 3, 1, 2) / 255)


def test_train_metrics_are_those_of_the_steps_weighted_by_images(
    tiny: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, float, int]] = []
    train_batch = loop.train_batch

    def spy(network: Any, optimizer: Any, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        logits, loss = train_batch(network, optimizer, images, targets)
        assert not logits.requires_grad
        assert not loss.requires_grad
        seen.append((len(images), loss.item(), int((logits.argmax(1) == targets.argmax(1)).sum())))
        return logits, loss

    monkeypatch.setattr(loop, "train_batch", spy)
    (report,) = run(replace(tiny, epochs=1))
    assert report[names.TRAIN_LOSS] == pytest.approx(sum(n * loss for n, loss, _ in seen) / 29, rel=1e-6)
    assert report[names.TRAIN_ACCURACY] == sum(correct for *_, correct in seen) / 29


def test_validation_metrics_are_those_of_a_plain_pass_whatever_the_batches(
    tiny: Recipe, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build(tiny, 3)
    network.train()
    val: Split = data.split("val")
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    images = (torch.from_numpy(val.images.copy()).permute(0, 3, 1, 2) / 255 - mean) / std
    state = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        logits, labels = network.eval()(images), torch.from_numpy(val.labels.copy())
    network.train()
    for size in (256, 7):
        monkeypatch.setattr(loop, "EVAL_BATCH_SIZE", size)
        metrics = loop.evaluate(network, val, 32, CPU)
        assert metrics[names.VAL_LOSS] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
        assert metrics[names.VAL_ACCURACY] == (logits.argmax(1) == labels).sum().item() / len(labels)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


# What is read, reported and kept


def test_the_test_split_is_never_asked_for(tiny: Recipe, run: Run, data: Any, tmp_path: Path) -> None:
    asked = []

    class Watched:
        classes = data.classes

        def split(self, name: str) -> Split:
            asked.append(name)
            return data.split(name)

    run(replace(tiny, stage1_epochs=1), on=Watched(), checkpoints=tmp_path)
    assert set(asked) == {"train", "val"}
    with pytest.raises(AssertionError, match="test split"):
        data.split("test")


def test_a_report_holds_every_metric_as_a_plain_finite_number(tiny: Recipe, data: Any) -> None:
    reports: list[dict[str, Any]] = []
    loop.finetune(replace(tiny, stage1_epochs=1), data, CPU, reports.append)
    for report in reports:
        assert set(report) == {
            "epoch", "score", "val/accuracy", "val/loss", "train/accuracy", "train/loss", "lr", "stage", "epoch_seconds",
            "images_per_second",
        }  # fmt: skip
        assert {type(value) for value in report.values()} <= {int, float}
        assert all(math.isfinite(value) for value in report.values())
        assert report["epoch_seconds"] > 0
        assert report["images_per_second"] > 0


ACCURACIES = [0.5, 0.9, 0.3, 0.2, 0.6, 0.4, 0.6, 0.7, 0.1]


@pytest.mark.parametrize(
    ("stage1_epochs", "scores", "best"),
    [
        (0, [0.5, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9], [1, 2, 2, 2, 2, 2, 2, 2, 2]),
        (3, [0.5, 0.9, 0.3, 0.2, 0.6, 0.6, 0.6, 0.7, 0.7], [1, 2, 3, 4, 5, 5, 5, 8, 8]),
        (8, [0.5, 0.9, 0.3, 0.2, 0.6, 0.4, 0.6, 0.7, 0.1], [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_the_score_is_current_in_stage_1_and_then_the_best_since_the_last_stage_began(
    stage1_epochs: int, scores: list[float], best: list[int], tiny: Recipe, monkeypatch: pytest.MonkeyPatch, data: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    values, kept, reported = iter(ACCURACIES), [], []
    monkeypatch.setattr(loop, "evaluate", lambda *_: {names.VAL_ACCURACY: next(values), names.VAL_LOSS: 1.0})

    def report(metrics: dict[str, Any]) -> None:
        saved = torch.load(tmp_path / "best.pt", weights_only=True)
        kept.append(saved["epoch"])
        reported.append(metrics["score"])
        assert saved["score"] == metrics["score"]

    loop.finetune(replace(tiny, stage1_epochs=stage1_epochs, epochs=9), data, CPU, report, checkpoints=tmp_path)
    assert reported == scores
    assert kept == best


@pytest.mark.parametrize("stage1_epochs", [0, 2])
def test_the_kept_checkpoint_reaches_the_score_when_it_is_evaluated_again(
    stage1_epochs: int, tiny: Recipe, data: Any, tmp_path: Path
) -> None:
    reports: list[dict[str, Any]] = []

    def report(metrics: dict[str, Any]) -> None:
        reports.append(metrics)
        network, recipe, _ = load_best(tmp_path / "best.pt")
        again = loop.evaluate(network, data.split("val"), recipe.image_size, CPU)
        assert again[names.VAL_ACCURACY] == metrics["score"]

    loop.finetune(
        replace(tiny, stage1_epochs=stage1_epochs, epochs=8, trainable_layers=6, stage2_lr=0.3, seed=4), data, CPU, report,
        checkpoints=tmp_path,
    )  # fmt: skip
    current = [metrics[names.VAL_ACCURACY] for metrics in reports[stage1_epochs:]]
    assert current != sorted(current), "accuracy should fall at times, or this proves nothing"


def test_training_learns(tiny: Recipe, run: Run) -> None:
    reports = run(replace(tiny, trainable_layers=6, epochs=12, stage2_lr=0.02))
    assert reports[-1][names.TRAIN_LOSS] < 0.7 * reports[0][names.TRAIN_LOSS]
    assert reports[-1]["score"] > 0.5


# Same recipe, same numbers


TRICKS = {
    "augmentation": "crop_flip", "mixup": 0.3, "label_smoothing": 0.1, "scheduler": "cosine", "stage1_epochs": 2, "epochs": 4,
    "trainable_layers": 5,
}  # fmt: skip


def test_the_same_recipe_gives_the_same_numbers_to_the_last_bit_whatever_ran_before(tiny: Recipe, run: Run) -> None:
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
    recipe = replace(tiny, **(TRICKS | {"optimizer": optimizer, "stage1_epochs": stage1_epochs, "warmup_epochs": 1}))
    whole = run(recipe, checkpoints=tmp_path / "whole")
    for stop in range(1, recipe.epochs + 1):
        folder = tmp_path / str(stop)
        assert run(recipe, checkpoints=folder, stop_after=stop) == whole[: stop - 1]
        assert run(recipe, checkpoints=folder) == whole[stop - 1 :], "the report that was lost comes again"
        _assert_equal(torch.load(folder / "best.pt"), torch.load(tmp_path / "whole/best.pt"))
        _assert_equal(_without_clock(load_last(folder)), _without_clock(load_last(tmp_path / "whole")))


def test_a_run_that_stops_after_every_epoch_ends_as_the_whole_one(tiny: Recipe, run: Run, tmp_path: Path) -> None:
    recipe = replace(tiny, **TRICKS)
    whole = run(recipe, checkpoints=tmp_path / "whole")
    for stop in range(1, recipe.epochs + 1):
        assert run(recipe, checkpoints=tmp_path, stop_after=stop) == whole[max(0, stop - 2) : stop - 1]
    _assert_equal(torch.load(tmp_path / "best.pt"), torch.load(tmp_path / "whole/best.pt"))


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


def test_a_finished_run_is_not_trained_again(tiny: Recipe, run: Run, tmp_path: Path, steps: list[Step]) -> None:
    whole = run(tiny, checkpoints=tmp_path)
    before = len(steps)
    assert run(tiny, checkpoints=tmp_path) == whole[-1:]
    assert len(steps) == before


# Weights


def test_pretrained_weights_are_where_training_starts_and_the_head_is_new(
    tiny: Recipe, run: Run, tmp_path: Path, steps: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    donor = build(replace(tiny, seed=77), 10).torchvision_state_dict()
    torch.save(donor, tmp_path / "donor.pt")
    starts = []
    monkeypatch.setattr(loop, "train_batch", lambda network, *_: starts.append(network.torchvision_state_dict()) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tiny, weights=tmp_path / "donor.pt")
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
        tiny, stage1_epochs=stage1_epochs, epochs=6, stage2_lr=1e30, optimizer=optimizer, weight_decay=0.1, trainable_layers=6
    )
    reports: list[dict[str, Any]] = []
    with pytest.raises(loop.DivergedError, match="epoch") as diverged:
        loop.finetune(recipe, data, CPU, reports.append, checkpoints=tmp_path)
    assert diverged.value.epoch == stage1_epochs + 1
    assert [report["epoch"] for report in reports] == list(range(1, stage1_epochs + 1))
    assert (tmp_path / "best.pt").exists() == (stage1_epochs > 0)
    if stage1_epochs:
        assert torch.load(tmp_path / "best.pt")["epoch"] == stage1_epochs


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_validation_loss_that_is_not_finite_is_divergence_too(
    value: float, tiny: Recipe, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "evaluate", lambda *_: {names.VAL_ACCURACY: 0.3, names.VAL_LOSS: value})
    with pytest.raises(loop.DivergedError):
        run(tiny)


def _state(recipe: Recipe) -> dict[str, Tensor]:
    return build(recipe, 3).state_dict()


def _last_state(recipe: Recipe, folder: Path) -> dict[str, Tensor]:
    """The state of `last.pt` under the network's own names, which begin with the layer group."""
    network = build(recipe, 3)
    saved = load_last(folder)
    assert saved
    network.load_torchvision_state_dict(saved["state_dict"], with_head=True)
    return {key: value.clone() for key, value in network.state_dict().items()}


def _pytorchs_rates(scheduler: str, total: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.02)
    schedule = {
        "constant": lambda: MultiStepLR(optimizer, [], gamma=1),
        "step": lambda: MultiStepLR(optimizer, [math.ceil(total / 3), math.ceil(2 * total / 3)], gamma=0.1),
        "cosine": lambda: CosineAnnealingLR(optimizer, T_max=total),
    }[scheduler]()
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def _without_clock(saved: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in saved["report"].items() if name not in (EPOCH_SECONDS, IMAGES_PER_SECOND)}
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
