"""What the training loop feeds, reads, reports and keeps."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import trainables.finetune as loop
from trainables import checkpoint
from trainables import metrics as names
from trainables.backbones import build
from trainables.checkpoint import load_best
from trainables.data.dataset import Split
from trainables.recipe import Recipe
from trainables.step import EVAL_BATCH_SIZE
from trainables.tricks.mixup import mixup

CPU = torch.device("cpu")
Run = Callable[..., list[dict[str, Any]]]


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


def test_one_image_more_than_a_batch_trains_at_32_pixels(
    run: Run, make_data: Callable[..., Any]
) -> None:
    """BatchNorm would raise on a batch of one at layer4's 1x1 positions."""
    recipe = Recipe(weights="none", image_size=32, batch_size=8, trainable_layers=2, epochs=1)
    assert len(run(recipe, on=make_data(train=9, val=3))) == 1


def test_targets_are_smoothed_and_mixed_as_the_recipe_says(
    tiny: Recipe, run: Run, steps: list[Any], data: Any
) -> None:
    recipe = replace(tiny, label_smoothing=0.1, mixup=0.4, epochs=2)
    run(recipe)
    labels = torch.from_numpy(data.splits["train"].labels.copy())
    images = torch.from_numpy(data.splits["train"].images.copy()).permute(0, 3, 1, 2) / 255
    for number, step in enumerate(steps):
        epoch, batch = number // 4 + 1, number % 4
        samples = loop.batches(29, 8, seed=0, epoch=epoch)[batch]
        smoothed = F.one_hot(labels[samples], 3) * 0.9 + 0.1 / 3
        mixed, targets = mixup(
            images[samples], smoothed, alpha=0.4, seed=0, epoch=epoch, batch=batch
        )
        torch.testing.assert_close(step.images, mixed)
        torch.testing.assert_close(step.targets, targets)


def test_without_tricks_a_batch_is_its_images_and_one_hot_targets(
    tiny: Recipe, run: Run, steps: list[Any], data: Any
) -> None:
    run(replace(tiny, epochs=1))
    order = loop.batches(29, 8, seed=0, epoch=1)
    for samples, step in zip(order, steps, strict=True):
        labels = torch.from_numpy(data.splits["train"].labels[samples])
        assert torch.equal(step.targets, F.one_hot(labels, 3).float())
        assert torch.equal(
            step.images,
            torch.from_numpy(data.splits["train"].images[samples]).permute(0, 3, 1, 2) / 255,
        )


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
    assert report[names.TRAIN_LOSS] == pytest.approx(
        sum(n * loss for n, loss, _ in seen) / 29, rel=1e-6
    )
    assert report[names.TRAIN_ACCURACY] == sum(correct for *_, correct in seen) / 29


def test_validation_metrics_are_those_of_a_plain_pass_whatever_the_batches(
    tiny: Recipe, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build(tiny, 3)
    network.train()
    val: Split = data.split("val")
    mean, std = (
        torch.tensor([0.485, 0.456, 0.406])[:, None, None],
        torch.tensor([0.229, 0.224, 0.225])[:, None, None],
    )
    images = (torch.from_numpy(val.images.copy()).permute(0, 3, 1, 2) / 255 - mean) / std
    state = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        logits, labels = network.eval()(images), torch.from_numpy(val.labels.copy())
    network.train()
    for size in (256, 7):
        monkeypatch.setitem(EVAL_BATCH_SIZE, "cpu", size)
        metrics = loop.evaluate(network, val, 32, CPU)
        assert metrics[names.VAL_LOSS] == pytest.approx(
            F.cross_entropy(logits, labels).item(), rel=1e-5
        )
        assert metrics[names.VAL_ACCURACY] == (logits.argmax(1) == labels).sum().item() / len(
            labels
        )
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


# What is read, reported and kept


def test_the_test_split_is_never_asked_for(
    tiny: Recipe, run: Run, data: Any, tmp_path: Path
) -> None:
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
            "epoch", "score", "val/accuracy", "val/balanced_accuracy", "val/macro_f1", "val/loss",
            "train/accuracy", "train/loss", "lr", "stage", "epoch_seconds", "images_per_second",
            "epoch_passes",
        }  # fmt: skip
        assert {type(value) for value in report.values()} <= {int, float}
        assert all(math.isfinite(value) for value in report.values())
        assert report["epoch_seconds"] > 0
        assert report["images_per_second"] > 0
        assert report["epoch_passes"] == 3 * len(data.split("train").labels) + len(
            data.split("val").labels
        )


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
    stage1_epochs: int,
    scores: list[float],
    best: list[int],
    tiny: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    data: Any,
    tmp_path: Path,
) -> None:
    values, kept, reported = iter(ACCURACIES), [], []
    monkeypatch.setattr(
        loop, "evaluate", lambda *_: {names.VAL_ACCURACY: next(values), names.VAL_LOSS: 1.0}
    )

    def report(metrics: dict[str, Any]) -> None:
        saved = torch.load(checkpoint.best(tmp_path), weights_only=True)
        kept.append(saved["epoch"])
        reported.append(metrics["score"])
        assert saved["score"] == metrics["score"]

    loop.finetune(
        replace(tiny, stage1_epochs=stage1_epochs, epochs=9),
        data,
        CPU,
        report,
        checkpoints=tmp_path,
    )
    assert reported == scores
    assert kept == best


@pytest.mark.parametrize("score", names.VAL_SCORES)
def test_what_is_named_as_the_score_decides_which_epoch_is_best(
    score: names.Score, tiny: Recipe, monkeypatch: pytest.MonkeyPatch, data: Any, tmp_path: Path
) -> None:
    """Each metric has its best at another epoch."""
    epochs = iter(range(3))
    best = dict(zip(names.VAL_SCORES.values(), range(3), strict=True))

    def evaluated(*_: Any) -> dict[str, float]:
        now = next(epochs)
        return {name: 0.9 if at == now else 0.1 for name, at in best.items()} | {
            names.VAL_LOSS: 1.0
        }

    monkeypatch.setattr(loop, "evaluate", evaluated)
    reports: list[dict[str, Any]] = []
    loop.finetune(
        replace(tiny, epochs=3), data, CPU, reports.append, checkpoints=tmp_path, score=score
    )
    assert reports[-1]["score"] == 0.9
    kept = torch.load(checkpoint.best(tmp_path), weights_only=True)
    assert kept["epoch"] == 1 + best[names.VAL_SCORES[score]]


@pytest.mark.parametrize("stage1_epochs", [0, 2])
def test_the_kept_checkpoint_reaches_the_score_when_it_is_evaluated_again(
    stage1_epochs: int, tiny: Recipe, data: Any, tmp_path: Path
) -> None:
    reports: list[dict[str, Any]] = []

    def report(metrics: dict[str, Any]) -> None:
        reports.append(metrics)
        network, recipe, _ = load_best(checkpoint.best(tmp_path))
        again = loop.evaluate(network, data.split("val"), recipe.image_size, CPU)
        assert again[names.VAL_ACCURACY] == metrics["score"]

    varied = {"epochs": 8, "trainable_layers": 6, "stage2_lr": 0.3, "seed": 4}
    recipe = replace(tiny, stage1_epochs=stage1_epochs, **varied)
    loop.finetune(recipe, data, CPU, report, checkpoints=tmp_path)
    current = [metrics[names.VAL_ACCURACY] for metrics in reports[stage1_epochs:]]
    assert current != sorted(current), "accuracy should fall at times, or this proves nothing"


def test_training_learns(tiny: Recipe, run: Run) -> None:
    reports = run(replace(tiny, trainable_layers=6, epochs=12, stage2_lr=0.02))
    assert reports[-1][names.TRAIN_LOSS] < 0.7 * reports[0][names.TRAIN_LOSS]
    assert reports[-1]["score"] > 0.5
