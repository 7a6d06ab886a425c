"""How a trial computes: in which precision, and which convolutions run as matrix products.

It moves numbers by rounding only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from filelock import FileLock

from trainables.backbones import build
from trainables.convolution import Choices, install, measure
from trainables.files import write_whole
from trainables.frozen_features import machine
from trainables.network import Network, Precision
from trainables.recipe import LAYER_GROUPS, Recipe

MEASURED_BATCH = 64
"""Images with which convolutions are timed: the winner is the same at 256, in a quarter of the
time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compute:
    """The way in which all trials of a sweep compute.

    It is part of what is needed to train one of them again bit for bit.

    Attributes:
        precision: fp32, or bf16 autocast where the device has the instructions.
        convolutions: The passes that run as matrix products, by shape; see
            `trainables.convolution`.
    """

    precision: Precision = "fp32"
    convolutions: Choices = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for a JSON file."""
        convolutions = {key: list(passes) for key, passes in self.convolutions.items()}
        return {"precision": self.precision, "convolutions": convolutions}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the inverse of `as_dict`."""
        return cls(precision=values["precision"], convolutions=values["convolutions"])

    def install(self, network: Network, trainable_layers: int) -> None:
        """Let the last layer groups of a network do the chosen passes as matrix products."""
        for name in LAYER_GROUPS[-trainable_layers:]:
            install(network.get_submodule(name), self.convolutions)


def best_precision(device: torch.device) -> Precision:
    """Return bf16 where the hardware multiplies it, else fp32.

    That is AMX or AVX512-BF16 on a CPU, and Ampere and later among CUDA devices.
    """
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        processor = torch.cpu.get_capabilities()
        # Torch may be told to use less of it.
        used = torch.backends.cpu.get_cpu_capability() not in ("DEFAULT", "AVX2")
        fast = used and bool(processor.get("amx_bf16") or processor.get("avx512_bf16"))
    return "bf16" if fast else "fp32"


def gpu_precision() -> Precision:
    """Return the precision of this node's GPUs; fp32 where torch sees none.

    It is asked for on each node of a cluster.
    """
    if not torch.cuda.is_available():
        return "fp32"
    return best_precision(torch.device("cuda"))


def choose(
    recipes: Sequence[Recipe],
    num_classes: int,
    device: str,
    *,
    threads: int,
    cache: Path,
    say: Callable[[str], None],
) -> Compute:
    """Return what is fastest here for these recipes.

    Convolutions are timed once per machine, and remembered in the cache.

    Args:
        recipes: One for each network and size that will train; `trainable_layers` the most that any
            trial trains.
        num_classes: Width of the output.
        device: `cpu` or `cuda`, where trials compute.
        threads: CPU threads of a trial.
        cache: The folder for what can be made again.
        say: Shows a line before what takes seconds.
    """
    place = torch.device(device)
    precision = best_precision(place)
    # cuDNN chooses for itself, and fp32 has no faster matrix product.
    if place.type != "cpu" or precision != "bf16":
        return Compute(precision=precision)
    # Time what this machine has not timed yet; one process does it, and the others read it.
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        file = cache / "convolutions.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")):
            known = _read(file)
            table = dict(known.get(machine(place), {}))
            if not table:
                say("Timing convolutions on this machine: once, some seconds.")
            seen: dict[str, list[Any]] = {}
            for recipe in recipes:
                seen |= measure(*_trainable_part(recipe, num_classes), known=table | seen)
            if not seen.keys() <= table.keys():
                known |= {machine(place): table | seen}
                write_whole(file, json.dumps(known, indent=1))
    finally:
        torch.set_num_threads(before)
    chosen = {key: passes for key, passes in sorted(seen.items()) if passes}
    return Compute(precision=precision, convolutions=chosen)


def _trainable_part(recipe: Recipe, num_classes: int) -> tuple[torch.nn.Module, torch.Tensor]:
    network = build(recipe, num_classes).to(memory_format=torch.channels_last)
    network.precision = "bf16"
    network.train_groups(recipe.trainable_layers, batch_stats=False)
    batch = min(recipe.batch_size, MEASURED_BATCH)
    images = torch.zeros(batch, 3, recipe.image_size, recipe.image_size)
    names = LAYER_GROUPS[LAYER_GROUPS.index(network.cut) :]
    trainable = torch.nn.Sequential(*map(network.get_submodule, names))
    return trainable, network.activations(images)


def _read(file: Path) -> dict[str, Any]:
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):  # not there yet, or damaged: it is measured again
        return {}
    return known if isinstance(known, dict) else {}
