"""The peers of `sweep_vs_peers.py`, which runs this file.

They train the same recipes as articles train them, without this project.

    python benchmarks/peers.py sequential --data IMAGES.npz --weights FILE|none
    python benchmarks/peers.py ray --data IMAGES.npz --weights FILE|none --cpus 2 --recipes FILE
                                   --storage DIR

Recipes of `sequential` come on stdin, one per line as JSON.

Both: torchvision's model and transforms on PIL images, a DataLoader, fp32, frozen layers without
gradients and in eval mode, validation after each epoch in inference mode. `sequential` is one
process with all threads of torch; it decodes the data once and saves nothing. `ray` is a function
trainable as in Ray Tune's PyTorch tutorial: an actor for each trial, a CPU for each actor, data
read in the trial, a report with a checkpoint of the state dict after each epoch.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

Recipe = dict[str, Any]
Samples = list[tuple[Image.Image, int]]

BLOCKS = ("layer4", "layer3", "layer2", "layer1")  # what trains beside fc, from the end
NORMALISE = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Images(Dataset):  # type: ignore[type-arg]
    def __init__(self, samples: Samples, transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self.samples, self.transform = samples, transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image, label = self.samples[index]
        return self.transform(image), label


def add_noise(image: torch.Tensor) -> torch.Tensor:
    return (image + 0.02 * torch.randn_like(image)).clamp_(0, 1)


def read(path: str) -> tuple[Samples, Samples, int]:
    """Train and validation samples as PIL images, and the number of classes."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file}

    def samples(split: str) -> Samples:
        pixels, labels = arrays[f"x_{split}"], arrays[f"y_{split}"].tolist()
        return [
            (Image.fromarray(image), label) for image, label in zip(pixels, labels, strict=True)
        ]

    return samples("train"), samples("val"), int(arrays["y_train"].max()) + 1


def loaders(
    train: Samples, val: Samples, recipe: Recipe, workers: int
) -> tuple[DataLoader, DataLoader]:  # type: ignore[type-arg]
    side = recipe["image_size"]
    plain = transforms.Compose([transforms.Resize((side, side)), transforms.ToTensor(), NORMALISE])
    crop_flip = transforms.Compose(
        [
            transforms.RandomResizedCrop(side, scale=(0.64, 1), ratio=(1, 1)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Lambda(add_noise),
            NORMALISE,
        ]
    )
    view = {"none": plain, "crop_flip": crop_flip}[recipe["augmentation"]]
    options: dict[str, Any] = {"num_workers": workers, "persistent_workers": workers > 0}
    return (
        DataLoader(Images(train, view), batch_size=recipe["batch_size"], shuffle=True, **options),
        DataLoader(Images(val, plain), batch_size=256, **options),
    )


def start_stage(
    model: nn.Module, layers: int, lr: float
) -> tuple[list[nn.Module], torch.optim.Optimizer]:
    """Freeze all but the last layers; those that train, and their optimiser."""
    model.requires_grad_(False)
    training = [model.get_submodule(name) for name in ("fc", *BLOCKS[: layers - 1])]
    for module in training:
        module.requires_grad_(True)
    return training, torch.optim.AdamW(
        (p for p in model.parameters() if p.requires_grad), lr=lr, weight_decay=0.0
    )


@torch.inference_mode()
def accuracy(model: nn.Module, loader: DataLoader) -> float:  # type: ignore[type-arg]
    model.eval()
    correct = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in loader)
    return correct / len(loader.dataset)  # type: ignore[arg-type]


def train(
    recipe: Recipe,
    data: tuple[Samples, Samples, int],
    weights: str,
    workers: int,
    report: Callable[[float, nn.Module], None],
) -> None:
    """Train one recipe; `report` gets the validation accuracy of each epoch and the model."""
    torch.manual_seed(recipe["seed"])
    train_samples, val_samples, classes = data
    model = torchvision.models.resnet18(weights=None)
    if weights != "none":
        state = torch.load(weights, map_location="cpu", weights_only=True)
        model.load_state_dict(
            {k: v for k, v in state.items() if not k.startswith("fc.")}, strict=False
        )
    model.fc = nn.Linear(model.fc.in_features, classes)
    train_loader, val_loader = loaders(train_samples, val_samples, recipe, workers)
    loss_of, layers, stage1 = (
        nn.CrossEntropyLoss(),
        recipe["trainable_layers"],
        recipe["stage1_epochs"],
    )
    for epoch in range(recipe["epochs"]):
        if stage1 and epoch == 0:
            training, optimizer = start_stage(model, min(2, layers), recipe["stage1_lr"])
        elif epoch == stage1:
            training, optimizer = start_stage(model, layers, recipe["stage2_lr"])
        model.eval()
        for module in training:
            module.train()
        for images, labels in train_loader:
            loss = loss_of(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        report(accuracy(model, val_loader), model)


def sequential(data_file: str, weights: str, workers: int) -> None:
    """Answer each recipe on stdin with its accuracies, as a script would train them in a loop."""
    data = read(data_file)
    print(json.dumps({"threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        accuracies: list[float] = []
        train(
            json.loads(line),
            data,
            weights,
            workers,
            lambda value, _, seen=accuracies: seen.append(value),
        )  # type: ignore[misc]
        print(json.dumps({"val_accuracy": accuracies}), flush=True)


def trainable(config: dict[str, Any]) -> None:
    from ray import tune

    def report(value: float, model: nn.Module) -> None:
        with tempfile.TemporaryDirectory() as folder:
            torch.save(model.state_dict(), Path(folder) / "model.pt")
            tune.report({"accuracy": value}, checkpoint=tune.Checkpoint.from_directory(folder))

    train(config["recipe"], read(config["data"]), config["weights"], config["workers"], report)


def ray_tutorial(
    data: str, weights: str, workers: int, cpus: int, recipes_file: str, storage: str
) -> None:
    """All recipes as a grid of one Tuner; the last line on stdout has their accuracies by name."""
    import ray
    from ray import tune

    recipes = json.loads(Path(recipes_file).read_text())
    ray.init(num_cpus=cpus, include_dashboard=False)
    fixed = {"data": data, "weights": weights, "workers": workers}
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"recipe": tune.grid_search(recipes), **fixed},
        tune_config=tune.TuneConfig(metric="accuracy", mode="max"),
        run_config=tune.RunConfig(name="tutorial", storage_path=storage),
    )
    results = tuner.fit()
    answer = {r.config["recipe"]["name"]: r.metrics["accuracy"] for r in results if r.error is None}  # type: ignore[index]
    ray.shutdown()
    print(json.dumps({"val_accuracy": answer}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("way", choices=("sequential", "ray"))
    parser.add_argument("--data", required=True, help="an .npz with x_train, y_train, x_val, y_val")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--workers", type=int, default=0, help="of the DataLoader")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--recipes")
    parser.add_argument("--storage")
    options = parser.parse_args()
    if options.way == "sequential":
        sequential(options.data, options.weights, options.workers)
    else:
        ray_tutorial(
            options.data,
            options.weights,
            options.workers,
            options.cpus,
            options.recipes,
            options.storage,
        )


if __name__ == "__main__":
    main()
