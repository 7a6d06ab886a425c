"""The registry of backbones, their layer groups, and the network that a trial trains.

A network is a sequence of layer groups, `stem, layer1 … layer4, fc`. On disk its state dict has torchvision's own names, so
that a checkpoint loads into `torchvision.models` and a file of torchvision's loads here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torchvision
from torch import Tensor, nn

from trainables.randomness import named_seed
from trainables.recipe import LAYER_GROUPS, Recipe, unknown_name

MLP_WIDTH = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Backbone:
    """One architecture of torchvision's and how it falls into layer groups.

    Attributes:
        build: Makes the untrained torchvision model.
        groups: For each of `LAYER_GROUPS` but fc, the paths of its modules in torchvision's model, in forward order.
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


_RESNET_GROUPS = {"stem": ("conv1", "bn1", "relu", "maxpool")} | {f"layer{i}": (f"layer{i}",) for i in range(1, 5)}
# MobileNetV2's stages, grouped by stride so that layer1 … layer4 work at 1/4 … 1/32 as in a ResNet.
_MOBILENET_BLOCKS = {"stem": (0, 1), "layer1": (2, 3), "layer2": (4, 5, 6), "layer3": range(7, 14), "layer4": range(14, 19)}


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
        groups={name: tuple(f"features.{i}" for i in blocks) for name, blocks in _MOBILENET_BLOCKS.items()},
        head="classifier.1",  # after its dropout
        num_features=1280,
        first_conv="features.0.0",
        max_pool=None,
    ),
}
"""Open: add an entry to compare another architecture. Its weights are IMAGENET1K_V1 of the same name in torchvision."""


def backbone(name: str) -> Backbone:
    """The registry's entry.

    Raises:
        ValueError: The name is not registered; the message lists the known ones.
    """
    if name not in BACKBONES:
        raise ValueError(unknown_name(name, BACKBONES, "backbone"))
    return BACKBONES[name]


class Network(nn.Sequential):
    """Layer groups in forward order: float `[B, 3, H, W]`, normalised, to logits `[B, classes]`."""

    def __init__(self, groups: Mapping[str, nn.Module], torch_names: Mapping[str, str], head: str, num_classes: int) -> None:
        super().__init__(OrderedDict(groups))
        self._torch_names = dict(torch_names)  # path here -> path in torchvision's model
        self.head = head
        self.num_classes = num_classes

    def freeze_all_but(self, trainable_layers: int) -> None:
        """Let the last `trainable_layers` groups train, and no other parameter."""
        for name, group in self.named_children():
            group.requires_grad_(name in LAYER_GROUPS[-trainable_layers:])

    def train_groups(self, trainable_layers: int, *, batch_stats: bool) -> None:
        """Set train mode for an epoch: frozen groups stay in eval mode unless `batch_stats`.

        `requires_grad=False` alone does not freeze a BatchNorm: its running statistics move in train mode
        (pytorch issue 86590).
        """
        for name, group in self.named_children():
            group.train(batch_stats or name in LAYER_GROUPS[-trainable_layers:])

    def torchvision_state_dict(self) -> dict[str, Tensor]:
        """All parameters and buffers under torchvision's names; the tensors are not copied."""
        return {self._rename(key): value for key, value in self.state_dict().items()}

    def load_torchvision_state_dict(self, state: Mapping[str, Tensor], *, with_head: bool) -> None:
        """Load tensors under torchvision's names.

        Args:
            state: Tensors by torchvision's names; those of a head are passed over unless `with_head`.
            with_head: The head must be there too, as in our own checkpoints.

        Raises:
            ValueError: A line each for missing keys, unexpected ones and wrong shapes, the first three named.
        """
        here = {self._rename(key): key for key in self.state_dict()}
        if not with_head:
            here = {name: key for name, key in here.items() if not self._is_head(name)}
            state = {name: value for name, value in state.items() if not self._is_head(name)}
        if problems := _state_problems({name: self.state_dict()[key] for name, key in here.items()}, state):
            raise ValueError("\n".join(problems))
        renamed = {here[name]: value for name, value in state.items()}
        self.load_state_dict(renamed, strict=False)

    def _is_head(self, name: str) -> bool:
        # Whatever stands in the place of torchvision's head: `fc.0.weight` of an mlp, `classifier.weight` without its dropout.
        return name.startswith(f"{self.head.partition('.')[0]}.")

    def _rename(self, key: str) -> str:
        for ours, theirs in self._torch_names.items():
            if key.startswith(f"{ours}."):
                return theirs + key[len(ours) :]
        raise AssertionError(f"no torchvision name for {key}")


def build(recipe: Recipe, num_classes: int) -> Network:
    """Make the network of a recipe; its initial values depend on the recipe's seed alone, backbone and head apart.

    Args:
        recipe: Read for `backbone`, `stem`, `head` and `seed`; weights are loaded by the caller.
        num_classes: Width of the output.

    Raises:
        ValueError: The backbone is not registered.
    """
    spec = backbone(recipe.backbone)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(recipe.seed, "init", recipe.backbone))
        model = spec.build()
        if recipe.stem == "cifar":
            _make_cifar_stem(model, spec)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(recipe.seed, "head", recipe.head))
        head = _head(recipe.head, spec.num_features, num_classes)
    groups: dict[str, nn.Module] = {}
    torch_names: dict[str, str] = {}
    for group, paths in spec.groups.items():
        if len(paths) == 1:
            groups[group] = model.get_submodule(paths[0])
            torch_names[group] = paths[0]
            continue
        children = OrderedDict((path.replace(".", "_"), model.get_submodule(path)) for path in paths)
        groups[group] = nn.Sequential(children)
        torch_names |= {f"{group}.{path.replace('.', '_')}": path for path in paths}
    groups["fc"] = nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), head=head))
    torch_names["fc.head"] = spec.head
    return Network(groups, torch_names, spec.head, num_classes)


def _head(kind: str, num_features: int, num_classes: int) -> nn.Module:
    if kind == "linear":
        return nn.Linear(num_features, num_classes)
    return nn.Sequential(nn.Linear(num_features, MLP_WIDTH), nn.ReLU(), nn.Linear(MLP_WIDTH, num_classes))


def _make_cifar_stem(model: nn.Module, spec: Backbone) -> None:
    """3x3 with stride 1 and no max-pool, as every ResNet for 32 px images (He et al. 2016, section 4.2)."""
    old = model.get_submodule(spec.first_conv)
    assert isinstance(old, nn.Conv2d)
    new = nn.Conv2d(old.in_channels, old.out_channels, kernel_size=3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    model.set_submodule(spec.first_conv, new)
    if spec.max_pool:
        model.set_submodule(spec.max_pool, nn.Identity())


def _state_problems(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    # Files from before PyTorch 0.4.1 lack `num_batches_tracked`; nothing reads it at the default momentum.
    missing = [k for k in expected if k not in found and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in found if k not in expected]
    shapes = [
        f"{k!r} has the shape {list(found[k].shape)} instead of {list(expected[k].shape)}"
        for k in expected
        if k in found and expected[k].shape != found[k].shape
    ]
    return [
        *_first("it lacks {}", list(map(repr, missing))),
        *_first("it has the unexpected {}", list(map(repr, unexpected))),
        *_first("{}", shapes),
    ]


def _first(sentence: str, items: list[str]) -> list[str]:
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return [sentence.format(", ".join(items[:3]) + more)] if items else []
