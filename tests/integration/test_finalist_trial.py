"""A finalist on a worker trains as any trial does; then the test split answers, once.

Starts no Ray.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray import tune

from tests.integration.test_ray_trial import config, data, reports  # noqa: F401  fixtures
from trainables import checkpoint, ray_trial
from trainables.finalist_config import FinalistConfig
from trainables.metrics import HISTORY, TEST, TESTED
from trainables.ray_trial import train


@pytest.fixture
def finalist(config: Any, tmp_path: Path) -> Any:  # noqa: F811
    predictions = str(tmp_path / "predictions" / "a-000-s0.npz")
    told: FinalistConfig = {"group": "a/000", "without": None, "predictions": predictions}
    return config | {"trial_id": "a/000/s0", "finalist": told}


def test_the_last_report_of_a_finalist_is_of_the_test_split(
    finalist: Any,
    reports: list[dict[str, Any]],  # noqa: F811
) -> None:
    train(finalist)
    *epochs, last = reports
    assert [report["epoch"] for report in epochs] == [1, 2, 3]
    assert all(HISTORY in report and TEST not in report for report in epochs)
    assert set(last) == {"epoch", "score", TEST}
    assert (last["epoch"], last["score"]) == (3, epochs[-1]["score"])
    assert set(last[TEST]) == set(TESTED)
    saved = np.load(finalist["finalist"]["predictions"])
    assert {name: saved[name].shape for name in saved} == {
        "val": (20, 5), "val_labels": (20,), "test": (15, 5), "test_labels": (15,),
    }  # fmt: skip
    folder = Path(finalist["checkpoints"])
    assert checkpoint.best(folder)
    assert checkpoint.unfinished(folder), "until the driver has written down what it said"


def test_a_finalist_that_dies_before_the_test_split_has_answered_goes_on_where_it_was(
    finalist: Any,
    reports: list[dict[str, Any]],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(
            ray_trial, "evaluate_finalist", lambda *_: (_ for _ in ()).throw(SystemExit(9))
        )
        with pytest.raises(SystemExit):
            train(finalist)
    assert checkpoint.unfinished(Path(finalist["checkpoints"]))
    before = [report["score"] for report in reports]
    reports.clear()
    train(finalist)
    assert [report["epoch"] for report in reports] == [3, 3]
    assert (reports[0]["score"], TEST in reports[1]) == (before[-1], True)


def test_a_finalist_whose_best_checkpoint_is_damaged_in_the_end_is_trained_again(
    finalist: Any,
    reports: list[dict[str, Any]],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(finalist["checkpoints"])

    def damage(metrics: dict[str, Any]) -> None:
        if metrics["epoch"] == 3 and not reports.count("damaged"):
            best = checkpoint.best(folder)
            assert best
            best.write_bytes(b"")
            reports.append("damaged")
        else:
            reports.append(metrics)

    monkeypatch.setattr(tune, "report", damage)
    train(finalist)
    assert [report if isinstance(report, str) else report["epoch"] for report in reports] == [
        1,
        2,
        "damaged",
        1,
        2,
        3,
        3,
    ]
    assert TEST in reports[-1]


def test_a_finalist_whose_answers_find_no_room_is_left_to_do(
    finalist: Any,
    reports: list[dict[str, Any]],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", "answers")

    monkeypatch.setattr(ray_trial, "evaluate_finalist", full)
    train(finalist)
    assert (reports[-1]["outcome"], reports[-1]["kind"]) == ("failed", ray_trial.DISK_FULL)
    assert checkpoint.unfinished(Path(finalist["checkpoints"]))
