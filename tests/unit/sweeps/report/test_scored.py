"""A report is about the metric that decided, and names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.records.score import NAMES
from sweeps.report import compare, plots_finalists, tables
from sweeps.report.blocks import Plots
from sweeps.report.cautions import cautions
from sweeps.report.columns import OF_EPOCH
from sweeps.report.finalists import mean
from sweeps.report.findings import Findings, find, interval
from sweeps.report.formats import percent, span
from sweeps.report.headline import headline
from sweeps.report.page import rendered, sweep_page
from sweeps.report.results_csv import write_results
from sweeps.report.runs import read_run
from sweeps.report.variance import over_seeds
from trainables.metrics import Score

ARMS = ("resnet18/plain", "resnet18/tricks")
UNEVEN = np.repeat([0, 1, 2, 3, 4], [100, 50, 40, 21, 9]).tolist()
Made = Callable[..., Findings]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A sweep of uneven classes by the metric that decided, made once."""
    made: dict[str, Findings] = {}

    def of(score: Score) -> Findings:
        if score not in made:
            storage = tmp_path_factory.mktemp(score)
            made[score] = find(
                read_run(
                    make(
                        storage, score, arms=ARMS, trials=5, images=220, labels=UNEVEN, score=score
                    )
                )
            )
        return made[score]

    return of


def test_the_answer_is_the_mean_balanced_accuracy_with_an_interval_of_its_own(scored: Made) -> None:
    found = scored("balanced_accuracy")
    assert found.champion is not None
    whole = interval(found.champion, "balanced_accuracy")
    assert whole is not None
    assert whole.mean == pytest.approx(mean(found.champion.test("balanced_accuracy")))
    assert whole.mean != pytest.approx(mean(found.champion.test("accuracy")), abs=1e-4)
    first, certainty = headline(found)[:2]
    value, between = percent(whole.mean), span(whole.low, whole.high)
    assert first.startswith(f"No clear winner. Ship {found.champion.name}, ")
    assert first.endswith(f": it has a balanced accuracy of {value}% on the test images.")
    assert certainty.startswith(f"95% interval {between}, 5 seeds. ")


def test_contrasts_and_pairs_are_of_balanced_accuracy(scored: Made) -> None:
    found = scored("balanced_accuracy")
    means = {arm: mean(group.test("balanced_accuracy")) for arm, group in found.arms.items()}
    planned = found.planned.iloc[0]
    assert (planned["name"], planned["estimate"]) == (
        "tricks",
        pytest.approx(means[ARMS[1]] - means[ARMS[0]]),
    )
    row = found.pairs.iloc[0]
    assert row["difference"] == pytest.approx(means[row["a"]] - means[row["b"]])


@pytest.mark.parametrize("score", ["balanced_accuracy", "macro_f1"])
def test_intervals_of_macro_f1_are_those_over_seeds_and_others_are_wider(
    scored: Made, score: Score
) -> None:
    found = scored(score)
    for group in found.arms.values():
        whole, seeds = interval(group, score), over_seeds(group.test(score))
        assert whole is not None
        if score == "macro_f1":
            assert (whole.low, whole.high) == pytest.approx((seeds.low, seeds.high))
        else:
            assert whole.se is not None
            assert seeds.se is not None
            assert whole.se >= seeds.se - 1e-12
    alone = "Macro F1 is not a mean over images: "
    alone += "intervals and tests are for new seeds on these test images alone."
    assert (alone in cautions(found)) == (score == "macro_f1")
    assert (plots_finalists.components(found) is None) == (score == "macro_f1")


def test_where_a_class_is_small_its_intervals_are_said_to_be_too_narrow(scored: Made) -> None:
    said = (
        "The smallest class has 9 test images: intervals of balanced accuracy are too narrow for "
        "that."
    )
    assert [said in cautions(scored(score)) for score in ("balanced_accuracy", "accuracy")] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("score", "titles", "words"),
    [
        ("accuracy", ("best val %", "val %", "test %"), "% of the test images correctly"),
        (
            "balanced_accuracy",
            ("best val balanced %", "val balanced %", "test balanced %"),
            "val balanced accuracy, %",
        ),
        ("macro_f1", ("best val F1 %", "val F1 %", "test F1 %"), "val macro F1, %"),
    ],
)
def test_tables_and_figures_name_what_the_score_is(
    scored: Made, score: Score, titles: tuple[str, ...], words: str
) -> None:
    found = scored(score)
    columns = [column.title for column in tables.arms_table(found).columns]
    assert [title for title in columns if "%" in title] == list(titles)
    assert words in rendered(sweep_page(found))


@pytest.mark.parametrize("score", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_curves_of_accuracy_say_what_chose_the_epoch(scored: Made, score: Score) -> None:
    block = plots_finalists.curves(scored(score))
    assert isinstance(block, Plots)
    said = f"Shown is accuracy; the epoch was chosen by {NAMES[score]}."
    assert (said in block.caption) == (score != "accuracy")
    assert block.caption.count("chosen by") == (score != "accuracy")


@pytest.mark.parametrize("column", ["val_accuracy", "val_balanced_accuracy", "val_macro_f1"])
def test_a_published_number_on_val_stands_beside_ours_whatever_decides(
    scored: Made, column: str
) -> None:
    found = scored("balanced_accuracy")
    entry = {"arm": ARMS[0], "value": 0.8, "metric": OF_EPOCH[column], "source": "a text"}
    run = replace(found.run, described={**found.run.described, "published": [entry]})
    table = tables.published_table(replace(found, run=run))
    assert table is not None
    (row,) = table.rows
    trained = found.run.trials[found.run.trials["group"] == found.arms[ARMS[0]].seeds[0].group]
    assert trained[column].notna().sum() >= 2
    assert percent(mean(trained[trained["without"] == ""][column].tolist())) in row.cells


def test_all_metrics_stand_beside_each_other(scored: Made) -> None:
    for score in ("accuracy", "balanced_accuracy"):
        table = tables.losses_table(scored(score))
        assert table is not None
        titles = [column.title.partition(",")[0] for column in table.columns]
        assert titles[:-1] == ["arm", "test accuracy", "test balanced accuracy", "test macro F1"]
        assert f"by {NAMES[score]}" in table.caption


def test_results_csv_has_each_metric_of_the_best_epoch_and_of_the_test_split(scored: Made) -> None:
    rows = pd.read_csv(write_results(scored("balanced_accuracy").run))
    completed = rows[rows["outcome"] == "completed"]
    for name in ("val_accuracy", "val_balanced_accuracy", "val_macro_f1"):
        assert completed[name].tolist() == pytest.approx(completed["score"].tolist()), (
            "they are made the same"
        )
    finalists = rows[rows["role"] == "finalist"]
    assert finalists[["test_balanced_accuracy", "test_macro_f1"]].notna().all(axis=None)
    assert rows[rows["role"] == "trial"]["test_macro_f1"].isna().all()


def test_sweeps_of_other_metrics_are_compared_by_accuracy_and_that_is_said(scored: Made) -> None:
    one, other = scored("accuracy"), scored("macro_f1")
    assert compare.common_score(one, other) == "accuracy"
    assert compare.common_score(other, other) == "macro_f1"
    (line,) = [line for line in compare.cautions(one, other) if "metrics" in line]
    assert "accuracy by accuracy and macro_f1 by macro F1" in line
    assert line.endswith("they are compared by accuracy.")
    assert "test accuracy" in compare.arms_table(one, other).columns[1].group
    assert "test macro F1" in compare.arms_table(other, other).columns[1].group
    assert "val %, by its own metric" in rendered(compare.comparison_page(one, other))


def test_a_sweep_that_names_no_score_was_decided_by_accuracy(tmp_path: Path) -> None:
    folder = make(
        tmp_path, arms=ARMS, trials=4, images=40, described={"options": {"preset": "full"}}
    )
    assert read_run(folder).score == "accuracy"
