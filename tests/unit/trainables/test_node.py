"""A node makes ready what it lacks, and nothing else than what the sweep began with."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainables import node
from trainables.backbones import build
from trainables.data.dataset import Caps, DataError, Dataset, TestSplitShutError, prepare
from trainables.recipe import Recipe
from trainables.weights import RANDOM, Weights, WeightsError

CAPS = Caps(train=6, val=4, test=3)


def told(data: Dataset, cache: Path) -> Any:
    sizes = {"image_size": 32, "caps": asdict(CAPS), "how": {}, "seed": 0}
    return {
        "path": str(data.path),
        "digest": data.digest,
        "source": data.source,
        "draw": data.draw,
        "cache": str(cache),
        **sizes,
    }


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng, path = np.random.default_rng(0), tmp_path / "tiny.npz"
    labels = np.repeat([0, 1], 15)
    np.savez(path, x_train=rng.integers(0, 256, (30, 12, 12, 3), np.uint8), y_train=labels)
    return path


def ready(images: Path, cache: Path, draw: int | None = None) -> Dataset:
    return prepare(str(images), image_size=32, caps=CAPS, seed=0, cache=cache, draw=draw)


def test_what_is_there_is_read_as_it_is_and_its_test_split_is_shut(
    images: Path, tmp_path: Path
) -> None:
    data = ready(images, tmp_path / "cache")
    images.unlink()  # nothing asks for it
    found = node.data(told(data, tmp_path / "cache"))
    assert (found.path, found.digest) == (data.path, data.digest)
    with pytest.raises(TestSplitShutError):
        found.split("test")
    assert len(node.data(told(data, tmp_path / "cache"), test=True).split("test").labels) == 6


@pytest.mark.parametrize("draw", [None, 0, 3])
@pytest.mark.parametrize("here", ["cache", "another node"])
def test_data_that_a_node_lacks_are_decoded_there(
    images: Path, tmp_path: Path, here: str, draw: int | None
) -> None:
    data = ready(images, tmp_path / "cache", draw)
    shutil.rmtree(tmp_path / "cache")
    found = node.data(told(data, tmp_path / here))
    assert found.path.is_relative_to(tmp_path / here)
    assert (found.digest, found.draw) == (data.digest, draw)


def test_data_that_have_changed_meanwhile_are_refused(images: Path, tmp_path: Path) -> None:
    data = ready(images, tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    others = np.random.default_rng(1).integers(0, 256, (30, 12, 12, 3), np.uint8)
    np.savez(images, x_train=others, y_train=np.repeat([0, 1], 15))
    with pytest.raises(DataError, match=f"digest was {data.digest} and is .*: put it back"):
        node.data(told(data, tmp_path / "cache"))


def test_a_draw_that_is_another_than_the_sweeps_is_refused(images: Path, tmp_path: Path) -> None:
    data = ready(images, tmp_path / "cache", 3)
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(DataError, match=f"digest was {data.digest} and is .*: put it back"):
        node.data(told(data, tmp_path / "cache") | {"draw": 4})


def test_weights_that_a_node_lacks_are_found_there_again_and_others_are_refused(
    tmp_path: Path,
) -> None:
    state = build(Recipe(weights="none"), 2).torchvision_state_dict()
    file = tmp_path / "resnet18.pt"
    torch.save({name: value for name, value in state.items() if not name.startswith("fc")}, file)
    told = {
        "path": str(tmp_path / "elsewhere.pt"),
        "digest": Weights.of(file).digest,
        "name": str(tmp_path),
        "backbone": "resnet18",
    }
    config: Any = {**told, "cache": str(tmp_path)}
    assert node.weights(config) == Weights.of(file)
    assert node.weights(config | {"path": None}) == RANDOM
    with pytest.raises(WeightsError, match="must stay as it is while a sweep runs"):
        node.weights(config | {"digest": "0" * 16})
