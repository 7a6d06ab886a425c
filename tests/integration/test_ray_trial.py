"""What a trial on a worker tells Ray.

Its epochs, why it failed, and nothing where Ray should try again. Starts no Ray.
"""

import errno
import gc
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import torch
from ray import tune

from trainables import checkpoint, ray_trial
from trainables.checkpoint import CheckpointError
from trainables.data.dataset import Caps, prepare
from trainables.data.problems import DataError
from trainables.finetune import DivergedError
from trainables.metrics import EPOCH_SECONDS, HISTORY, IMAGES_PER_SECOND
from trainables.ray_trial import train
from trainables.recipe import Recipe
from trainables.weights import WeightsError

RECIPE = Recipe(weights="none", image_size=32, trainable_layers=1, epochs=3, batch_size=16)
CAPS = {"train": 5, "val": 4, "test": 3}
DATA = {
    "digest": "d",
    "source": "gone",
    "image_size": 32,
    "caps": {"train": 1, "val": 1, "test": 1},
    "draw": None,
    "how": {},
    "seed": 0,
    "cache": "gone",
}
WEIGHTS = {"path": None, "digest": "none", "name": "none", "backbone": "resnet18", "cache": "gone"}
SHARED = {"sweep": "one", "share": 0.3, "cuts": ("layer4",), "views": True}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    return prepare("digits", image_size=32, caps=Caps(**CAPS), seed=0, cache=cache).path


@pytest.fixture
def config(data: Path, tmp_path: Path) -> Any:
    return {
        "trial_id": "resnet18/plain/000",
        "arm": "resnet18/plain",
        "number": 0,
        "finalist": None,
        "recipe": RECIPE.as_dict(),
        "done": [],
        "data": DATA | {"path": str(data)},
        "weights": WEIGHTS,
        "checkpoints": str(tmp_path / "trial"),
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "gpu_share": 0.0,
        "compute": {"precision": "fp32", "convolutions": {}},
        "shared": {"folder": str(tmp_path / "prefix"), **SHARED},
        "report_every": 0.0,
        "score": "accuracy",
    }


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Tune was told, an epoch at a time."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(tune, "report", told.append)
    monkeypatch.setattr(ray, "get_gpu_ids", list)
    monkeypatch.setattr(
        ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "ab12")
    )
    return told


@pytest.fixture
def ends_with(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let training do some epochs, with their checkpoints, and then raise."""

    def prepare_end(error: BaseException, epochs: int = 0) -> None:
        def finetune(
            recipe: Recipe, data: Any, device: Any, report: Any, *, checkpoints: Path, **_: Any
        ) -> None:
            for epoch in range(1, epochs + 1):
                checkpoint.save_last(checkpoints, epoch, {"recipe": recipe.as_dict()})
                report({"epoch": epoch, "score": epoch / 10, "val/accuracy": 0.5})
            raise error

        monkeypatch.setattr(ray_trial, "finetune", finetune)
        monkeypatch.setattr(gc, "collect", int)  # half a second among all that pytest holds

    return prepare_end


def test_a_trial_reports_its_epochs_and_leaves_its_best_checkpoint_alone(
    config: Any, reports: list[dict[str, Any]]
) -> None:
    train(config)
    assert [report["epoch"] for report in reports] == [1, 2, 3]
    assert all(set(report) == {"epoch", "score", HISTORY} for report in reports)
    folder = Path(config["checkpoints"])
    assert list(folder.iterdir()) == [checkpoint.best(folder)]


def test_a_worker_says_which_process_it_is_for_as_long_as_it_trains(
    config: Any, reports: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, seen = Path(config["checkpoints"]) / "worker.json", []
    monkeypatch.setattr(tune, "report", lambda _: seen.append(json.loads(file.read_text())))
    before = time.time()
    train(config)
    assert len(seen) == 3
    assert (seen[0]["pid"], seen[0]["node_id"]) == (os.getpid(), "ab12")
    assert before <= seen[0]["started"] <= time.time()
    assert not file.exists()
    monkeypatch.setattr(tune, "report", lambda _: file.write_text("another process"))
    train(config)
    assert file.read_text() == "another process"


def test_without_room_for_that_a_worker_trains_and_no_dead_process_is_named(
    config: Any, reports: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(config["checkpoints"]) / "worker.json"
    file.parent.mkdir()
    file.write_text('{"pid": 1}')

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        tune, "report", lambda report: reports.append(report | {"named": file.exists()})
    )
    monkeypatch.setattr(ray_trial, "write_whole", full)
    train(config)
    assert [report["named"] for report in reports] == [False] * 3


# Failures that would come again


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (ZeroDivisionError("division\n  by zero"), "error", "ZeroDivisionError: division by zero"),
        (RuntimeError("much\n" * 10_000), "error", "RuntimeError: much much"),
        (
            OSError(errno.EIO, "Input/output error"),
            "error",
            "OSError: [Errno 5] Input/output error",
        ),
        (StopIteration(), "error", "StopIteration:"),
        (
            WeightsError("a.pt cannot be read: save it again."),
            "error",
            "a.pt cannot be read: save it again.",
        ),
        (DataError(["one.", "two."]), "error", "one. two."),
        (CheckpointError("of another run"), "error", "of another run"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 MiB"),
            "gpu-memory",
            "--gpus-per-trial",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "disk-full", "No space left on device"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/a/b.pt"), "disk-full", "/a/b.pt"),
    ],
)
@pytest.mark.parametrize("epochs", [0, 2])
def test_what_would_fail_again_is_a_report_with_its_kind_and_one_line(
    epochs: int,
    error: Exception,
    kind: str,
    reason: str,
    config: Any,
    reports: list[Any],
    ends_with: Callable[..., None],
) -> None:
    ends_with(error, epochs)
    train(config)
    *before, last = reports
    assert [report["epoch"] for report in before] == list(range(1, epochs + 1))
    assert reason in last["reason"]
    assert len(last["reason"]) <= 500
    assert "\n" not in last.pop("reason")
    assert last == {"epoch": epochs, "score": epochs / 10, "outcome": "failed", "kind": kind}
    folder = Path(config["checkpoints"])
    continues = kind == "disk-full" or isinstance(error, CheckpointError)
    assert checkpoint.unfinished(folder) == (continues and epochs > 0)
    assert not (folder / "worker.json").exists()
    explained = kind == "gpu-memory" or (kind == "error" and not isinstance(error, ValueError))
    assert (folder / "error.txt").exists() == explained
    if explained:
        assert "in finetune" in (folder / "error.txt").read_text()
    ends_with(DivergedError(1))
    train(config)
    assert not (folder / "error.txt").exists(), "it goes when the trial begins again"


def test_a_trial_that_diverges_says_in_which_epoch(config: Any, reports: list[Any]) -> None:
    config["recipe"] |= {"stage1_epochs": 1, "stage2_lr": 1e30, "weight_decay": 0.1}
    train(config)
    *before, last = reports
    assert [report["epoch"] for report in before] == [1]
    assert last == {
        "epoch": 2,
        "score": 0.0,
        "outcome": "diverged",
        "reason": "the loss is not finite in epoch 2",
    }
    folder = Path(config["checkpoints"])
    assert list(folder.iterdir()) == [checkpoint.best(folder)]


def test_after_a_full_disk_a_trial_goes_on_where_it_was(
    config: Any, reports: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    train(config)
    whole = [_without_clock(report) for report in reports]
    del reports[:]
    folder = tmp_path / "short"
    config["checkpoints"] = str(folder)
    write = os.write

    def full(descriptor: int, data: Any) -> int:
        if reports:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        train(config)
    first, last = reports
    assert _without_clock(first) == whole[0]
    assert (last["outcome"], last["kind"], last["epoch"], last["score"]) == (
        "failed",
        "disk-full",
        1,
        whole[0]["score"],
    )
    assert sorted(path.name[:11] for path in folder.iterdir()) == ["best-000001", "last-000001"]
    del reports[:]
    train(config)
    assert [_without_clock(report) for report in reports] == whole
    assert list(folder.iterdir()) == [checkpoint.best(folder)]


# What Ray must see


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you "
            "tried to allocate 8"
        ),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        KeyboardInterrupt(),
        SystemExit(0),
        SystemExit(1),
        GeneratorExit(),
    ],
)
def test_what_a_new_process_may_mend_or_ends_this_one_passes(
    error: BaseException, config: Any, reports: list[Any], ends_with: Callable[..., None]
) -> None:
    ends_with(error, epochs=2)
    with pytest.raises(type(error)) as caught:
        train(config)
    assert caught.value is error
    assert [report["epoch"] for report in reports] == [1, 2]
    folder = Path(config["checkpoints"])
    assert checkpoint.unfinished(folder), "it continues"
    assert not (folder / "worker.json").exists()
    assert not (folder / "error.txt").exists()


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(0),
        StopIteration(),
        RuntimeError("Ray's"),
        OSError(errno.ENOSPC, "Ray's"),
        ValueError("Ray's"),
    ],
)
def test_what_tune_raises_in_a_report_is_never_a_failure_of_the_trial(
    error: BaseException, config: Any, reports: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops a trial by `SystemExit`, in `report`."""

    def report(metrics: dict[str, Any]) -> None:
        reports.append(metrics)
        if metrics["epoch"] == 2:
            raise error

    monkeypatch.setattr(tune, "report", report)
    with pytest.raises(type(error)) as caught:
        train(config)
    assert caught.value is error
    assert [(metrics["epoch"], metrics.get("outcome")) for metrics in reports] == [
        (1, None),
        (2, None),
    ]
    folder = Path(config["checkpoints"])
    assert checkpoint.unfinished(folder)
    assert not (folder / "worker.json").exists()


@pytest.mark.parametrize("training_error", [ValueError("a bug"), DivergedError(2)])
def test_a_trial_may_be_stopped_while_it_says_that_it_failed(
    training_error: Exception,
    config: Any,
    reports: list[Any],
    ends_with: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(metrics: dict[str, Any]) -> None:
        reports.append(metrics)
        if "outcome" in metrics:
            raise SystemExit(0)

    monkeypatch.setattr(tune, "report", stop)
    ends_with(training_error, epochs=1)
    with pytest.raises(SystemExit):
        train(config)
    outcome = "diverged" if "finite" in str(training_error) else "failed"
    assert [metrics.get("outcome") for metrics in reports] == [None, outcome]
    assert (
        not list(Path(config["checkpoints"]).iterdir())
        or (Path(config["checkpoints"]) / "error.txt").exists()
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU here")
def test_a_trial_does_not_train_on_the_cpu_in_silence(config: Any, reports: list[Any]) -> None:
    with pytest.raises(RuntimeError, match="torch sees no GPU"):
        train(config | {"device": "cuda"})
    assert reports == []
    assert not list(Path(config["checkpoints"]).iterdir())


def _without_clock(report: dict[str, Any]) -> dict[str, Any]:
    clocks = (EPOCH_SECONDS, IMAGES_PER_SECOND)
    return report | {
        HISTORY: [{k: v for k, v in epoch.items() if k not in clocks} for epoch in report[HISTORY]]
    }
