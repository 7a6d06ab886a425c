"""A study that does not fit its own arms is refused where it is written."""

from __future__ import annotations

from math import nan

import pytest

from search_spaces.depth_vs_tricks import SPACE
from sweeps.runner.study import Contrast, Published, Study


@pytest.mark.parametrize("weights", [{}, {"a": 0.0}, {"a": 1.0}, {"a": 1.0, "b": -0.5}, {"a": nan}])
def test_the_weights_of_a_contrast_sum_to_0(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must sum to 0 and not all be 0, but 'depth' has"):
        Contrast(name="depth", weights=weights)


def test_three_parts_in_floating_point_sum_to_0() -> None:
    Contrast(name="depth", weights={"a": 1.0, "b": -0.1, "c": -0.7, "d": -0.2})


def test_a_study_fixes_its_score_by_a_known_name() -> None:
    assert (
        Study(name="s", question="?", space=SPACE, trials_per_arm=1, score="macro_f1").score
        == "macro_f1"
    )
    with pytest.raises(ValueError, match="unknown score 'balanced'"):
        Study(name="s", question="?", space=SPACE, trials_per_arm=1, score="balanced")  # type: ignore[arg-type]


def test_contrasts_and_published_numbers_name_arms_of_the_study_and_all_are_told_at_once() -> None:
    contrast = Contrast(name="tricks", weights={"*/trick": 1.0, "*/plain": -1.0})
    published = Published(arm="resnet81/plain", value=81.0, source="an article")
    with pytest.raises(ValueError, match=r"\*/trick") as raised:
        Study(
            name="s",
            question="?",
            space=SPACE,
            trials_per_arm=1,
            contrasts=(contrast,),
            published=(published,),
        )
    problems = str(raised.value).splitlines()
    assert len(problems) == 2
    assert "resnet81/plain" in problems[1]


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"finalist_recipes": 0}, "finalist_recipes must be 1 or more, but got 0."),
        ({"worth": 0.0}, "worth must be points over 0 and under 100, but got 0."),
        ({"worth": 100.0}, "worth must be points over 0 and under 100, but got 100."),
        ({"worth": nan}, "worth must be points over 0 and under 100, but got nan."),
    ],
)
def test_how_arms_are_compared_must_be_possible(odd: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError) as raised:
        Study(name="s", question="?", space=SPACE, trials_per_arm=1, **odd)  # type: ignore[arg-type]
    assert str(raised.value) == said


def test_by_default_five_recipes_take_turns_over_ten_seeds_and_a_point_matters() -> None:
    study = Study(name="s", question="?", space=SPACE, trials_per_arm=1)
    assert (study.finalist_recipes, study.finalist_seeds, study.worth) == (5, 10, 1.0)
