"""Where epochs are short, several come in one report, and nothing else changes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import trainables.finetune as loop
from trainables import checkpoint, record
from trainables.metrics import EPOCH_SECONDS, HISTORY, IMAGES_PER_SECOND
from trainables.recipe import Recipe

Run = Callable[..., list[dict[str, Any]]]
LONG = {"epochs": 7, "stage1_epochs": 2, "stage2_lr": 0.03, "augmentation": "crop_flip"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a second whenever it is read.

    A run reads it once when it starts, and twice per epoch.
    """
    now = iter(range(10_000))
    monkeypatch.setattr(record.time, "monotonic", lambda: next(now))


def test_several_epochs_in_a_report_are_those_of_single_reports(
    tiny: Recipe, run: Run, tmp_path: Path
) -> None:
    recipe = replace(tiny, **LONG)
    single = run(recipe, checkpoints=tmp_path / "single")
    (report,) = run(recipe, checkpoints=tmp_path / "bulk", report_every=1000.0)
    assert [_without_clock(epoch) for epoch in report.pop(HISTORY)] == single
    assert report == single[-1]


@pytest.mark.parametrize(
    "recipe", [{}, {"batchnorm": "batch_stats"}, {"trainable_layers": 1}, {"trainable_layers": 6}]
)
@pytest.mark.parametrize("every", [2.0, 3.0, 1000.0])
def test_the_kept_checkpoints_are_the_same_however_seldom_they_are_written(
    every: float, recipe: dict[str, Any], tiny: Recipe, run: Run, tmp_path: Path, clock: None
) -> None:
    """The best epoch's values are kept until the file is written, whatever trains on meanwhile."""
    whole = replace(tiny, **(LONG | recipe))
    single = run(whole, checkpoints=tmp_path / "single")
    reports = run(whole, checkpoints=tmp_path / "bulk", report_every=every)
    assert len(reports) < len(single)
    for kind in ("best", "last"):
        one, other = (
            torch.load(max((tmp_path / way).glob(f"{kind}-*.pt"))) for way in ("single", "bulk")
        )
        assert {k: v for k, v in one.items() if k not in ("report", "state_dict", "optimizer")} == {
            k: v for k, v in other.items() if k not in ("report", "state_dict", "optimizer")
        }
        assert all(
            torch.equal(value, other["state_dict"][key]) for key, value in one["state_dict"].items()
        )


def test_a_run_that_dies_between_reports_repeats_the_last_one_and_loses_what_came_after(
    tiny: Recipe, run: Run, tmp_path: Path, clock: None
) -> None:
    recipe = replace(tiny, **LONG)
    whole = run(recipe)
    reports = run(recipe, checkpoints=tmp_path, report_every=2.0, stop_after=4)
    again = run(recipe, checkpoints=tmp_path)
    epochs = [
        _without_clock(epoch)
        for report in [*reports, *again]
        for epoch in report.get(HISTORY, [report])
    ]
    assert [epoch["epoch"] for epoch in epochs] == sorted(epoch["epoch"] for epoch in epochs)
    assert {epoch["epoch"]: epoch for epoch in epochs} == {epoch["epoch"]: epoch for epoch in whole}


def test_a_run_that_diverges_reports_the_epochs_before_and_keeps_the_best_of_them(
    tiny: Recipe, data: Any, tmp_path: Path
) -> None:
    recipe = replace(
        tiny, stage1_epochs=3, epochs=6, stage2_lr=1e30, weight_decay=0.1, trainable_layers=6
    )
    files = []
    for every in (0.0, 1000.0):
        reports: list[dict[str, Any]] = []
        with pytest.raises(loop.DivergedError) as diverged:
            loop.finetune(
                recipe,
                data,
                torch.device("cpu"),
                reports.append,
                checkpoints=tmp_path / str(every),
                report_every=every,
            )
        assert diverged.value.epoch == 4
        files.append(torch.load(_best(tmp_path / str(every))))
    (report,) = reports
    assert [epoch["epoch"] for epoch in report[HISTORY]] == [1, 2, 3]
    assert files[0]["epoch"] == files[1]["epoch"] == 3
    assert all(
        torch.equal(value, files[1]["state_dict"][key])
        for key, value in files[0]["state_dict"].items()
    )


def test_a_run_that_fails_reports_the_epochs_before_and_keeps_the_best_of_them(
    tiny: Recipe, data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, train_batch = iter(range(1, 100)), loop.train_batch

    def failing(*args: Any) -> Any:
        return 1 / 0 if next(taken) == 14 else train_batch(*args)

    monkeypatch.setattr(loop, "train_batch", failing)
    reports: list[dict[str, Any]] = []
    with pytest.raises(ZeroDivisionError):
        loop.finetune(
            replace(tiny, epochs=6),
            data,
            torch.device("cpu"),
            reports.append,
            checkpoints=tmp_path,
            report_every=1000.0,
        )
    (report,) = reports
    assert [epoch["epoch"] for epoch in report[HISTORY]] == [1, 2, 3]
    assert torch.load(_best(tmp_path))["score"] == report["score"]


def _best(folder: Path) -> Path:
    path = checkpoint.best(folder)
    assert path
    return path


def _without_clock(report: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in report.items()
        if name not in (EPOCH_SECONDS, IMAGES_PER_SECOND)
    }
