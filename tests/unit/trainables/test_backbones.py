"""Which parameters train, how a state dict is named, and that networks equal torchvision's."""

from collections.abc import Iterator
from functools import cache

import pytest
import torch
import torchvision
from torch import Tensor, nn

from trainables.backbones import BACKBONES, MLP_WIDTH, Network, backbone, build
from trainables.recipe import LAYER_GROUPS, Recipe

TORCHVISION = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2")
# Stride of the input at which each group of a ResNet works.
STRIDES = {"layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}


@cache
def on_meta(name: str, **fields: object) -> Network:
    with torch.device("meta"):
        return build(Recipe(backbone=name, weights="none", **fields), 5)


@cache
def torchvision_groups(name: str) -> dict[str, frozenset[str]]:
    """Parameter names of torchvision's model by layer group, from torchvision's model alone."""
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, num_classes=5)
        if name != "mobilenet_v2":
            group_of = {"conv1": "stem", "bn1": "stem", "fc": "fc"} | {
                layer: layer for layer in STRIDES
            }
            parts = {key: group_of[key.partition(".")[0]] for key, _ in model.named_parameters()}
        else:
            images, parts, by_stride = (
                torch.zeros(1, 3, 224, 224),
                {},
                {stride: layer for layer, stride in STRIDES.items()},
            )
            for i, block in enumerate(model.features):
                images = block(images)
                group = by_stride.get(224 // images.shape[-1], "stem")
                parts |= {f"features.{i}.{key}": group for key, _ in block.named_parameters()}
            parts |= {f"classifier.{key}": "fc" for key, _ in model.classifier.named_parameters()}
        assert parts.keys() == {key for key, _ in model.named_parameters()}
    return {group: frozenset(key for key in parts if parts[key] == group) for group in LAYER_GROUPS}


def trained_names(network: Network) -> Iterator[str]:
    theirs = dict(zip(network.state_dict(), network.torchvision_state_dict(), strict=True))
    return (
        theirs[name] for name, parameter in network.named_parameters() if parameter.requires_grad
    )


def test_the_registry_holds_the_backbones_of_the_study() -> None:
    assert set(BACKBONES) == set(TORCHVISION)


@pytest.mark.parametrize("name", TORCHVISION)
@pytest.mark.parametrize("k", range(1, 7))
def test_the_last_k_groups_train_and_nothing_else(name: str, k: int) -> None:
    network, groups = on_meta(name), torchvision_groups(name)
    network.freeze_all_but(k)
    assert set(trained_names(network)) == set.union(
        *(set(groups[group]) for group in LAYER_GROUPS[-k:])
    )
    network.freeze_all_but(6)
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("name", TORCHVISION)
def test_every_group_holds_parameters_so_that_each_k_trains_more_than_the_one_before(
    name: str,
) -> None:
    network = on_meta(name)
    assert [group for group, _ in network.named_children()] == list(LAYER_GROUPS)
    for group in network.children():
        assert sum(parameter.numel() for parameter in group.parameters()) > 0


@pytest.mark.parametrize("k", range(1, 7))
@pytest.mark.parametrize("batch_stats", [False, True])
def test_frozen_groups_are_in_eval_mode_unless_every_batchnorm_shall_train(
    k: int, batch_stats: bool
) -> None:
    network = on_meta("mobilenet_v2")
    network.eval()
    network.train_groups(k, batch_stats=batch_stats)
    for group, part in network.named_children():
        expected = batch_stats or group in LAYER_GROUPS[-k:]
        assert {module.training for module in part.modules()} == {expected}


@pytest.mark.parametrize("name", TORCHVISION)
@pytest.mark.timeout(20)
@torch.inference_mode()
def test_a_network_computes_bit_for_bit_what_torchvisions_model_computes_with_the_same_state_dict(
    name: str,
) -> None:
    network = build(Recipe(backbone=name, weights="none"), 5).eval()
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # not the identity that a fresh one is
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.bias.normal_(generator=generator)
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, num_classes=5)
    assert list(model.state_dict()) == list(network.torchvision_state_dict())
    model.load_state_dict(network.torchvision_state_dict(), assign=True)
    images = torch.randn(2, 3, 48, 48, generator=generator)
    logits = network(images)
    assert logits.isfinite().all()
    assert logits.std() > 0
    assert torch.equal(logits, model.eval()(images))


@pytest.mark.parametrize("name", TORCHVISION)
def test_an_mlp_head_stands_where_torchvisions_classifier_stands(name: str) -> None:
    names = set(on_meta(name, head="mlp").torchvision_state_dict()) - set(
        on_meta(name).torchvision_state_dict()
    )
    place = "classifier.1" if name == "mobilenet_v2" else "fc"
    assert names == {f"{place}.{i}.{what}" for i in (0, 2) for what in ("weight", "bias")}
    head = on_meta(name, head="mlp").fc.head
    assert [type(layer) for layer in head] == [nn.Linear, nn.ReLU, nn.Linear]
    assert (head[0].in_features, head[0].out_features, head[2].out_features) == (
        BACKBONES[name].num_features,
        MLP_WIDTH,
        5,
    )


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2"])
def test_a_cifar_stem_has_a_3x3_convolution_with_stride_1_and_no_max_pool(name: str) -> None:
    network, usual = on_meta(name, stem="cifar").eval(), on_meta(name).eval()
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    assert (first.kernel_size, first.stride, first.padding, first.bias) == (
        (3, 3),
        (1, 1),
        (1, 1),
        None,
    )
    assert not any(isinstance(module, nn.MaxPool2d) for module in network.modules())
    gain = 2 if name == "mobilenet_v2" else 4  # a MobileNetV2 has no max-pool to leave out
    images = torch.zeros(1, 3, 64, 64, device="meta")
    assert network.stem(images).shape[-1] == gain * usual.stem(images).shape[-1]
    assert features(network, images).shape[-1] == gain * features(usual, images).shape[-1]
    assert list(network.torchvision_state_dict()) == list(usual.torchvision_state_dict())
    assert network(images).shape == (1, 5)


def test_the_initial_head_and_backbone_depend_on_their_own_names_only() -> None:
    plain = build(Recipe(backbone="resnet18", weights="none"), 5).state_dict()
    torch.rand(100)
    again = build(
        Recipe(backbone="resnet18", weights="none", epochs=3, stage2_lr=1.0), 5
    ).state_dict()
    assert all(torch.equal(plain[key], again[key]) for key in plain)
    mlp = build(Recipe(backbone="resnet18", weights="none", head="mlp"), 7).state_dict()
    assert all(torch.equal(plain[key], mlp[key]) for key in plain if not key.startswith("fc."))
    other = build(Recipe(backbone="resnet18", weights="none", seed=1), 5).state_dict()
    assert not torch.equal(plain["fc.head.weight"], other["fc.head.weight"])
    assert not torch.equal(plain["stem.conv1.weight"], other["stem.conv1.weight"])


def test_two_backbones_of_one_width_start_with_the_same_head() -> None:
    heads = [
        build(Recipe(backbone=name, weights="none"), 5).state_dict()["fc.head.weight"]
        for name in ("resnet18", "resnet34")
    ]
    assert torch.equal(*heads)


def test_building_leaves_the_global_generator_where_it_was() -> None:
    before = torch.get_rng_state()
    build(Recipe(backbone="mobilenet_v2", weights="none"), 5)
    assert torch.equal(before, torch.get_rng_state())


def test_an_unknown_backbone_names_the_nearest_and_all_known_ones() -> None:
    with pytest.raises(
        ValueError,
        match=r"unknown backbone 'resnet81'\. Did you mean 'resnet18'\? Known: .*mobilenet_v2",
    ) as refusal:
        backbone("resnet81")
    assert all(name in str(refusal.value) for name in TORCHVISION)


def features(network: Network, images: Tensor) -> Tensor:
    for group in LAYER_GROUPS[:-1]:
        images = network.get_submodule(group)(images)
    return images
