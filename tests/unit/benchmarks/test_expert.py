"""The fast peer of the comparison: its shortcuts change no result."""

import ast
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import expert
from benchmarks.expert import GROUPS, Expert, _stage, autocast, crop_flip, plain

RECIPE = {
    "seed": 0,
    "trainable_layers": 2,
    "stage1_epochs": 0,
    "stage1_lr": 1e-3,
    "stage2_lr": 1e-3,
    "epochs": 1,
    "batch_size": 16,
    "image_size": 32,
    "augmentation": "none",
}


def _expert(*, cached: bool, count: int = 24) -> Expert:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 24, 24, 3), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 3
    return Expert(
        {"train": images, "val": images}, {"train": labels, "val": labels}, None, cached=cached
    )


def _logits(script: Expert, layers: int, split: str) -> Tensor:
    torch.manual_seed(0)
    cut, frozen, tail, _ = _stage(script.network(), layers, 1e-3)
    recipe = RECIPE | {"trainable_layers": layers}
    with torch.no_grad(), autocast():
        return tail.eval()(script.inputs(split, torch.tensor([7, 3, 21]), cut, frozen, recipe))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("split", ["train", "val"])
def test_kept_features_give_the_logits_of_a_whole_pass(layers: int, split: str) -> None:
    kept = _expert(cached=True)
    again = _logits(kept, layers, split)
    torch.testing.assert_close(_logits(kept, layers, split), again)
    torch.testing.assert_close(
        _logits(_expert(cached=False), layers, split), again, rtol=0.02, atol=0.02
    )


def test_folding_changes_no_logits_of_the_network() -> None:
    script = _expert(cached=False)
    torch.manual_seed(0)
    groups = script.network()
    for norm in groups.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    images = plain(script.images["val"], 32)
    _, frozen, _, _ = _stage(groups, 1, 1e-3)
    inputs = images.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        x = inputs
        for name in GROUPS[:-1]:
            x = groups[name].eval()(x)
        torch.testing.assert_close(frozen(inputs), x.mean((2, 3)), rtol=1e-3, atol=1e-3)


def test_a_recipe_learns_the_same_with_and_without_kept_features() -> None:
    with_them = _expert(cached=True).train(RECIPE)
    without = _expert(cached=False).train(RECIPE)
    assert len(with_them) == RECIPE["epochs"]
    assert with_them == pytest.approx(without, abs=0.1)


def test_a_crop_of_everything_is_the_image_but_for_flip_and_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Tensor, "uniform_", lambda self, *_: self.fill_(1.0))
    images = torch.rand(8, 3, 32, 32)
    views = crop_flip(images, 32)
    straight = (views - images).abs().amax((1, 2, 3))
    mirrored = (views - images.flip(3)).abs().amax((1, 2, 3))
    assert (torch.minimum(straight, mirrored) < 0.15).all(), "noise has a deviation of 0.02"


def test_it_imports_nothing_of_the_project() -> None:
    tree = ast.parse(Path(expert.__file__).read_text())
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    plain_imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    imported += [alias.name for node in plain_imports for alias in node.names]
    own = {"trainables", "sweeps", "search_spaces", "cluster", "benchmarks"}
    assert own.isdisjoint(str(name).partition(".")[0] for name in imported)
