"""Two sweeps side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmarks.synthetic_sweep import make
from sweeps.report.compare import (
    arms_table,
    cautions,
    comparison_page,
    differences,
    headline,
    write_comparison,
)
from sweeps.report.findings import Findings, find
from sweeps.report.runs import read_run
from sweeps.report.variance import crossed

ARMS = ("resnet18/plain", "resnet18/tricks")


def findings(storage: Path, name: str, **asked: Any) -> Findings:
    return find(
        read_run(make(storage, name, **{"arms": ARMS, "trials": 5, "images": 200, **asked}))
    )


@pytest.fixture
def first(tmp_path: Path) -> Findings:
    return findings(tmp_path, "first")


def gaps(a: Findings, b: Findings) -> list[str]:
    table = arms_table(a, b)
    at = [column.title for column in table.columns].index("second − first, points")
    return [row.cells[at] for row in table.rows]


def test_of_the_same_data_and_seeds_differences_are_paired_image_by_image(
    first: Findings, tmp_path: Path
) -> None:
    second = findings(tmp_path, "second", shift=0.06)
    assert "paired by seed and image" in arms_table(first, second).caption
    assert cautions(first, second) == []
    rise = np.mean([s.right.mean() for s in second.arms[ARMS[0]].seeds]) - np.mean(
        [s.right.mean() for s in first.arms[ARMS[0]].seeds]
    )
    assert gaps(first, second)[0].startswith(f"+{100 * rise:.1f} (")
    assert headline(first, second)[1].startswith(
        "second minus first, paired by seed and image: resnet18/plain +"
    )


def test_a_sweep_and_itself_do_not_differ(first: Findings) -> None:
    assert gaps(first, first) == ["0.0 (0.0 to 0.0)"] * 2
    assert headline(first, first)[0] == "No arm's test accuracy differs beyond its 95% interval."


def test_of_other_data_numbers_cannot_be_compared_and_it_says_so(
    first: Findings, tmp_path: Path
) -> None:
    second = findings(
        tmp_path, "second", described={"data": {"name": "mine", "digest": "ffff", "classes": ["a"]}}
    )
    said = cautions(first, second)
    assert "The data or their splits differ" in said[0]
    assert "cannot be compared" in said[0]
    assert "The classes differ" in said[1]
    assert "Welch" in arms_table(first, second).caption


def test_a_sweep_that_had_more_seeds_is_paired_over_those_of_both(
    first: Findings, tmp_path: Path
) -> None:
    longer = findings(tmp_path, "longer", seeds=range(8), shift=0.06)
    assert cautions(first, longer) == []
    assert "paired by seed and image" in arms_table(first, longer).caption
    rows = zip(longer.arms[ARMS[0]].seeds, first.arms[ARMS[0]].seeds, strict=False)
    rise = np.mean([a.right.mean() - b.right.mean() for a, b in rows])
    assert gaps(first, longer)[0].startswith(f"+{100 * rise:.1f} (")
    assert gaps(longer, first)[0].startswith(f"−{100 * rise:.1f} (")


def test_arms_are_compared_by_their_recipes_in_turn(tmp_path: Path) -> None:
    """Of one sweep the best alone, of the other three recipes: nested in those."""
    turns = {"recipes": 3, "trials": 6, "outcomes": (), "seeds": range(6)}
    several = findings(tmp_path, "several", **turns)
    one = findings(tmp_path, "one", **{**turns, "recipes": 1})
    rows = zip(several.arms[ARMS[1]].seeds, one.arms[ARMS[1]].seeds, strict=True)
    apart = np.stack([a.right.astype(float) - b.right for a, b in rows])
    expected = crossed(apart, recipes=[0, 1, 2, 0, 1, 2], luck=several.design.luck)
    between = f"({100 * expected.low:.1f} to {100 * expected.high:.1f})".replace("-", "−")
    assert gaps(one, several)[1].endswith(between)


def test_with_other_seeds_differences_are_of_independent_means(
    first: Findings, tmp_path: Path
) -> None:
    second = findings(tmp_path, "second", seeds=(5, 6, 7, 8, 9), predictions=False)
    bare = findings(tmp_path, "bare", predictions=False)
    assert "seeds differ" in cautions(first, second)[0]
    values = [[s.accuracy for s in found.arms[ARMS[1]].seeds] for found in (second, bare)]
    expected = stats.ttest_ind(*values, equal_var=False).confidence_interval()
    assert gaps(bare, second)[1].endswith(
        f"({100 * expected.low:.1f} to {100 * expected.high:.1f})".replace("-", "−")
    )


def test_an_arm_that_only_one_has_is_shown_without_a_difference(
    first: Findings, tmp_path: Path
) -> None:
    second = findings(tmp_path, "second", arms=ARMS[:1])
    assert gaps(first, second)[1] == "–"


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ((0, 1), "1 arm can be compared, but there are too few seeds for intervals."),
        (
            (0, 1, 2),
            "Compared: 1 common arm, paired by seed and image.",
        ),
    ],
)
def test_one_arm_is_counted_as_one(tmp_path: Path, seeds: tuple[int, ...], said: str) -> None:
    alone = findings(tmp_path, "alone", arms=ARMS[:1], seeds=seeds)
    assert headline(alone, alone)[-1] == said


def test_sweeps_without_finalists_have_nothing_to_compare(first: Findings, tmp_path: Path) -> None:
    second = findings(tmp_path, "second", seeds=())
    assert headline(first, second) == [
        "No arm has finalists in both sweeps: there is nothing to compare on the test split."
    ]


def test_what_differs_between_the_two_is_listed_but_not_where_files_lie(
    first: Findings, tmp_path: Path
) -> None:
    second = findings(tmp_path, "second", trials=6, described={"code": "other"})
    page = comparison_page(first, second)
    changes = page.sections[-1].blocks[0]
    assert [row.cells for row in changes.rows] == [
        ("trials_per_arm", "5", "6"),
        ("code", "fedcba9876543210", "other"),
    ]


def test_nested_differences_have_their_path() -> None:
    one = {"a": {"b": 1, "c": [1, 2]}, "path": "x"}
    other = {"a": {"b": 1, "c": [1]}, "d": None, "path": "y"}
    assert list(differences(one, other, "top")) == [("top a c", "1, 2", "1")]


def test_the_page_is_written_beside_the_first_sweeps_report(
    first: Findings, tmp_path: Path
) -> None:
    path = write_comparison(first, findings(tmp_path, "second"))
    assert path == first.run.folder / "compare-second.html"
    assert "first against second" in path.read_text()
