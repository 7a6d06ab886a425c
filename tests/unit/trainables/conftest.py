"""A small backbone and a small data set in memory: a training run of them takes milliseconds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

import trainables.finetune as loop
from trainables.backbones import BACKBONES
from trainables.data.dataset import Split
from trainables.finetune import finetune
from trainables.metrics import EPOCH_SECONDS, IMAGES_PER_SECOND
from trainables.recipe import Recipe
from trainables.weights import RANDOM, Weights

CLASSES = ("ash", "birch", "cedar")
WIDTH = 6  # channels, in every layer


class TinyResNet(nn.Module):
    """A ResNet with one narrow block a layer, under torchvision's names."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for i in range(1, 5):
            self.add_module(f"layer{i}", nn.Sequential(BasicBlock(WIDTH, WIDTH)))
        self.fc = nn.Linear(WIDTH, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = layer(features)
        return self.fc(features.mean((2, 3)))


@dataclass(frozen=True)
class MemoryData:
    """Stands in for `Dataset`; whoever asks for the test split fails."""

    splits: dict[str, Split]
    classes: tuple[str, ...] = CLASSES
    digest: str = "0123456789abcdef"

    def split(self, name: str) -> Split:
        if name == "test":
            raise AssertionError("the test split answers once, and not here")
        return self.splits[name]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe of the backbone `tiny`, registered for the test: 4 batches per epoch of the data."""
    spec = replace(BACKBONES["resnet18"], build=TinyResNet, num_features=WIDTH)
    monkeypatch.setitem(BACKBONES, "tiny", spec)
    return Recipe(
        backbone="tiny",
        weights="none",
        image_size=32,
        batch_size=8,
        epochs=2,
        stage2_lr=1e-2,
        stage1_lr=1e-2,
    )


@pytest.fixture(scope="session")
def make_data() -> Callable[..., MemoryData]:
    """Noise with a tint that often says the class: accuracy rises and falls by epoch."""

    def make(*, train: int = 29, val: int = 40, side: int = 32, seed: int = 0) -> MemoryData:
        rng = np.random.default_rng(seed)

        def split(count: int) -> Split:
            labels = np.arange(count) % len(CLASSES)
            images = rng.integers(0, 200, (count, side, side, 3))
            tint = np.where(rng.random(count) < 0.8, labels, rng.integers(0, 3, count))
            images[np.arange(count), :, :, tint] += 40
            images, labels = images.astype(np.uint8), labels.astype(np.int64)
            images.flags.writeable = labels.flags.writeable = False  # as memory-mapped ones
            return Split(images, labels)

        return MemoryData({"train": split(train), "val": split(val)})

    return make


@pytest.fixture(scope="session")
def data(make_data: Callable[..., MemoryData]) -> MemoryData:
    """29 training images: three batches of 8 and one of 5."""
    return make_data()


@pytest.fixture(scope="session")
def run(data: MemoryData) -> Callable[..., list[dict[str, Any]]]:
    """Train on the CPU and return the reports without what a clock wrote.

    `stop_after` raises KeyboardInterrupt.
    """

    def train(
        recipe: Recipe,
        *,
        on: Any = data,
        weights: Weights = RANDOM,
        checkpoints: Path | None = None,
        stop_after: int | None = None,
        **options: Any,
    ) -> list[dict[str, Any]]:
        reports = []

        def report(metrics: dict[str, Any]) -> None:
            if metrics["epoch"] == stop_after:
                raise KeyboardInterrupt
            reports.append(
                {
                    name: value
                    for name, value in metrics.items()
                    if name not in (EPOCH_SECONDS, IMAGES_PER_SECOND)
                }
            )

        try:
            finetune(
                recipe,
                on,
                torch.device("cpu"),
                report,
                weights=weights,
                checkpoints=checkpoints,
                **options,
            )
        except KeyboardInterrupt:
            assert stop_after
        return reports

    return train


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
    """Every call of `train_batch`, which still does its work.

    Optimisers are kept alive so that their ids differ.
    """
    taken: list[Step] = []
    train_batch, alive = loop.train_batch, []

    def spy(
        network: Any, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        alive.append(optimizer)
        held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
        assert len(held) == len(set(held))
        taken.append(
            Step(
                optimizer=id(optimizer),
                lr=optimizer.param_groups[0]["lr"],
                state_entries=len(optimizer.state),
                parameters=frozenset(held),
                trainable=frozenset(
                    id(parameter) for parameter in network.parameters() if parameter.requires_grad
                ),
                images=images.clone(),
                targets=targets.clone(),
                network=network,
            )
        )
        return train_batch(network, optimizer, images, targets)

    monkeypatch.setattr(loop, "train_batch", spy)
    return taken
