"""What was predicted for test images is read back as it was written, or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.metrics import Score
from trainables.predictions import read_predictions

LABELS = np.array([0, 0, 0, 1, 2])
# [N, classes]: classes 0, 0, 1, 1, 1.
LOGS = np.log(
    np.array(
        [
            [0.8, 0.1, 0.1],
            [0.6, 0.3, 0.1],
            [0.1, 0.7, 0.2],
            [0.2, 0.7, 0.1],
            [0.1, 0.8, 0.1],
        ],
        np.float32,
    )
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path, test=LOGS, test_labels=LABELS, val=LOGS[:1], val_labels=LABELS[:1])


def written(folder: Path, **arrays: Any) -> Path:
    np.savez_compressed(folder / "s0.npz", **arrays)
    return folder / "s0.npz"


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("accuracy", 3 / 5),
        ("balanced_accuracy", (2 / 3 + 1 + 0) / 3),
        ("macro_f1", (2 * 2 / 5 + 2 * 1 / 4 + 0) / 3),
    ],
)
def test_the_scores_are_those_of_the_test_split(path: Path, metric: Score, expected: float) -> None:
    read = read_predictions(path)
    assert read
    assert read.predicted.tolist() == [0, 0, 1, 1, 1]
    assert read.score(metric) == pytest.approx(expected)


def test_predictions_are_for_the_labels_that_were_written_with_them(path: Path) -> None:
    read = read_predictions(path)
    assert read
    assert read.are_for(LABELS)
    assert not read.are_for(LABELS[::-1])
    assert not read.are_for(LABELS[:4])


@pytest.mark.parametrize(
    "arrays",
    [
        {"test_labels": LABELS},
        {"test": LOGS},
        {"test": LOGS, "test_labels": LABELS[:4]},
        {"test": LOGS, "test_labels": LABELS + 1},
        {"test": LOGS, "test_labels": LABELS - 1},
        {"test": LOGS, "test_labels": LABELS.astype(np.float64)},
        {"test": LOGS[:0], "test_labels": LABELS[:0]},
        {"test": LOGS[:, 0], "test_labels": LABELS},
        {"test": LOGS.astype(str), "test_labels": LABELS},
        {"test": np.array([None]), "test_labels": LABELS},
    ],
)
def test_arrays_that_are_no_predictions_are_none(tmp_path: Path, arrays: Any) -> None:
    assert read_predictions(written(tmp_path, **arrays)) is None


def test_a_file_that_is_damaged_or_missing_is_none(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"PK", whole[:60] + bytes(40) + whole[100:]):
        path.write_bytes(damaged)
        assert read_predictions(path) is None
    np.save(tmp_path / "one.npy", LOGS)
    assert read_predictions(tmp_path / "one.npy") is None
    assert read_predictions(tmp_path / "none.npz") is None
    assert read_predictions(tmp_path) is None
