"""One trial on a Ray worker. The only file here that knows Ray."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path
from typing import Any, TypedDict

import ray
import torch
from ray import tune

from trainables import checkpoint
from trainables.compute import Compute
from trainables.data import dataset
from trainables.finetune import DivergedError, finetune
from trainables.prefix import Shared
from trainables.prefix_store import PrefixStore
from trainables.recipe import EPOCH, HISTORY, SCORE, Recipe

REPORT_EVERY = 10.0
"""Seconds between reports and checkpoints where epochs are shorter: with a head alone an epoch takes 10 ms, a report 5."""


class SharedConfig(TypedDict):
    """Where the activations are that a trial shares with others."""

    folder: str
    sweep: str
    share: float  # of the free disk
    weights: str  # digest
    cuts: tuple[str, ...]


class TrialConfig(TypedDict):
    """What the driver sends to a worker: plain values and paths, never arrays."""

    trial_id: str  # ours, `resnet34/tricks/007`
    arm: str
    number: int
    recipe: dict[str, Any]
    data: str  # folder of decoded data
    weights: str | None  # state dict of the backbone
    checkpoints: str  # the trial's own folder
    device: str  # cpu or cuda
    threads: int
    gpu_share: float  # of a GPU, which is also the share of its memory
    compute: dict[str, Any]
    shared: SharedConfig


def train(config: TrialConfig) -> None:
    """Tune's function trainable: train the recipe, report each epoch, say so where the loss diverges.

    Ray keeps the process for the next trial, so everything that could leak is set or freed here.

    Raises:
        RuntimeError: Ray gave the trial a GPU that torch cannot see: training on the CPU instead would be silent and slow.
    """
    check_device(config["device"], [str(gpu) for gpu in ray.get_gpu_ids()], torch.cuda.is_available())
    torch.set_num_threads(config["threads"])
    if config["device"] == "cuda" and config["gpu_share"] < 1:
        torch.cuda.set_per_process_memory_fraction(config["gpu_share"])
    _free_memory()  # of a trial that was stopped: its traceback held its tensors until now
    checkpoints, shared = Path(config["checkpoints"]), config["shared"]
    try:
        finetune(
            Recipe.from_sample(config["recipe"]),
            dataset.read(Path(config["data"])),
            torch.device(config["device"]),
            _report,
            weights=Path(config["weights"]) if config["weights"] else None,
            checkpoints=checkpoints,
            compute=Compute.from_dict(config["compute"]),
            shared=Shared(
                store=PrefixStore(Path(shared["folder"]), sweep=shared["sweep"], share=shared["share"]),
                weights=shared["weights"],
                cuts=tuple(shared["cuts"]),
            ),
            report_every=REPORT_EVERY,
        )
        (checkpoints / checkpoint.LAST).unlink(missing_ok=True)
    except DivergedError as error:
        tune.report({EPOCH: error.epoch, SCORE: 0.0, "outcome": "diverged", "reason": str(error)})
    finally:
        _free_memory()


def _report(metrics: dict[str, Any]) -> None:
    """Tune keeps statistics and copies of every top-level number: it gets the two that are read, the rest in a list."""
    tune.report({EPOCH: metrics[EPOCH], SCORE: metrics[SCORE], HISTORY: metrics.get(HISTORY) or [metrics]})


def _free_memory() -> None:
    """Give back what the trial held: the process stays for the next one, and glibc would keep much of it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):  # glibc has it, musl not
        trim(0)


def check_device(device: str, gpu_ids: list[str], cuda_available: bool) -> None:
    """Hold what Ray gave against what torch sees.

    Raises:
        RuntimeError: They do not fit.
    """
    if device == "cuda" and not cuda_available:
        raise RuntimeError(
            f"the trial holds GPU {', '.join(gpu_ids) or 'none'} of Ray's, but torch sees no GPU: "
            "install a torch that fits this node's driver, or pass --gpus 0."
        )
