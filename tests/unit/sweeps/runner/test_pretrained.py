"""Weights that a path cannot lead to are refused by rule, value and mend."""

from pathlib import Path

import pytest
import torch

from cluster.refused import Refused
from search_spaces.depth_vs_tricks import SPACE
from search_spaces.space import Arm
from sweeps.runner.pretrained import check_weights
from trainables.backbones import build
from trainables.recipe import Recipe


@pytest.mark.parametrize("arms", [True, False], ids=["with arms", "without arms"])
@pytest.mark.parametrize("chosen", ["x" * 300, "/tmp/" + "y" * 300, "/".join(["z" * 200] * 30)])
def test_a_path_that_is_too_long_is_one_line(chosen: str, arms: bool) -> None:
    space = (
        SPACE.with_fixed(weights=chosen, image_size=32, epochs=6, batch_size=32, seed=0).matching(
            "*"
        )
        if arms
        else ()
    )
    with pytest.raises(Refused) as refused:
        check_weights(chosen, space)
    (line,) = refused.value.problems
    assert line.startswith("--weights must be a path that can be read, but '")
    assert (
        "…' cannot (File name too long): pass imagenet, none, a file, or a folder of <backbone>.pt."
        in line
    )
    assert len(line) < 250


def test_a_path_that_is_not_there_is_shown() -> None:
    with pytest.raises(
        Refused, match=r"--weights must be .* or an existing path, but got 'gone\.pt'"
    ):
        check_weights("gone.pt", ())


def _arms(weights: str, backbone: str = "resnet18") -> tuple[Arm, ...]:
    fixed = SPACE.with_fixed(weights=weights, image_size=32, epochs=6, batch_size=32, seed=0)
    return fixed.matching(f"{backbone}/plain")


def test_what_was_unwrapped_is_one_note_per_file(tmp_path: Path) -> None:
    state = build(Recipe(backbone="resnet18", weights="none"), 2).torchvision_state_dict()
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 3},
        tmp_path / "a.ckpt",
    )
    torch.save(state, tmp_path / "bare.pt")
    wrapped, bare = str(tmp_path / "a.ckpt"), str(tmp_path / "bare.pt")
    assert check_weights(wrapped, _arms(wrapped)) == (
        f"Weights for resnet18: {wrapped}, those under 'state_dict.module.'.",
    )
    assert check_weights(bare, _arms(bare)) == ()


def test_a_number_that_is_not_finite_is_refused_before_anything_starts(tmp_path: Path) -> None:
    state = build(Recipe(backbone="resnet18", weights="none"), 2).torchvision_state_dict()
    state["layer4.1.conv2.weight"][0] = float("nan")
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(Refused, match=r"'layer4\.1\.conv2\.weight' has NaN or infinity"):
        check_weights(str(tmp_path / "a.pt"), _arms(str(tmp_path / "a.pt")))


@pytest.mark.parametrize("size", [0, 1000])
def test_weights_in_torchs_cache_that_are_cut_off_are_refused_before_anything_starts(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub/checkpoints/resnet18-f37072fd.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(size))
    with pytest.raises(Refused, match=f"delete {path} and it is downloaded again"):
        check_weights("imagenet", _arms("imagenet"))
    path.unlink()
    assert check_weights("imagenet", _arms("imagenet")) == ()
    assert not path.exists()  # nothing is downloaded here
