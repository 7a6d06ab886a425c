"""Checkpoints hold no code, say which run they are of, and load into torchvision's own models."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from trainables import checkpoint
from trainables.backbones import MLP_WIDTH, build
from trainables.data.augment import MEAN, STD
from trainables.files import leftovers
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
    saved = torch.load(_best(tmp_path), weights_only=True)
    model = torchvision.models.get_model(name, weights=None, num_classes=3)
    if head == "mlp":
        place = "fc" if name == "resnet18" else "classifier.1"
        width = model.get_submodule(place).in_features
        model.set_submodule(
            place, nn.Sequential(nn.Linear(width, MLP_WIDTH), nn.ReLU(), nn.Linear(MLP_WIDTH, 3))
        )
    model.load_state_dict(saved["state_dict"], strict=True)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = network(images)
    assert torch.equal(model.eval()(images), expected)
    loaded, loaded_recipe, classes = checkpoint.load_best(_best(tmp_path))
    assert torch.equal(loaded(images), expected)
    assert not loaded.training
    assert (loaded_recipe, classes) == (recipe, CLASSES)


def test_the_best_checkpoint_says_how_images_are_prepared_in_plain_values(
    tiny: Recipe, tmp_path: Path
) -> None:
    checkpoint.save_best(tmp_path / "new/folder", build(tiny, 3), tiny, CLASSES, epoch=4, score=0.5)
    saved = torch.load(_best(tmp_path / "new/folder"), weights_only=True)
    assert Recipe.from_sample(saved["recipe"]) == tiny
    assert saved["classes"] == list(CLASSES)
    assert (saved["epoch"], saved["score"]) == (4, 0.5)
    assert saved["preprocessing"]["image_size"] == tiny.image_size
    assert (saved["preprocessing"]["mean"], saved["preprocessing"]["std"]) == (
        list(MEAN),
        list(STD),
    )


def test_a_trial_without_a_checkpoint_has_nothing_to_continue(tmp_path: Path) -> None:
    assert checkpoint.load_last(tmp_path) is None
    assert checkpoint.load_last(tmp_path / "not/made") is None
    assert checkpoint.best(tmp_path) is checkpoint.best(tmp_path / "not/made") is None
    assert not checkpoint.unfinished(tmp_path / "not/made")
    checkpoint.drop_last(tmp_path / "not/made")


def test_a_checkpoint_is_not_changed_by_training_on(tiny: Recipe, tmp_path: Path) -> None:
    network = build(tiny, 3)
    checkpoint.save_best(tmp_path, network, tiny, CLASSES, epoch=1, score=0.25)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    loaded, *_ = checkpoint.load_best(_best(tmp_path))
    assert all(
        torch.equal(a, b)
        for a, b in zip(loaded.parameters(), build(tiny, 3).parameters(), strict=True)
    )


def test_a_checkpoint_whose_recipe_is_not_of_this_version_is_refused(
    tiny: Recipe, tmp_path: Path
) -> None:
    checkpoint.save_best(
        tmp_path, build(tiny, 3), replace(tiny, epochs=9), CLASSES, epoch=1, score=0.25
    )
    saved = torch.load(_best(tmp_path), weights_only=True)
    saved["recipe"]["dropout"] = 0.5
    torch.save(saved, tmp_path / "best.pt")
    with pytest.raises(ValueError, match="unknown recipe field 'dropout'"):
        checkpoint.load_best(tmp_path / "best.pt")


def test_the_last_checkpoint_is_refused_where_another_recipe_or_other_weights_are_to_be_trained(
    tiny: Recipe, tmp_path: Path
) -> None:
    state = {"recipe": tiny.as_dict(), "weights": "feedbeef", "progress": [1]}
    checkpoint.save_last(tmp_path, 1, state)
    for weights in ("feedbeef", None):
        assert checkpoint.load_last(tmp_path, recipe=tiny, weights_digest=weights) == state
    before = _content(tmp_path)
    with pytest.raises(
        checkpoint.CheckpointError,
        match=r"its epochs is 2 and not 9, its seed is 0 and not 1: .* another folder",
    ):
        checkpoint.load_last(
            tmp_path, recipe=replace(tiny, epochs=9, seed=1), weights_digest="feedbeef"
        )
    with pytest.raises(
        checkpoint.CheckpointError, match="its weights have the digest feedbeef and not deadbeef"
    ):
        checkpoint.load_last(tmp_path, recipe=tiny, weights_digest="deadbeef")
    assert issubclass(checkpoint.CheckpointError, ValueError)
    assert _content(tmp_path) == before


def test_a_checkpoint_that_names_no_recipe_or_another_field_is_refused(
    tiny: Recipe, tmp_path: Path
) -> None:
    checkpoint.save_last(tmp_path, 1, {"progress": [1]})
    assert checkpoint.load_last(tmp_path) == {"progress": [1]}
    with pytest.raises(checkpoint.CheckpointError, match="it names no recipe"):
        checkpoint.load_last(tmp_path, recipe=tiny)
    checkpoint.save_last(tmp_path, 2, {"recipe": tiny.as_dict() | {"dropout": 0.5}})
    with pytest.raises(checkpoint.CheckpointError, match=r"its dropout is 0.5 and not None"):
        checkpoint.load_last(tmp_path, recipe=tiny)


def test_a_checkpoint_of_a_version_without_class_weights_goes_on_without_them(
    tiny: Recipe, tmp_path: Path
) -> None:
    old = {name: value for name, value in tiny.as_dict().items() if name != "class_weights"}
    checkpoint.save_last(tmp_path, 1, {"recipe": old, "progress": [1]})
    assert checkpoint.load_last(tmp_path, recipe=tiny)
    with pytest.raises(
        checkpoint.CheckpointError, match="its class_weights is 'none' and not 'balanced'"
    ):
        checkpoint.load_last(tmp_path, recipe=replace(tiny, class_weights="balanced"))


def test_the_newest_two_of_last_stay_and_the_newest_best(tiny: Recipe, tmp_path: Path) -> None:
    (tmp_path / "last-of-all.pt").write_bytes(b"of somebody")
    (tmp_path / "best.pt").write_bytes(b"of somebody")
    for epoch in (1, 2, 9, 10, 11):
        checkpoint.save_last(tmp_path, epoch, {"progress": [epoch]})
        checkpoint.save_best(tmp_path, build(tiny, 3), tiny, CLASSES, epoch=epoch, score=0.5)
    names = sorted(
        path.name.rpartition("-")[0]
        for path in tmp_path.iterdir()
        if path.read_bytes() != b"of somebody"
    )
    assert names == ["best-000011", "last-000010", "last-000011"]
    assert checkpoint.unfinished(tmp_path)
    assert _best(tmp_path).name.startswith("best-000011-")
    assert checkpoint.best(tmp_path, since=11) == _best(tmp_path)
    assert checkpoint.best(tmp_path, since=12) is None
    checkpoint.drop_last(tmp_path)
    assert not checkpoint.unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "last-of-all.pt",
        "best.pt",
        _best(tmp_path).name,
    }


def test_what_killed_writers_left_goes_with_the_next_write_or_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(epoch: int) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", lambda *_: 1 / 0)
            patch.setattr(Path, "unlink", lambda *_, **__: None)
            with pytest.raises(ZeroDivisionError):
                checkpoint.save_last(tmp_path, epoch, {})

    killed(1)
    assert len(leftovers(tmp_path)) == 1
    checkpoint.save_last(tmp_path, 1, {})
    assert leftovers(tmp_path) == []
    killed(2)
    checkpoint.drop_last(tmp_path)
    assert list(tmp_path.iterdir()) == []


def _best(folder: Path) -> Path:
    path = checkpoint.best(folder)
    assert path
    return path


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
