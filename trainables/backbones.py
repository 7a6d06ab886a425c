"""The registry of backbones: how each torchvision architecture falls into layer groups.

The groups are `stem, layer1 … layer4, fc`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torchvision
from torch import nn

from trainables.network import Network
from trainables.problems import unknown_name
from trainables.randomness import named_seed
from trainables.recipe import Recipe

MLP_WIDTH = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Backbone:
    """One torchvision architecture and how it falls into layer groups.

    Attributes:
        build: Makes the untrained torchvision model.
        groups: For each of `LAYER_GROUPS` but fc, the paths of its modules in torchvision's model,
            in forward order.
        head: Path of the classifier that the trial's own head replaces.
        num_features: Channels that reach the head.
        first_conv: Path of the convolution that `stem='cifar'` replaces by a 3x3 with stride 1.
        max_pool: Path of the max-pool that `stem='cifar'` leaves out, if there is one.
    """

    build: Callable[[], nn.Module]
    groups: Mapping[str, tuple[str, ...]]
    head: str
    num_features: int
    first_conv: str
    max_pool: str | None


_RESNET_GROUPS = {
    "stem": ("conv1", "bn1", "relu", "maxpool"),
    "layer1": ("layer1",),
    "layer2": ("layer2",),
    "layer3": ("layer3",),
    "layer4": ("layer4",),
}


def _features(*numbers: int) -> tuple[str, ...]:
    return tuple(f"features.{number}" for number in numbers)


def _resnet(name: str, num_features: int) -> Backbone:
    return Backbone(
        build=lambda: torchvision.models.get_model(name, weights=None),
        groups=_RESNET_GROUPS,
        head="fc",
        num_features=num_features,
        first_conv="conv1",
        max_pool="maxpool",
    )


BACKBONES: dict[str, Backbone] = {
    "resnet18": _resnet("resnet18", 512),
    "resnet34": _resnet("resnet34", 512),
    "resnet50": _resnet("resnet50", 2048),
    "resnet101": _resnet("resnet101", 2048),
    "resnet152": _resnet("resnet152", 2048),
    "mobilenet_v2": Backbone(
        build=lambda: torchvision.models.get_model("mobilenet_v2", weights=None),
        # Its stages, grouped by stride so that layer1 … layer4 work at 1/4 … 1/32 as in a ResNet.
        groups={
            "stem": _features(0, 1),
            "layer1": _features(2, 3),
            "layer2": _features(4, 5, 6),
            "layer3": _features(*range(7, 14)),
            "layer4": _features(*range(14, 19)),
        },
        head="classifier.1",  # after its dropout
        num_features=1280,
        first_conv="features.0.0",
        max_pool=None,
    ),
}
"""Open: add an entry to compare another architecture. Its weights are IMAGENET1K_V1 of the same
name in torchvision."""


def backbone(name: str) -> Backbone:
    """Return the registry's entry.

    Raises:
        ValueError: The name is not registered; the message lists the known ones.
    """
    if name not in BACKBONES:
        raise ValueError(unknown_name(name, BACKBONES, "backbone"))
    return BACKBONES[name]


def count_parameters(recipe: Recipe, num_classes: int) -> int:
    """Return how many numbers a recipe's network has, without their memory."""
    with torch.device("meta"):
        network = build(recipe, num_classes)
    return sum(parameter.numel() for parameter in network.parameters())


def build(recipe: Recipe, num_classes: int) -> Network:
    """Make the network of a recipe.

    Its initial values depend on the recipe's seed alone, backbone and head apart.

    Args:
        recipe: Read for `backbone`, `stem`, `head` and `seed`; weights are loaded by the caller.
        num_classes: Width of the output.

    Raises:
        ValueError: The backbone is not registered.
    """
    # Initial values.
    spec = backbone(recipe.backbone)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(recipe.seed, "init", recipe.backbone))
        model = spec.build()
        if recipe.stem == "cifar":
            _make_cifar_stem(model, spec)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(recipe.seed, "head", recipe.head))
        head = _head(recipe.head, spec.num_features, num_classes)
    # Layer groups, and what torchvision calls their modules.
    groups: dict[str, nn.Module] = {}
    torch_names: dict[str, str] = {}
    for group, paths in spec.groups.items():
        if len(paths) == 1:
            groups[group] = model.get_submodule(paths[0])
            torch_names[group] = paths[0]
            continue
        children: OrderedDict[str, nn.Module] = OrderedDict()
        for path in paths:
            name = path.replace(".", "_")
            children[name] = model.get_submodule(path)
            torch_names[f"{group}.{name}"] = path
        groups[group] = nn.Sequential(children)
    groups["fc"] = nn.Sequential(
        OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), head=head)
    )
    torch_names["fc.head"] = spec.head
    return Network(groups, torch_names, spec.head, num_classes)


def _head(kind: str, num_features: int, num_classes: int) -> nn.Module:
    if kind == "linear":
        return nn.Linear(num_features, num_classes)
    return nn.Sequential(
        nn.Linear(num_features, MLP_WIDTH), nn.ReLU(), nn.Linear(MLP_WIDTH, num_classes)
    )


def _make_cifar_stem(model: nn.Module, spec: Backbone) -> None:
    """Make it 3x3 with stride 1 and no max-pool, as in every ResNet for 32 px images.

    The source is He et al. 2016, section 4.2.
    """
    old = model.get_submodule(spec.first_conv)
    assert isinstance(old, nn.Conv2d)
    new = nn.Conv2d(
        old.in_channels, old.out_channels, kernel_size=3, stride=1, padding=1, bias=False
    )
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    model.set_submodule(spec.first_conv, new)
    if spec.max_pool:
        model.set_submodule(spec.max_pool, nn.Identity())
