"""How a trial computes: in which precision, and which way its convolutions go.

It moves numbers by rounding only.
"""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from filelock import FileLock

from trainables.backbones import build
from trainables.convolution import (
    WAYS_VERSION,
    Choices,
    Chosen,
    Pass,
    Way,
    Ways,
    Wrong,
    eligible,
    install,
    kind_of,
    measure,
)
from trainables.convolution.layer import DTYPES
from trainables.files import write_whole
from trainables.frozen_features import machine
from trainables.network import Network, Precision
from trainables.problems import counted
from trainables.recipe import Recipe

MEASURED_BATCH = 256
"""Images with which convolutions are timed at most."""

CACHE_FILE = "convolutions.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Compute:
    """The way in which all trials of a sweep compute.

    It is part of what is needed to train one of them again bit for bit.

    Attributes:
        precision: fp32, or bf16 autocast where the device has the instructions.
        convolutions: By shape, the passes that go another way than oneDNN's; see
            `trainables.convolution`.
        wrong: By shape, the passes that oneDNN gets wrong in this precision: those that go no other
            way are torch's in fp32, without oneDNN.
    """

    precision: Precision = "fp32"
    convolutions: Chosen = field(default_factory=dict)
    wrong: Wrong = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for a JSON file."""
        convolutions = {key: dict(ways) for key, ways in self.convolutions.items()}
        wrong = {key: list(passes) for key, passes in self.wrong.items()}
        return {"precision": self.precision, "convolutions": convolutions, "wrong": wrong}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the inverse of `as_dict`.

        Sweeps of earlier versions name the passes that are products, and none that is wrong. In
        them, only layers that trained went so: their frozen layers now differ by rounding.
        """
        convolutions: dict[str, Mapping[Pass, Way]] = {}
        for key, ways in values["convolutions"].items():
            convolutions[key] = (
                ways if isinstance(ways, Mapping) else dict.fromkeys(ways, "product")
            )
        wrong = values.get("wrong", {})
        return cls(precision=values["precision"], convolutions=convolutions, wrong=wrong)

    def install(self, network: Network) -> None:
        """Let a network compute so."""
        network.precision = self.precision
        choices = Choices(precision=self.precision, faster=self.convolutions, wrong=self.wrong)
        install(network, choices)
        # What decides the last bits of activations. Other backbones' shapes have nothing to say.
        kinds = {kind_of(module) for module in network.modules() if eligible(module)}
        ways = {key: "fp32" for key, passes in self.wrong.items() if "forward" in passes}
        ways |= {key: way["forward"] for key, way in self.convolutions.items() if "forward" in way}
        network.ways = {key: way for key, way in ways.items() if key.partition(" at ")[0] in kinds}


def best_precision(device: torch.device) -> Precision:
    """Return bf16 where the hardware multiplies it and is faster so, else fp32.

    That is AMX or AVX512-BF16 on a CPU, and Ampere and later among CUDA devices. Not all CPUs that
    have the instructions gain by them, such as a Sapphire Rapids whose AMX is not used: so a CPU is
    timed, once in a process.
    """
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        processor = torch.cpu.get_capabilities()
        # Torch may be told to use less of it.
        used = torch.backends.cpu.get_cpu_capability() not in ("DEFAULT", "AVX2")
        has = bool(processor.get("amx_bf16") or processor.get("avx512_bf16"))
        fast = used and has and _bf16_is_faster()
    return "bf16" if fast else "fp32"


@functools.cache
def _bf16_is_faster() -> bool:
    """Return whether the CPU multiplies matrices faster in bf16."""
    seconds = dict.fromkeys(DTYPES, math.inf)
    # In turn, and the best of each: another process may be in the way of one.
    for _ in range(5):
        for precision, dtype in DTYPES.items():
            seconds[precision] = min(seconds[precision], _product_seconds(dtype))
    return seconds["bf16"] < seconds["fp32"]


def _product_seconds(dtype: torch.dtype) -> float:
    """Return how long a product of two matrices takes."""
    matrix = torch.ones(512, 512, dtype=dtype)
    started = time.perf_counter()
    torch.mm(matrix, matrix)
    return time.perf_counter() - started


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
    """Return what is right and fastest here for these recipes.

    Convolutions are checked and timed once per machine, and remembered in the cache.

    Args:
        recipes: One for each network and size that will train; `trainable_layers` the most that any
            trial trains.
        num_classes: Width of the output.
        device: `cpu` or `cuda`, where trials compute.
        threads: CPU threads of a trial.
        cache: The folder for what can be made again.
        say: Shows a line before what takes seconds, and one of what torch gets wrong.
    """
    place = torch.device(device)
    precision = best_precision(place)
    # cuDNN chooses for itself.
    if place.type != "cpu":
        return Compute(precision=precision)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ways = _ways(recipes, num_classes, precision, cache, say)
    finally:
        torch.set_num_threads(before)
    wrong = {key: way.wrong for key, way in sorted(ways.items()) if way.wrong}
    if wrong:
        say(of_wrong(wrong, precision))
    return Compute(
        precision=precision,
        convolutions={key: way.faster for key, way in sorted(ways.items()) if way.faster},
        wrong=wrong,
    )


def of_wrong(wrong: Wrong, precision: Precision) -> str:
    """Return a line about what torch gets wrong on this machine."""
    first = next(iter(wrong))
    others = f" and {counted(len(wrong) - 1, 'other shape')}" if len(wrong) > 1 else ""
    return (
        f"torch {torch.__version__} is wrong here in {precision} at the convolution {first}{others}"
        ": computed in another way, which was checked."
    )


def _ways(
    recipes: Sequence[Recipe],
    num_classes: int,
    precision: Precision,
    cache: Path,
    say: Callable[[str], None],
) -> dict[str, Ways]:
    """Return what is known of each shape, of which one process tries what the cache lacks."""
    file = cache / CACHE_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    here = f"{machine(torch.device('cpu'))}, {precision}, ways {WAYS_VERSION}"
    with FileLock(file.with_suffix(".lock")):
        known = _read(file)
        table = _table(known.get(here))
        if not table:
            say("Checking and timing convolutions on this machine: once, some seconds.")
        seen: dict[str, Ways] = {}
        for recipe in recipes:
            network = build(recipe, num_classes).to(memory_format=torch.channels_last)
            network.freeze_all_but(recipe.trainable_layers)
            image = torch.zeros(1, 3, recipe.image_size, recipe.image_size)
            batch = min(recipe.batch_size, MEASURED_BATCH)
            seen |= measure(network, image, precision, batch=batch, known=table | seen)
        if table | seen != table:
            known |= {here: {key: asdict(ways) for key, ways in (table | seen).items()}}
            write_whole(file, json.dumps(known, indent=1))
    return seen


def _table(entries: Any) -> dict[str, Ways]:
    """Return what is known of each shape; what cannot be read is tried again."""
    try:
        return {key: Ways.from_dict(values) for key, values in entries.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def _read(file: Path) -> dict[str, Any]:
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):  # not there yet, or damaged: it is measured again
        return {}
    return known if isinstance(known, dict) else {}
