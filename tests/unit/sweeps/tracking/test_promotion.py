"""A new model becomes the champion where it is not worse on the same test images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sweeps.tracking.promotion import Version, why_not
from trainables.metrics import Score
from trainables.predictions import Predictions

# Four images of a class, one of another.
LABELS = (0, 0, 0, 0, 1)
URI = "models:/study-photos-full/4"
COMMAND = "python -c '...'"


def version(
    number: int, predicted: Sequence[int], labels: Sequence[int] = LABELS, digest: str = "d"
) -> Version:
    predictions = Predictions(labels=np.array(labels), predicted=np.array(predicted), num_classes=3)
    return Version(number=number, test_digest=digest, predictions=predictions)


def line(new: Version, champion: Version, metric: Score = "accuracy") -> str:
    return why_not(new, champion, metric, URI, COMMAND)


def recalled(labels: Sequence[int], right: Sequence[int]) -> Sequence[int]:
    """Return predictions of which so many are right in each class."""
    predicted = (np.array(labels) + 1) % 3
    for label, count in enumerate(right):
        predicted[np.flatnonzero(np.array(labels) == label)[:count]] = label
    return predicted.tolist()


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_who_is_better_or_as_good_becomes_the_champion(metric: Score) -> None:
    better = version(4, (0, 0, 0, 0, 1))
    worse = version(3, (0, 0, 0, 1, 1))
    assert line(better, worse, metric) == ""
    assert line(better, better, metric) == ""
    assert line(worse, better, metric) != ""


def test_as_good_is_as_many_images_whichever_they_are() -> None:
    assert line(version(4, (0, 0, 0, 2, 1)), version(3, (2, 0, 0, 0, 1))) == ""
    # Recalls of 10%, 20% and 30%, which floats add up to 0.6 or a bit more.
    labels = np.repeat([0, 1, 2], 10)
    up = version(4, recalled(labels, (1, 2, 3)), labels)
    down = version(3, recalled(labels, (3, 2, 1)), labels)
    assert 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1
    assert line(up, down, "balanced_accuracy") == ""
    assert line(down, up, "balanced_accuracy") == ""


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("accuracy", "80.0% of the same test images right, the new one 60.0%"),
        (
            "balanced_accuracy",
            "a balanced accuracy of 87.5% on the same test images, the new one 75.0%",
        ),
        ("macro_f1", "a macro F1 of 76.2% on the same test images, the new one 58.3%"),
    ],
)
def test_who_is_worse_does_not_and_both_scores_are_told(metric: Score, said: str) -> None:
    found = line(version(4, (0, 0, 1, 1, 1)), version(3, (0, 0, 0, 1, 1)), metric)
    assert found == f"The champion stays version 3 ({said}); the new model is {URI}."


def test_the_metric_that_decides_in_the_new_sweep_decides() -> None:
    # One takes all for the large class, the other finds the small one.
    large = version(3, (0, 0, 0, 0, 0))
    small = version(4, (0, 0, 0, 1, 1))
    assert line(small, large, "balanced_accuracy") == ""
    assert line(small, large, "accuracy") == ""
    smaller = version(4, (0, 0, 1, 1, 1))
    assert line(smaller, large, "balanced_accuracy") == ""
    assert "80.0%" in line(smaller, large, "accuracy")


def test_scores_that_differ_are_shown_different() -> None:
    labels = np.zeros(100_000, int)
    right = labels.copy()
    one_wrong = labels.copy()
    one_wrong[0] = 1
    found = line(version(4, one_wrong, labels), version(3, right, labels))
    assert "(100.000% of the same test images right, the new one 99.999%)" in found


@pytest.mark.parametrize(
    ("new", "champion", "why"),
    [
        (version(4, LABELS, digest="e"), version(3, LABELS), "version 3 was tested on others"),
        (version(4, (0,), (0,)), version(3, LABELS), "version 3 was tested on others"),
        (Version(number=4, test_digest="", predictions=None), version(3, LABELS), "the new model"),
        (version(4, LABELS), Version(number=3, test_digest="d", predictions=None), "version 3 has"),
    ],
)
def test_what_cannot_be_compared_changes_nothing_and_the_line_says_what_would(
    new: Version, champion: Version, why: str
) -> None:
    found = line(new, champion)
    assert found.startswith("The champion stays version 3: two models are compared by their pred")
    assert f"but {why}" in found
    assert found.endswith(f"The new model is {URI}; to make it the champion: {COMMAND}")
