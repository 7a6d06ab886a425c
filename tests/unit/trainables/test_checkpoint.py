"""Checkpoints are whole or not there, hold no code, and load into torchvision's own models."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from trainables import checkpoint
from trainables.backbones import MLP_WIDTH, build
from trainables.data.augment import MEAN, STD
from trainables.recipe import Recipe

CLASSES = ("ash", "birch", "cedar")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
@pytest.mark.parametrize("head", ["linear", "mlp"])
@torch.inference_mode()
def test_the_best_checkpoint_loads_into_torchvisions_own_class_and_answers_the_same(
    name: str, head: str, tmp_path: Path
) -> None:
    recipe = Recipe(backbone=name, weights="none", head=head, image_size=32)
    network = build(recipe, 3).eval()
    checkpoint.save_best(tmp_path, network, recipe, CLASSES, epoch=4, score=0.5)
    saved = torch.load(tmp_path / "best.pt", weights_only=True)
    model = torchvision.models.get_model(name, weights=None, num_classes=3)
    if head == "mlp":
        place = "fc" if name == "resnet18" else "classifier.1"
        width = model.get_submodule(place).in_features
        model.set_submodule(place, nn.Sequential(nn.Linear(width, MLP_WIDTH), nn.ReLU(), nn.Linear(MLP_WIDTH, 3)))
    model.load_state_dict(saved["state_dict"], strict=True)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = network(images)
    assert torch.equal(model.eval()(images), expected)
    loaded, loaded_recipe, classes = checkpoint.load_best(tmp_path / "best.pt")
    assert torch.equal(loaded(images), expected)
    assert not loaded.training
    assert (loaded_recipe, classes) == (recipe, CLASSES)


def test_the_best_checkpoint_says_how_images_are_prepared_in_plain_values(tiny: Recipe, tmp_path: Path) -> None:
    checkpoint.save_best(tmp_path / "new/folder", build(tiny, 3), tiny, CLASSES, epoch=4, score=0.5)
    saved = torch.load(tmp_path / "new/folder/best.pt", weights_only=True)
    assert Recipe.from_sample(saved["recipe"]) == tiny
    assert saved["classes"] == list(CLASSES)
    assert (saved["epoch"], saved["score"]) == (4, 0.5)
    assert saved["preprocessing"]["image_size"] == tiny.image_size
    assert (saved["preprocessing"]["mean"], saved["preprocessing"]["std"]) == (list(MEAN), list(STD))


def test_a_trial_without_a_checkpoint_has_nothing_to_continue(tmp_path: Path) -> None:
    assert checkpoint.load_last(tmp_path) is None
    assert checkpoint.load_last(tmp_path / "not/made") is None


@pytest.mark.parametrize("written", [0, 1000])
def test_a_crash_while_writing_leaves_the_old_checkpoints_whole(
    written: int, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build(tiny, 3)
    checkpoint.save_best(tmp_path, network, tiny, CLASSES, epoch=1, score=0.25)
    checkpoint.save_last(tmp_path, {"progress": [1]})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"best.pt", "last.pt"}

    def crash(content: Any, path: Path) -> None:
        Path(path).write_bytes(bytes(written))
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", crash)
        with pytest.raises(OSError, match="No space"):
            checkpoint.save_best(tmp_path, network, tiny, CLASSES, epoch=2, score=0.5)
        with pytest.raises(OSError, match="No space"):
            checkpoint.save_last(tmp_path, {"progress": [2]})
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    checkpoint.save_last(tmp_path, {"progress": [2]})  # what the crash left is no obstacle
    checkpoint.save_best(tmp_path, network, tiny, CLASSES, epoch=2, score=0.5)
    assert checkpoint.load_last(tmp_path) == {"progress": [2]}
    assert {path.name for path in tmp_path.iterdir()} == {"best.pt", "last.pt"}


def test_a_checkpoint_is_not_changed_by_training_on(tiny: Recipe, tmp_path: Path) -> None:
    network = build(tiny, 3)
    checkpoint.save_best(tmp_path, network, tiny, CLASSES, epoch=1, score=0.25)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    loaded, *_ = checkpoint.load_best(tmp_path / "best.pt")
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), build(tiny, 3).parameters(), strict=True))


def test_a_checkpoint_whose_recipe_is_not_of_this_version_is_refused(tiny: Recipe, tmp_path: Path) -> None:
    checkpoint.save_best(tmp_path, build(tiny, 3), replace(tiny, epochs=9), CLASSES, epoch=1, score=0.25)
    saved = torch.load(tmp_path / "best.pt", weights_only=True)
    saved["recipe"]["dropout"] = 0.5
    torch.save(saved, tmp_path / "best.pt")
    with pytest.raises(ValueError, match="'dropout' is no recipe field"):
        checkpoint.load_best(tmp_path / "best.pt")
