"""What torch gets wrong on this machine is said by the doctor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sweeps.checks import convolutions as check
from trainables import compute, device
from trainables.backbones import BACKBONES
from trainables.compute import Compute
from trainables.recipe import LAYER_GROUPS, Recipe


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Recipe]]:
    """Stands for the comparison: one shape is wrong at 33 px."""
    asked: dict[str, list[Recipe]] = {}

    def choose(recipes: list[Recipe], *_: object, **__: object) -> Compute:
        asked["recipes"] = recipes
        wrong = {"64>64 3x3/1 at 9x9": ("forward",)} if recipes[0].image_size == 33 else {}
        return Compute(precision="bf16", convolutions={"1>2": {"weight": "product"}}, wrong=wrong)

    monkeypatch.setattr(compute, "choose", choose)
    monkeypatch.setattr(device, "count_gpus", lambda: 0)
    return asked


def test_every_backbone_is_compared_as_if_all_of_it_trained(
    found: dict[str, list[Recipe]], tmp_path: Path
) -> None:
    (finding,) = check.convolutions(tmp_path, 32)
    assert finding.state == "ok"
    names = ", ".join(BACKBONES)
    assert finding.found == (
        f"torch's are right at all shapes of {names} at 32 px in bf16; "
        "another way is faster at 1 of them"
    )
    assert [recipe.backbone for recipe in found["recipes"]] == list(BACKBONES)
    assert {recipe.trainable_layers for recipe in found["recipes"]} == {len(LAYER_GROUPS)}


def test_what_is_wrong_is_a_warning_since_sweeps_go_round_it(
    found: dict[str, list[Recipe]], tmp_path: Path
) -> None:
    (finding,) = check.convolutions(tmp_path, 33)
    assert finding.state == "warning"
    assert finding.found == (
        f"torch {torch.__version__} is wrong here in bf16 at the convolution 64>64 3x3/1 at 9x9: "
        "computed in another way, which was checked."
    )


def test_a_gpus_are_not_compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device, "count_gpus", lambda: 1)
    (finding,) = check.convolutions(tmp_path, 32)
    assert finding.found == "cuDNN's, which are not compared"


def test_a_cache_that_cannot_be_written_is_another_checks_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(device, "count_gpus", lambda: 0)
    (tmp_path / "file").touch()
    (finding,) = check.convolutions(tmp_path / "file" / "cache", 32)
    assert finding.state == "warning"
    assert finding.found.startswith("not compared, since what is found is kept in the cache: ")
