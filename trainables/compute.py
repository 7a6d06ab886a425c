"""How a trial computes: in which precision, and which convolutions run as matmuls. It moves numbers by rounding only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from filelock import FileLock

from trainables.backbones import build
from trainables.convolution import Choices, measure
from trainables.files import write_whole
from trainables.network import Network, Precision, channels_last
from trainables.prefix import machine
from trainables.recipe import LAYER_GROUPS, Recipe

MEASURED_BATCH = 64
"""Images with which convolutions are timed: the winner is the same at 256, in a quarter of the time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compute:
    """The same for all trials of a sweep, and part of what is needed to train one of them again bit for bit.

    Attributes:
        precision: fp32, or bf16 autocast where the device has the instructions.
        convolutions: The passes that run as matmuls, by shape; see `trainables.convolution`.
    """

    precision: Precision = "fp32"
    convolutions: Choices = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        return {
            "precision": self.precision,
            "convolutions": {key: list(passes) for key, passes in self.convolutions.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(precision=values["precision"], convolutions=values["convolutions"])


def best_precision(device: torch.device) -> Precision:
    """bf16 where the hardware multiplies it: AMX or AVX512-BF16 on a CPU, Ampere and later among CUDA devices."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    found = torch.cpu.get_capabilities()  # of the processor
    used = torch.backends.cpu.get_cpu_capability() not in (
        "DEFAULT",
        "AVX2",
    )  # torch may be told to use less of it
    return "bf16" if used and (found.get("amx_bf16") or found.get("avx512_bf16")) else "fp32"


def gpu_precision() -> Precision:
    """The precision of this node's GPUs, asked for on each node of a cluster; fp32 where torch sees none."""
    return best_precision(torch.device("cuda")) if torch.cuda.is_available() else "fp32"


def choose(
    recipes: Sequence[Recipe],
    num_classes: int,
    device: str,
    *,
    threads: int,
    cache: Path,
    say: Callable[[str], None],
) -> Compute:
    """What is fastest here for these recipes: convolutions are timed once a machine, and remembered in the cache.

    Args:
        recipes: One for each network and size that will train; `trainable_layers` the most that any trial trains.
        num_classes: Width of the output.
        device: `cpu` or `cuda`, where trials compute.
        threads: CPU threads of a trial.
        cache: The folder for what can be made again.
        say: Shows a line before what takes seconds.
    """
    place = torch.device(device)
    precision = best_precision(place)
    if place.type != "cpu" or precision != "bf16":
        return Compute(
            precision=precision
        )  # cuDNN chooses for itself, and fp32 has no faster matmul
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
    return Compute(
        precision=precision,
        convolutions={key: passes for key, passes in sorted(seen.items()) if passes},
    )


def _trainable_part(recipe: Recipe, num_classes: int) -> tuple[torch.nn.Module, torch.Tensor]:
    network = build(recipe, num_classes).to(memory_format=torch.channels_last)
    network.precision = "bf16"
    network.train_groups(recipe.trainable_layers, batch_stats=False)
    pixels = torch.zeros(
        min(recipe.batch_size, MEASURED_BATCH), 3, recipe.image_size, recipe.image_size
    )
    inputs = (
        network.activations(pixels) if network.cut != LAYER_GROUPS[0] else channels_last(pixels)
    )
    return torch.nn.Sequential(*_groups_from(network)), inputs


def _groups_from(network: Network) -> Iterable[torch.nn.Module]:
    return (network.get_submodule(name) for name in LAYER_GROUPS[LAYER_GROUPS.index(network.cut) :])


def _read(file: Path) -> dict[str, Any]:
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):  # not there yet, or damaged: it is measured again
        return {}
    return known if isinstance(known, dict) else {}
