"""One trial on a Ray worker. The only file here that knows Ray."""

from __future__ import annotations

import errno
import gc
import json
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypedDict

import ray
import torch
from ray import tune

from trainables import checkpoint, node
from trainables.checkpoint import CheckpointError
from trainables.compute import Compute
from trainables.data.problems import DataError
from trainables.feature_store import FeatureStore
from trainables.files import write_whole
from trainables.final import evaluate_finalist
from trainables.finalist_config import FinalistConfig
from trainables.finetune import DivergedError, finetune
from trainables.frozen_features import Shared
from trainables.memory import give_memory_back
from trainables.metrics import EPOCH, HISTORY, SCORE, TEST, Score
from trainables.node import DataConfig, WeightsConfig
from trainables.recipe import Recipe
from trainables.record import Report
from trainables.weights import WeightsError

DISK_FULL = "disk-full"
"""The kind of a failure after which a trial is to continue once there is room."""

ALIVE_EVERY_S = 60.0
WORKER, ERROR = "worker.json", "error.txt"  # files beside the checkpoints


class SharedConfig(TypedDict):
    """The activations that a trial shares with others, as plain values."""

    folder: str
    sweep: str
    share: float  # of the free disk
    cuts: tuple[str, ...]
    views: bool


class TrialConfig(TypedDict):
    """A trial as the driver sends it to a worker: plain values and paths, never arrays."""

    # Which trial it is.
    trial_id: str  # the sweep's, `resnet34/tricks/007`
    arm: str
    number: int
    finalist: FinalistConfig | None  # None for a trial of the search
    # What is trained, and on what.
    recipe: dict[str, Any]
    done: list[dict[str, Any]]  # epochs of an earlier run of the sweep
    data: DataConfig
    weights: WeightsConfig
    checkpoints: str  # the trial's own folder
    # How it computes.
    device: str  # cpu or cuda
    threads: int
    gpu_share: float  # of a GPU, which is also the share of its memory
    compute: dict[str, Any]
    shared: SharedConfig
    # What it reports.
    report_every: float  # seconds, where epochs are shorter
    score: Score  # what decides which epoch is best


def train(config: TrialConfig) -> None:
    """Train the recipe, report each epoch, and say so where that fails: Tune's function trainable.

    What would fail again is a last report with its `outcome`, `diverged` or `failed`, and the
    `reason`: Ray does not try again. What a new process may mend is raised. Ray keeps the process
    for the next trial, so everything that could leak is set or freed here.

    Raises:
        RuntimeError: Ray gave the trial a GPU that torch cannot see: training on the CPU instead
            would be silent and slow. Or the GPU's driver gave an error, after which this process
            cannot use it.
        MemoryError: The node has no memory left, maybe because of others.
    """
    checkpoints = Path(config["checkpoints"])
    reports = _Reports()
    finalist = config["finalist"]
    ending: dict[str, Any] = {}
    over = True  # it will not continue
    with _announced(checkpoints / WORKER):
        # The process, as this trial needs it.
        gpu_ids = [str(gpu) for gpu in ray.get_gpu_ids()]
        check_device(config["device"], gpu_ids, torch.cuda.is_available())
        torch.set_num_threads(config["threads"])
        if config["device"] == "cuda" and config["gpu_share"] < 1:
            torch.cuda.set_per_process_memory_fraction(config["gpu_share"])
        _free_memory()  # of a trial that was stopped: its traceback held its tensors until now
        # The training, and how it ends.
        try:
            _finetune(config, checkpoints, reports)
            if finalist:
                reports.tested(_test(config, finalist, checkpoints, reports))
        except DivergedError as error:
            ending = {EPOCH: error.epoch, SCORE: 0.0, "outcome": "diverged", "reason": str(error)}
        except Exception as error:
            if reports.failed or _may_pass(error):
                raise
            kind, reason = _failure(error, checkpoints)
            over = kind != DISK_FULL and not isinstance(error, CheckpointError)
            ending = {
                EPOCH: reports.epoch,
                SCORE: reports.score,
                "outcome": "failed",
                "reason": reason,
                "kind": kind,
            }
        finally:
            _free_memory()
        # A finalist's go once the driver has written down what it said.
        if over and not finalist:
            with suppress(OSError):  # then the driver will
                checkpoint.drop_last(checkpoints)
        if ending:
            tune.report(ending)


def train_alone(config: TrialConfig) -> None:
    """Train the recipe again for its weights alone: nothing is reported, and nothing tested.

    Raises:
        DivergedError, DataError, WeightsError, OSError, RuntimeError: It cannot be trained here.
    """
    checkpoints = Path(config["checkpoints"])
    gpu_ids = [str(gpu) for gpu in ray.get_gpu_ids()]
    check_device(config["device"], gpu_ids, torch.cuda.is_available())
    torch.set_num_threads(config["threads"])
    checkpoints.mkdir(parents=True, exist_ok=True)
    _finetune(config, checkpoints, lambda metrics: None)
    checkpoint.drop_last(checkpoints)


def _finetune(config: TrialConfig, checkpoints: Path, reports: Report) -> None:
    shared = config["shared"]
    (checkpoints / ERROR).unlink(missing_ok=True)
    finetune(
        Recipe.from_sample(config["recipe"]),
        node.data(config["data"]),
        torch.device(config["device"]),
        reports,
        weights=node.weights(config["weights"]),
        checkpoints=checkpoints,
        compute=Compute.from_dict(config["compute"]),
        shared=Shared(
            store=FeatureStore(
                Path(shared["folder"]), sweep=shared["sweep"], share=shared["share"]
            ),
            cuts=tuple(shared["cuts"]),
            views=shared["views"],
        ),
        report_every=config["report_every"],
        score=config["score"],
    )


def _test(
    config: TrialConfig, finalist: FinalistConfig, checkpoints: Path, reports: _Reports
) -> dict[str, float]:
    best = checkpoint.best(checkpoints)
    # Damaged since it was written: it is trained again.
    if best is None:
        _finetune(config, checkpoints, reports)
        best = checkpoint.best(checkpoints)
    if best is None:
        raise CheckpointError(
            f"{checkpoints} must hold the best checkpoint, but it is damaged or gone: "
            "check the disk."
        )
    return evaluate_finalist(
        best,
        node.data(config["data"], test=True),
        torch.device(config["device"]),
        Compute.from_dict(config["compute"]),
        Path(finalist["predictions"]),
        reports.alive,
    )


class _Reports:
    """Hands reports to Tune, and remembers where the trial stands.

    Attributes:
        epoch: The last one that Tune knows of.
        score: Of that epoch.
        failed: Whether Tune raised; that is how it ends a trial, and never the trial's own failure.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.score = 0.0
        self.failed = False
        self._told = time.monotonic()

    def __call__(self, metrics: dict[str, Any]) -> None:
        """Report an epoch, or several."""
        # Tune keeps statistics and copies of every top-level number: it gets the two that are read,
        # and the rest in a list.
        history = metrics.get(HISTORY) or [metrics]
        self._report({EPOCH: metrics[EPOCH], SCORE: metrics[SCORE], HISTORY: history})
        self.epoch = metrics[EPOCH]
        self.score = metrics[SCORE]

    def alive(self) -> None:
        """Say once per minute that the test goes on, lest the driver take it for stuck."""
        if time.monotonic() - self._told > ALIVE_EVERY_S:
            self.tested({})

    def tested(self, metrics: dict[str, float]) -> None:
        """Report what came of the test split, after the last epoch."""
        self._told = time.monotonic()
        self._report({EPOCH: self.epoch, SCORE: self.score, TEST: metrics})

    def _report(self, content: dict[str, Any]) -> None:
        self.failed = True
        tune.report(content)
        self.failed = False


def _may_pass(error: Exception) -> bool:
    """Return whether another process may do better.

    Memory was short on the node, or this process cannot use its GPU any more.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return False
    if isinstance(error, MemoryError | torch.AcceleratorError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # What torch has no class for.
    said = str(error)
    passing = "can't allocate memory" in said or "CUDA error" in said
    return isinstance(error, RuntimeError) and passing


def _failure(error: Exception, checkpoints: Path) -> tuple[str, str]:
    """Return the kind and, in one line, the reason of a failure.

    A traceback goes to `error.txt`.
    """
    # What a user can mend.
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = error.filename or checkpoints
        line = f"{place} must be writable, but: {error.strerror}. Make room, then --resume."
        return DISK_FULL, line
    if isinstance(error, WeightsError | DataError | CheckpointError):
        return "error", _one_line(str(error))
    # What was not foreseen.
    with suppress(OSError):
        (checkpoints / ERROR).write_text("".join(traceback.format_exception(error)))
    if isinstance(error, torch.OutOfMemoryError):
        line = "a trial's share of a GPU must hold its smallest micro-batch: "
        return "gpu-memory", f"{line}pass more --gpus-per-trial."
    return "error", _one_line(f"{type(error).__name__}: {error}")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]


@contextmanager
def _announced(path: Path) -> Iterator[None]:
    """Say in a file which process trains, so that the driver can end it where it is stuck.

    Once the block is over, the file goes.
    """
    worker = {
        "pid": os.getpid(),
        "node_id": ray.get_runtime_context().get_node_id(),
        "started": time.time(),
    }
    content = json.dumps(worker)
    # A full disk is for the training to find out.
    with suppress(OSError):
        path.unlink(missing_ok=True)  # it names a process that is dead
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    try:
        yield
    finally:
        with suppress(OSError):
            if path.read_text() == content:  # not that of a process which has taken over
                path.unlink()


def _free_memory() -> None:
    """Give back what the trial held.

    The process stays for the next one, and glibc would keep much of it.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    give_memory_back()


def check_device(device: str, gpu_ids: list[str], cuda_available: bool) -> None:
    """Hold what Ray gave against what torch sees.

    Raises:
        RuntimeError: They do not fit.
    """
    if device == "cuda" and not cuda_available:
        raise RuntimeError(
            f"Ray gave the trial GPU {', '.join(gpu_ids) or 'none'}, but torch sees no GPU: "
            "install a torch that fits this node's driver, or pass --gpus 0."
        )
