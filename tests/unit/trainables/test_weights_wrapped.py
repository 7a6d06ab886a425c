"""Checkpoints of all kinds load as the bare state dict does, or are named with a mend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from trainables.backbones import build
from trainables.network import Network
from trainables.recipe import Recipe
from trainables.weights import WeightsError, fitting, load, locate

State = dict[str, Tensor]
Save = Callable[[object], Path]


@pytest.fixture
def network(tiny: Recipe) -> Network:
    return build(tiny, 3)


@pytest.fixture
def donor(tiny: Recipe) -> State:
    """A state dict of the same backbone with other values and a head of 1000 classes."""
    return build(replace(tiny, seed=5), 1000).torchvision_state_dict()


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(content: object) -> Path:
        torch.save(content, tmp_path / "tiny.pt")
        return tmp_path / "tiny.pt"

    return write


def is_loaded(network: Network, donor: State) -> bool:
    return all(
        torch.equal(value, donor[name]) for name, value in network.backbone_state_dict().items()
    )


def refused(network: Network, path: Path, name: str = "tiny") -> str:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(WeightsError) as refusal:
        load(network, path, name)
    line = str(refusal.value)
    assert str(path) in line
    assert line.isprintable()
    assert len(line) < 800
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    return line


# Wrapped


def test_a_bare_state_dict_needs_no_word(network: Network, donor: State, save: Save) -> None:
    assert load(network, save(donor), "tiny") == ""
    assert is_loaded(network, donor)


def test_a_checkpoint_of_lightning_loads_and_it_is_said_what_was_taken(
    network: Network, donor: State, save: Save
) -> None:
    state = {
        f"model.backbone.{name}": value
        for name, value in donor.items()
        if not name.startswith("fc.")
    }
    content = {
        "epoch": 9,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": {
            **state,
            "model.fc.weight": torch.ones(5, 6),
            "criterion.weight": torch.ones(5),
        },
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}}],
        "hyper_parameters": {"lr": 0.1},
        "callbacks": {},
    }
    path = save(content)
    note = load(network, path, "tiny")
    assert is_loaded(network, donor)
    assert note == (
        f"Weights for tiny: {path}, those under 'state_dict.model.backbone.'; "
        "passed over: 'state_dict.model.fc', 'state_dict.criterion'."
    )


def test_wrapped_modules_of_torch_itself_load(
    tiny: Recipe, network: Network, donor: State, save: Save
) -> None:
    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 2, 1)

    module = Classifier()
    averaged = torch.optim.swa_utils.AveragedModel(nn.DataParallel(module))
    (inner,) = {
        name.removesuffix("conv1.weight")
        for name in averaged.state_dict()
        if name.endswith("conv1.weight")
    }
    note = load(
        network,
        save(
            {f"{inner}{name}": value for name, value in donor.items()}
            | {"n_averaged": torch.tensor(3)}
        ),
        "tiny",
    )
    assert is_loaded(network, donor)
    assert f"those under {inner!r}; passed over: 'n_averaged'." in note


def test_safetensors_load_as_torchs_files_do(
    network: Network, donor: State, tmp_path: Path
) -> None:
    save_file(
        {f"module.{name}": value for name, value in donor.items()}, tmp_path / "tiny.safetensors"
    )
    path = locate(str(tmp_path), "tiny")
    assert path == tmp_path / "tiny.safetensors"
    assert load(network, path, "tiny") == f"Weights for tiny: {path}, those under 'module.'."
    assert is_loaded(network, donor)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_folder_may_hold_any_kind_of_file_but_one_for_each_backbone(
    suffix: str, tiny: Recipe, tmp_path: Path
) -> None:
    (tmp_path / f"tiny{suffix}").touch()
    assert locate(str(tmp_path), "tiny") == tmp_path / f"tiny{suffix}"
    (tmp_path / "tiny.pth").touch()
    (tmp_path / "tiny.pt").touch()
    with pytest.raises(
        WeightsError,
        match=r"must hold one file for tiny, but has tiny\.pt and .*: move all but one",
    ):
        locate(str(tmp_path), "tiny")


def test_half_precision_in_a_wrapper_is_converted(
    network: Network, donor: State, save: Save
) -> None:
    half = {
        name: value.bfloat16() if value.is_floating_point() else value
        for name, value in donor.items()
    }
    load(network, save({"model": half}), "tiny")
    assert is_loaded(network, {name: value.to(donor[name].dtype) for name, value in half.items()})


# Refused


def test_two_networks_that_nothing_tells_apart_are_refused(
    network: Network, donor: State, save: Save
) -> None:
    other = {name: value + 1 for name, value in donor.items()}
    line = refused(network, save({"best": donor, "last": other}))
    assert (
        "must hold one network that fits tiny, but 2 do, under 'best.', 'last.': save one of them "
        "alone." in line
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["layer2.0.bn1.running_var", "conv1.weight"])
def test_what_is_not_finite_is_refused_by_the_name_it_has_in_the_file(
    value: float, name: str, network: Network, donor: State, save: Save
) -> None:
    donor[name] = donor[name].clone()
    donor[name].view(-1)[-1] = value
    line = refused(network, save({"state_dict": donor}))
    assert (
        f"must hold finite real numbers, but 'state_dict.{name}' has NaN or infinity: pass a "
        "checkpoint from before" in line
    )


def test_what_is_infinite_once_it_is_float32_is_refused(
    network: Network, donor: State, save: Save
) -> None:
    donor["conv1.weight"] = torch.full((6, 3, 7, 7), 1e300, dtype=torch.float64)
    assert "'conv1.weight' has NaN or infinity" in refused(network, save(donor))


def test_what_is_not_finite_in_a_part_that_is_not_loaded_does_no_harm(
    network: Network, donor: State, save: Save
) -> None:
    nan = torch.full((2, 2), float("nan"))
    load(
        network,
        save({"model": {**donor, "fc.weight": nan}, "optimizer": {"momentum": nan}}),
        "tiny",
    )
    assert is_loaded(network, donor)


def test_missing_statistics_of_batchnorm_are_named_with_what_saves_them(
    network: Network, donor: State, save: Save
) -> None:
    parameters = {
        name: value
        for name, value in donor.items()
        if "running" not in name and "num_batches" not in name
    }
    line = refused(network, save(parameters))
    assert "it lacks 'bn1.running_mean'" in line
    assert "save model.state_dict(), which has BatchNorm's running statistics" in line


def test_weights_of_another_backbone_are_named(tmp_path: Path) -> None:
    state = torchvision.models.mobilenet_v2().state_dict()
    torch.save({"module": state}, tmp_path / "m.pt")
    line = refused(
        build(Recipe(backbone="resnet18", weights="none"), 2), tmp_path / "m.pt", "resnet18"
    )
    assert line.endswith("; it fits mobilenet_v2: pass weights of resnet18.")


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
def test_weights_of_another_stem_are_named(stem: Any, tmp_path: Path) -> None:
    state = build(
        Recipe(backbone="resnet18", weights="none", stem=stem), 2
    ).torchvision_state_dict()
    torch.save(state, tmp_path / "r.pt")
    other = "cifar" if stem == "imagenet" else "imagenet"
    line = refused(
        build(Recipe(backbone="resnet18", weights="none", stem=other), 2),
        tmp_path / "r.pt",
        "resnet18",
    )
    assert "'conv1.weight' has the shape" in line
    named = "resnet18" if stem == "imagenet" else "resnet18 with stem='cifar'"
    assert f"; it fits {named}: pass" in line


def test_names_of_another_library_are_shown_beside_those_that_are_needed(
    network: Network, save: Save
) -> None:
    state = {
        f"resnet.encoder.stages.{i}.layers.0.layer.0.convolution.weight": torch.ones(2)
        for i in range(9)
    }
    line = refused(network, save(state))
    assert "it holds 'resnet.encoder.stages.0.layers.0.layer.0.convolution.weight'" in line
    assert "and 6 more instead of 'conv1.weight', 'bn1.weight', 'bn1.bias' and" in line
    assert line.endswith(": pass weights of torchvision's tiny.")


def test_the_registry_is_searched_for_what_a_file_fits() -> None:
    state = {
        f"model.{name}": value for name, value in torchvision.models.resnet34().state_dict().items()
    }
    assert list(fitting(state)) == ["resnet34"]
    assert list(fitting({"a": torch.ones(1)})) == []
