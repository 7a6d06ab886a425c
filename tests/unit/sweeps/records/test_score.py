"""Accuracy decides where classes have equal weight in val, else balanced accuracy, by default."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.records.score import EVEN, SCORES, decide, headed
from trainables.metrics import TEST_SCORES, VAL_SCORES


@pytest.mark.parametrize(
    ("images", "score", "line"),
    [
        ([30, 30, 30], "accuracy", "Score: accuracy, since val has 30 images per class."),
        ([35, 37, 36], "accuracy", "Score: accuracy, since val has 35 to 37 images per class."),
        ([100, 120], "accuracy", "Score: accuracy, since val has 100 to 120 images per class."),
        (
            [100, 121],
            "balanced_accuracy",
            "Score: balanced accuracy, since val has 100 to 121 images per class.",
        ),
        (
            [20, 400, 60],
            "balanced_accuracy",
            "Score: balanced accuracy, since val has 20 to 400 images per class.",
        ),
        (
            [2, 3, 2],
            "accuracy",
            "Score: accuracy, since val has 2 to 3 images per class.",
        ),  # what rounding leaves
        (
            [1, 3],
            "balanced_accuracy",
            "Score: balanced accuracy, since val has 1 to 3 images per class.",
        ),
        (
            [1000, 12000],
            "balanced_accuracy",
            "Score: balanced accuracy, since val has 1,000 to 12,000 images per class.",
        ),
    ],
)
def test_the_images_of_val_decide_and_are_said(images: list[int], score: str, line: str) -> None:
    found = decide(None, "auto", {str(at): count for at, count in enumerate(images)})
    assert (found.score, found.line) == (score, line)


@given(st.integers(5, 2000), st.integers(2, 20), st.floats(0, 0.1))
def test_a_split_of_classes_of_about_one_size_keeps_accuracy(
    size: int, classes: int, less: float
) -> None:
    """60/20/20 of each class, of which up to a tenth is left out."""
    sizes = [round(size * (1 - less * at / classes)) for at in range(classes)]
    assert (
        decide(
            None, "auto", {str(at): max(1, round(0.2 * size)) for at, size in enumerate(sizes)}
        ).score
        == "accuracy"
    )
    assert EVEN == 1.2


def test_a_study_may_fix_the_score_and_the_flag_overrides_it() -> None:
    even, uneven = {"a": 9, "b": 9}, {"a": 9, "b": 90}
    assert decide(None, "macro_f1", even).line == "Score: macro F1, as the study says."
    found = decide("accuracy", "macro_f1", uneven)
    assert (found.score, found.line) == ("accuracy", "Score: accuracy, as --score says.")
    assert decide("auto", "macro_f1", uneven).score == "balanced_accuracy"


def test_a_sweep_that_is_resumed_keeps_its_score_whatever_its_data_are_now() -> None:
    found = decide("accuracy", "auto", {"a": 9, "b": 90}, resumed=True)
    assert (found.score, found.line) == ("accuracy", "Score: accuracy, as when the sweep began.")


def test_titles_name_the_score_where_it_is_not_accuracy() -> None:
    titles = [headed("best val", score) for score in VAL_SCORES]
    assert titles == ["best val %", "best val balanced %", "best val F1 %"]
    assert set(SCORES) == {"auto", *VAL_SCORES}
    assert set(VAL_SCORES) == set(TEST_SCORES)
