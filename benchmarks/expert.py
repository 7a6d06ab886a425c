"""The third peer of `sweep_vs_peers.py`, which runs this file: a fast script, by hand.

    python benchmarks/expert.py --data IMAGES.npz --weights FILE|none

It trains recipes that come on stdin, one per line as JSON, as `peers.py sequential` does, without
this project. It has what an expert adds for this one question: bf16 where the processor multiplies
it, channels-last, all images as one tensor, augmentation of whole batches, fused AdamW, frozen
layers without gradients and with their BatchNorms folded into their convolutions. What does not
change is computed once per cut and kept from recipe to recipe: the frozen layers' features of the
validation images, and of the training images where nothing is augmented. One process with all
threads of torch; it saves nothing. `torch.compile` is left out.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Recipe = dict[str, Any]

GROUPS = ("stem", "layer1", "layer2", "layer3", "layer4", "fc")
MEAN = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
STD = torch.tensor((0.229, 0.224, 0.225))[:, None, None]
BEFORE = {"bn1": "conv1", "bn2": "conv2", "1": "0"}  # what a BatchNorm of this name follows
BATCH = 256  # images that go through frozen layers, or are evaluated, at once


class Expert:
    """The images, and the features that recipes share.

    Args:
        images: uint8 `[N, S, S, 3]` of `train` and `val`.
        labels: int64 `[N]` of both.
        weights: A state dict of torchvision's resnet18, or None.
        cached: Whether features are kept; without, each batch goes through the frozen layers.
    """

    def __init__(
        self,
        images: dict[str, Tensor],
        labels: dict[str, Tensor],
        weights: dict[str, Tensor] | None,
        *,
        cached: bool = True,
    ) -> None:
        # float [N, 3, S, S] from 0 to 1, which is what resampling reads.
        self.images = {
            split: pixels.permute(0, 3, 1, 2).float().div_(255).contiguous()
            for split, pixels in images.items()
        }
        self.labels = labels
        self.classes = int(labels["train"].max()) + 1
        self.weights = weights
        self.cached = cached
        self._features: dict[tuple[Any, ...], Tensor] = {}

    def train(self, recipe: Recipe) -> list[float]:
        """Train one recipe; return the validation accuracy of each epoch."""
        torch.manual_seed(recipe["seed"])
        groups = self.network()
        layers, stage1 = recipe["trainable_layers"], recipe["stage1_epochs"]
        accuracies: list[float] = []
        for epoch in range(recipe["epochs"]):
            if stage1 and epoch == 0:
                cut, frozen, tail, optimizer = _stage(groups, min(2, layers), recipe["stage1_lr"])
            elif epoch == stage1:
                cut, frozen, tail, optimizer = _stage(groups, layers, recipe["stage2_lr"])
            tail.train()
            for batch in torch.randperm(len(self.labels["train"])).split(recipe["batch_size"]):
                inputs = self.inputs("train", batch, cut, frozen, recipe)
                with autocast():
                    logits = tail(inputs)
                loss = F.cross_entropy(logits.float(), self.labels["train"][batch])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            accuracies.append(self._accuracy(tail, cut, frozen, recipe))
        return accuracies

    def network(self) -> nn.ModuleDict:
        """Return a ResNet-18 in groups; torch's random state decides what `weights` do not."""
        model = torchvision.models.resnet18(weights=None)
        if self.weights is not None:
            backbone = {k: v for k, v in self.weights.items() if not k.startswith("fc.")}
            model.load_state_dict(backbone, strict=False)
        stem = nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool)
        blocks = {name: model.get_submodule(name) for name in GROUPS[1:-1]}
        head = nn.Linear(model.fc.in_features, self.classes)
        groups = nn.ModuleDict({"stem": stem, **blocks, "fc": head})
        return groups.to(memory_format=torch.channels_last)

    def inputs(
        self, split: str, samples: Tensor, cut: str, frozen: nn.Module, recipe: Recipe
    ) -> Tensor:
        """Return what the trainable part gets of these samples."""
        images = self.images[split]
        side = recipe["image_size"]
        if split == "train" and recipe["augmentation"] == "crop_flip":
            return features(frozen, crop_flip(images[samples], side))
        if not self.cached:
            return features(frozen, plain(images[samples], side))
        # By seed too where the frozen layers are random.
        seed = recipe["seed"] if self.weights is None else None
        key = (split, cut, side, seed)
        if key not in self._features:
            parts = [features(frozen, plain(some, side)) for some in images.split(BATCH)]
            rows = torch.cat(parts)
            # In memory [N, H, W, C], of which rows are taken whole.
            self._features[key] = rows.movedim(1, -1).contiguous()
        return self._features[key][samples].movedim(-1, 1)

    @torch.inference_mode()
    def _accuracy(self, tail: nn.Module, cut: str, frozen: nn.Module, recipe: Recipe) -> float:
        tail.eval()
        labels = self.labels["val"]
        correct = 0
        for batch in torch.arange(len(labels)).split(BATCH):
            inputs = self.inputs("val", batch, cut, frozen, recipe)
            with autocast():
                correct += int((tail(inputs).argmax(1) == labels[batch]).sum())
        return correct / len(labels)


@torch.no_grad()
def features(frozen: nn.Module, views: Tensor) -> Tensor:
    """Return the frozen layers' output of views in [0, 1]."""
    inputs = ((views - MEAN) / STD).contiguous(memory_format=torch.channels_last)
    with autocast():
        output: Tensor = frozen(inputs)
    return output


def plain(images: Tensor, side: int) -> Tensor:
    """Resize images, float `[B, 3, S, S]` from 0 to 1."""
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, size=(side, side), mode="bilinear", antialias=True).clamp_(0, 1)


def crop_flip(images: Tensor, side: int) -> Tensor:
    """Cut a random square of 0.64 to 1 of the area, flip half of the images, add noise."""
    count = len(images)
    size = torch.empty(count).uniform_(0.64, 1).sqrt()
    flip = torch.randint(0, 2, (count,)) * 2 - 1
    # From the view's coordinates, -1 to 1, to the image's.
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = size * flip
    theta[:, 1, 1] = size
    theta[:, :, 2] = (2 * torch.rand(count, 2) - 1) * (1 - size)[:, None]
    grid = F.affine_grid(theta, [count, 3, side, side], align_corners=False)
    views = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return views.add_(torch.randn_like(views), alpha=0.02).clamp_(0, 1)


def autocast() -> AbstractContextManager[object]:
    """Return bf16 where the processor multiplies it, else fp32."""
    has = torch.cpu.get_capabilities()
    bf16 = has.get("avx512_bf16") or has.get("amx_bf16")
    bf16 = bf16 and torch.backends.cpu.get_cpu_capability() not in ("DEFAULT", "AVX2")
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(bf16))


def _stage(
    groups: nn.ModuleDict, layers: int, lr: float
) -> tuple[str, nn.Module, nn.Module, torch.optim.Optimizer]:
    """Return the cut, what is frozen before it, what trains after it, and its optimizer."""
    cut = len(GROUPS) - layers
    frozen = nn.Sequential(*(groups[name] for name in GROUPS[:cut]))
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    tail = nn.Sequential(*(groups[name] for name in GROUPS[cut:-1]))
    # Where the head alone trains, pooled features are all that it needs.
    (frozen if layers == 1 else tail).append(pool)
    tail.append(groups["fc"])
    optimizer = torch.optim.AdamW(tail.parameters(), lr=lr, weight_decay=0.0, fused=True)
    return GROUPS[cut], folded(frozen), tail, optimizer


def folded(frozen: nn.Module) -> nn.Module:
    """Return a copy in eval mode whose convolutions have their BatchNorms in them."""
    frozen = copy.deepcopy(frozen).eval().requires_grad_(False)
    for name, norm in list(frozen.named_modules()):
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        # In torchvision's ResNets: conv1 before bn1, and 0 before 1 in stem and downsample.
        path, _, last = name.rpartition(".")
        before = f"{path}.{BEFORE[last]}"
        conv = frozen.get_submodule(before)
        assert isinstance(conv, nn.Conv2d)
        frozen.set_submodule(before, fuse_conv_bn_eval(conv, norm))
        frozen.set_submodule(name, nn.Identity())
    return frozen.to(memory_format=torch.channels_last)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="an .npz with x_train, y_train, x_val, y_val")
    parser.add_argument("--weights", required=True)
    options = parser.parse_args()
    torch.set_flush_denormal(True)  # Adam's moments of what hardly moves
    with np.load(options.data) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file}
    weights = None
    if options.weights != "none":
        weights = torch.load(options.weights, map_location="cpu", weights_only=True)
    images = {split: arrays[f"x_{split}"] for split in ("train", "val")}
    labels = {split: arrays[f"y_{split}"].long() for split in ("train", "val")}
    expert = Expert(images, labels, weights)
    print(json.dumps({"threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"val_accuracy": expert.train(json.loads(line))}), flush=True)


if __name__ == "__main__":
    main()
