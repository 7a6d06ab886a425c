"""Whether the champion is right as often as it is sure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sweeps.report.blocks import Plot, Table, Text
from sweeps.report.calibration import bins, blocks, calibration_error, how_sure
from sweeps.report.figures import Dots
from sweeps.report.findings import Findings


def with_predictions(found: Findings, sure: list[float], right: list[bool]) -> Findings:
    """Return findings whose champion has one seed with these predictions."""
    champion = found.champion
    assert champion is not None
    assert found.choice is not None
    zeros = np.zeros(len(sure), np.int64)
    seed = replace(
        champion.seeds[0], sure=np.array(sure), right=np.array(right), labels=zeros, said=zeros
    )
    only = replace(champion, seeds=(seed,))
    return replace(found, choice=replace(found.choice, champion=only))


def test_the_probability_of_each_prediction_is_read_from_the_file(found: Findings) -> None:
    champion = found.champion
    assert champion is not None
    for seed in champion.seeds:
        file = found.run.folder / "predictions" / f"{seed.trial_id.replace('/', '-')}.npz"
        with np.load(file) as arrays:
            likely = np.exp(arrays["test"].max(axis=1))
        assert seed.sure == pytest.approx(likely)


def test_how_sure_counts_what_is_right_among_the_sure_and_how_many_they_are(
    found: Findings,
) -> None:
    sure = [0.99, 0.95, 0.90, 0.91, 0.5, 0.6, 0.7, 0.8, 0.3, 0.4]
    right = [True, True, True, False] + [False] * 6
    assert how_sure(with_predictions(found, sure, right)) == (
        "When it is at least 90% sure, it is right in 75.0% of cases; that covers 40.0% of the "
        "test images."
    )


def test_of_a_model_that_is_never_sure_that_is_said(found: Findings) -> None:
    said = how_sure(with_predictions(found, [0.89, 0.2], [True, False]))
    assert said == "It is never 90% sure of a test image."


def test_bins_hold_what_they_end_with_and_not_what_they_begin_with() -> None:
    sure = np.array([0.0, 0.1, 0.3, 0.30001, 0.9, 1.0])
    counts = [one.count for one in bins(sure, np.ones(6, bool))]
    assert counts == [2, 0, 1, 1, 0, 0, 0, 0, 1, 1]


def test_the_error_is_the_mean_distance_of_predictions_in_their_bins() -> None:
    sure = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False, True, True])
    # Of six, four are 0.2 apart and two 0.45.
    assert calibration_error(bins(sure, right)) == pytest.approx((4 * 0.2 + 2 * 0.45) / 6)


def test_what_is_right_as_often_as_it_says_has_no_error() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.2, 1, 200_000)
    right = rng.uniform(size=len(sure)) < sure
    assert calibration_error(bins(sure, right)) < 0.01


def test_the_diagram_has_a_dot_and_a_count_per_bin_that_is_not_empty(found: Findings) -> None:
    sure = [0.95] * 4 + [0.55] * 2
    right = [True, True, True, False, True, True]
    text, plot, table = blocks(with_predictions(found, sure, right))
    assert isinstance(text, Text)
    assert isinstance(plot, Plot)
    assert isinstance(table, Table)
    (dots,) = [mark for mark in plot.figure.marks if isinstance(mark, Dots)]
    drawn = [(dot.x, dot.y, dot.note) for dot in dots.dots]
    assert drawn == [pytest.approx((55, 100, "2")), pytest.approx((95, 75, "4"))]
    assert "(ECE): 28.3 points over 10 bins; 6 predictions of 1 seed." in plot.caption
    assert [row.cells[1] for row in table.rows] == ["0"] * 5 + ["2"] + ["0"] * 3 + ["4"]


def test_without_predictions_there_is_a_sentence(found: Findings) -> None:
    assert found.choice is not None
    assert found.champion is not None
    bare = replace(found, choice=replace(found.choice, champion=replace(found.champion, seeds=())))
    assert how_sure(bare) == ""
    (text,) = blocks(bare)
    assert isinstance(text, Text)
