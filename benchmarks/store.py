"""What do stored activations cost, and what do they save?

Filling and reading against computing, per backbone and cut.

    python benchmarks/store.py [--json] [--images 512] [--image-size 96] [--device cpu|cuda]
                               [--rounds 3]

Random images, untrained networks: neither changes a time. One thread on a CPU, as a trial has.
`compute` is the forward pass up to the cut, `fill` computes and writes all cuts of a view at once,
`read` maps an entry that another process wrote, checks it and takes every row in shuffled batches
of 256; `again` reads it once more. Medians, interleaved by round. At the end a store with room for
half of a view: which cuts it keeps, and that another sweep's entries make room.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainables import feature_store
from trainables.backbones import build
from trainables.compute import best_precision
from trainables.feature_store import FeatureStore
from trainables.frozen_features import FrozenFeatures, Shared
from trainables.network import CHUNK, Network
from trainables.recipe import Recipe
from trainables.weights import RANDOM

BACKBONES, CUTS = ("resnet18", "resnet34", "resnet50"), ("layer2", "layer3", "layer4", "fc")
LAYERS = {"fc": 1, "layer4": 2, "layer3": 3, "layer2": 4}


@dataclass(frozen=True)
class Noise:
    """A data set of random pixels."""

    images: np.ndarray
    digest: str = "noise"

    @property
    def labels(self) -> np.ndarray:
        return np.zeros(len(self.images), dtype=np.int64)

    def split(self, name: str) -> Noise:
        return self


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    shape = (options.images, options.image_size, options.image_size, 3)
    data = Noise(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    rows = [
        row
        for backbone in BACKBONES
        for row in measured(backbone, data, options.image_size, device, options.rounds)
    ]
    result = {
        "images": options.images,
        "image_size": options.image_size,
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu, 1 thread",
        "precision": best_precision(device),
        "rows": rows,
        "budget": budget(data, options.image_size, device),
    }
    if options.json:
        print(json.dumps(result))
        return
    heads = f"{'compute s':>11}{'fill s':>9}{'read s':>9}{'again s':>9}{'compute/read':>14}"
    print(f"{'backbone':10}{'cut':8}{'MB':>8}{heads}")
    for row in rows:
        times = (
            f"{row['compute_s']:>11.2f}{row['fill_s']:>9.2f}{row['read_s']:>9.3f}"
            f"{row['again_s']:>9.3f}{row['compute_s'] / row['read_s']:>14.0f}"
        )
        print(f"{row['backbone']:10}{row['cut']:8}{row['mb']:>8.1f}{times}")
    print("\n".join(f"{name}: {value}" for name, value in result["budget"].items()))


def measured(
    backbone: str, data: Noise, size: int, device: torch.device, rounds: int
) -> list[dict[str, Any]]:
    """A row for each cut."""
    times: dict[str, list[float]] = {}
    megabytes: dict[str, float] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            network = frozen(backbone, size, device)
            for cut in CUTS:
                network.train_groups(LAYERS[cut], batch_stats=False)
                times.setdefault(f"compute {cut}", []).append(
                    seconds(partial(compute, network, data, device), device)
                )
            shared = Shared(store=FeatureStore(Path(folder), sweep="benchmark"), cuts=CUTS)
            recipe = Recipe(backbone=backbone, weights="none", trainable_layers=1, image_size=size)
            features = FrozenFeatures(shared, network, recipe, data, RANDOM, device)  # type: ignore[arg-type]
            network.train_groups(1, batch_stats=False)
            times.setdefault("fill", []).append(seconds(features.val, device))
            feature_store._checked.clear()  # as a process that has not read them yet
            for name in ("read", "again"):
                for cut in CUTS:
                    network.train_groups(LAYERS[cut], batch_stats=False)
                    reader = FrozenFeatures(shared, network, recipe, data, RANDOM, device)  # type: ignore[arg-type]
                    times.setdefault(f"{name} {cut}", []).append(
                        seconds(partial(read, reader, len(data.images)), device)
                    )
            files = {
                json.loads(path.read_text())["cut"]: path.parent
                for path in Path(folder).glob("*/meta.json")
            }
            megabytes = {
                cut: (entry / "activations.npy").stat().st_size / 1e6
                for cut, entry in files.items()
            }
    median = {name: statistics.median(values) for name, values in times.items()}
    return [
        {
            "backbone": backbone,
            "cut": cut,
            "mb": round(megabytes[cut], 2),
            "compute_s": round(median[f"compute {cut}"], 3),
            "fill_s": round(median["fill"], 3),
            "read_s": round(median[f"read {cut}"], 4),
            "again_s": round(median[f"again {cut}"], 4),
        }
        for cut in CUTS
    ]


def budget(data: Noise, size: int, device: torch.device) -> dict[str, Any]:
    """What is kept where half of a view fits, and what another sweep's entries do then."""
    network = frozen("resnet18", size, device)
    network.train_groups(1, batch_stats=False)
    recipe = Recipe(weights="none", trainable_layers=1, image_size=size)
    with tempfile.TemporaryDirectory() as folder:

        def fill(sweep: str, share: float, seed: int) -> list[str]:
            shared = Shared(store=FeatureStore(Path(folder), sweep=sweep, share=share), cuts=CUTS)
            FrozenFeatures(
                shared, network, Recipe(**recipe.as_dict() | {"seed": seed}), data, RANDOM, device
            ).val()  # type: ignore[arg-type]
            metas = [json.loads(path.read_text()) for path in Path(folder).glob("*/meta.json")]
            return sorted(f"{meta['cut']} of seed {meta['view']['init_seed']}" for meta in metas)

        whole = fill("first", 1.0, 0)
        held = sum(path.stat().st_size for path in Path(folder).glob("*/activations.npy"))
        usage = feature_store.shutil.disk_usage(folder)
        half = held / 2 / (usage.free + held)
        return {
            "with room": whole,
            "another sweep with room for half a view": fill("second", half, 1),
        }


def frozen(backbone: str, size: int, device: torch.device) -> Network:
    network = build(Recipe(backbone=backbone, weights="none", image_size=size), 10)
    network.to(device).to(memory_format=torch.channels_last).eval()
    network.precision = best_precision(device)
    return network


def compute(network: Network, data: Noise, device: torch.device) -> None:
    from trainables.data.augment import plain_view

    for samples in torch.arange(len(data.images)).split(CHUNK):
        images = torch.from_numpy(data.images[samples.numpy()]).to(device)
        network.activations(plain_view(images, images.shape[1]))


def read(features: FrozenFeatures, images: int) -> None:
    stored = features.val()
    assert stored is not None
    for samples in torch.randperm(images).split(256):
        stored.take(samples)


def seconds(run: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
