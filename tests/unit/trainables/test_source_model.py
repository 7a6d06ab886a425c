"""The demo's source model: trained once, then read from the cache."""

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from trainables import source_model
from trainables.backbones import BACKBONES, build
from trainables.checkpoint import save_best, save_last
from trainables.recipe import Recipe
from trainables.weights import load


@pytest.fixture
def trained(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Recipes that were trained.

    The data is real, but a run only writes the checkpoints of a fresh network.
    """
    runs: list[Recipe] = []

    def finetune(
        recipe: Recipe, data: Any, device: torch.device, report: Any, *, checkpoints: Path, **_: Any
    ) -> None:
        runs.append(recipe)
        assert device.type == "cpu"
        assert data.classes == ("0", "1", "2", "3", "4")
        save_best(checkpoints, build(recipe, 5), recipe, data.classes, epoch=1, score=0.5)
        save_last(checkpoints, 1, {})

    monkeypatch.setattr(source_model, "finetune", finetune)
    return runs


@pytest.mark.parametrize("name", list(BACKBONES))
def test_the_source_recipe_is_valid_for_every_backbone_and_trains_everything(name: str) -> None:
    recipe = source_model.source_recipe(name)
    assert (recipe.backbone, recipe.weights, recipe.trainable_layers, recipe.batchnorm) == (
        name,
        "none",
        6,
        "batch_stats",
    )


def test_the_source_model_is_trained_once_and_then_read_from_the_cache(
    trained: list[Recipe], tmp_path: Path
) -> None:
    path = source_model.ensure("tiny", tmp_path)
    assert path == tmp_path / "digits-source/v1/tiny.pt"
    assert {entry.name for entry in path.parent.iterdir()} <= {"tiny.pt", "tiny.lock"}
    content = path.read_bytes()
    assert source_model.ensure("tiny", tmp_path) == path
    assert trained == [source_model.source_recipe("tiny")]
    assert path.read_bytes() == content


def test_a_cached_file_is_reused_as_it_is(trained: list[Recipe], tmp_path: Path) -> None:
    folder = tmp_path / "digits-source/v1"
    folder.mkdir(parents=True)
    (folder / "tiny.pt").write_bytes(b"left by an earlier sweep")
    assert source_model.ensure("tiny", tmp_path).read_bytes() == b"left by an earlier sweep"
    assert trained == []


def test_of_several_that_ask_at_once_one_trains(trained: list[Recipe], tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=source_model.ensure, args=("tiny", tmp_path)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(trained) == 1


def test_a_training_that_died_leaves_no_weights_and_is_done_again(
    trained: list[Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(source_model, "finetune", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            source_model.ensure("tiny", tmp_path)
    assert not (tmp_path / "digits-source/v1/tiny.pt").exists()
    assert source_model.ensure("tiny", tmp_path).is_file()


def test_a_training_whose_checkpoint_is_damaged_is_done_again(
    trained: list[Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(source_model.checkpoint, "best", lambda _: None)
        with pytest.raises(OSError, match="damaged"):
            source_model.ensure("tiny", tmp_path)
    assert source_model.ensure("tiny", tmp_path).is_file()
    assert len(trained) == 2


def test_the_source_weights_fit_a_network_for_other_classes(
    trained: list[Recipe], tiny: Recipe, tmp_path: Path
) -> None:
    path = source_model.ensure("tiny", tmp_path)
    network = build(tiny, 3)
    load(network, path, "tiny")
    source = build(source_model.source_recipe("tiny"), 5).torchvision_state_dict()
    assert torch.equal(
        network.torchvision_state_dict()["layer4.0.conv1.weight"], source["layer4.0.conv1.weight"]
    )
    shutil.rmtree(tmp_path / "data")  # the weights do not need the data they came from
    assert source_model.ensure("tiny", tmp_path) == path
