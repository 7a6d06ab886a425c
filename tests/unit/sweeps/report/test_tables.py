"""The page's tables hold what the records hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report import tables
from sweeps.report.blocks import Table
from sweeps.report.findings import Findings, find, gap
from sweeps.report.formats import p_value, points, span
from sweeps.report.runs import read_run, records
from sweeps.report.ways import advice

ALL = [getattr(tables, name) for name in dir(tables) if name.endswith("_table")]


def column(table: Table, title: str) -> list[str]:
    at = [column.title for column in table.columns].index(title)
    return [row.cells[at] for row in table.rows]


def test_the_arm_table_counts_trials_by_how_they_ended(found: Findings) -> None:
    table = tables.arms_table(found)
    assert column(table, "arm") == list(found.run.arms)
    assert column(table, "completed") == ["3"] * 6
    assert (
        column(table, "pruned") == column(table, "diverged") == column(table, "failed") == ["1"] * 6
    )
    assert column(table, "tuned") == ["2", "7"] * 3
    assert column(table, "epochs") == ["72"] * 6
    assert found.champion is not None
    assert [row.cells[0] for row in table.rows if row.strong] == [found.champion.arm]
    assert "trainable_layers, stage2_lr" in table.caption


def test_every_row_has_a_cell_for_each_column(found: Findings) -> None:
    for make_table in ALL:
        table = make_table(found)
        assert table is not None, make_table.__name__
        assert {len(row.cells) for row in table.rows} == {len(table.columns)}


def test_what_a_sweep_without_finalists_lacks_is_left_out(tmp_path: Path) -> None:
    found = find(read_run(make(tmp_path, seeds=(), trials=2)))
    left = [make_table.__name__ for make_table in ALL if make_table(found) is not None]
    assert left == ["arms_table", "published_table"]
    assert "test %" not in [column.title for column in tables.arms_table(found).columns]


def test_with_two_seeds_no_table_has_an_interval_or_a_p(tmp_path: Path) -> None:
    found = find(read_run(make(tmp_path, seeds=(0, 1), trials=5, images=60)))
    for make_table in ALL:
        table = make_table(found)
        cells = [cell for row in table.rows for cell in row.cells] if table else []
        assert not [cell for cell in cells if " to " in cell or "nan" in cell], make_table.__name__


def test_ablations_are_compared_with_the_champion_on_the_same_seeds(found: Findings) -> None:
    table = tables.ablations_table(found)
    assert table is not None
    assert column(table, "champion") == ["as it is", "without scheduler"]
    gap = column(table, "champion − this, points")[1]
    assert gap.startswith("+")
    assert " to " in gap


@pytest.mark.parametrize("name", ["found", "found_in_turn"])
def test_an_arm_whose_default_is_its_best_is_not_compared_with_itself(
    request: pytest.FixtureRequest, name: str
) -> None:
    found: Findings = request.getfixturevalue(name)
    table = tables.defaults_table(found)
    assert table is not None
    same = []
    for arm, group in found.arms.items():
        if {seed.group for seed in group.seeds} == {found.default[arm].name}:
            same.append(arm)
    told = [row.cells[0] for row in table.rows if row.cells[3] == "tuning found nothing better"]
    assert told == same
    for row in table.rows:
        if row.cells[0] not in same:
            apart = gap(found.arms[row.cells[0]], found.default[row.cells[0]], "accuracy")
            assert row.cells[3] == f"{points(apart.value)} ({span(apart.low, apart.high)})"


def test_where_accuracy_and_log_loss_disagree_the_table_says_so(found: Findings) -> None:
    table = tables.losses_table(found)
    assert table is not None
    assert "leads by accuracy and by log loss" in table.caption
    assert "test log loss (lower is better)" in [column.title for column in table.columns]
    poor = next(arm for arm in found.run.arms if arm.endswith("plain"))
    sure = replace(
        found.arms[poor],
        seeds=tuple(replace(s, loss=0.01, losses=s.losses * 0) for s in found.arms[poor].seeds),
    )
    other = tables.losses_table(replace(found, arms={**found.arms, poor: sure}))
    assert other is not None
    assert f"{poor} by log loss" in other.caption


def test_retrained_columns_say_by_how_many_recipes_an_arm_is_judged(
    found: Findings, found_in_turn: Findings
) -> None:
    heads = {column.group for column in tables.arms_table(found).columns}
    assert heads == {"", "search", "retrained recipe"}
    heads = {column.group for column in tables.arms_table(found_in_turn).columns}
    assert heads == {"", "search", "3 best recipes in turn"}


def test_planned_comparisons_have_their_verdicts_and_those_decided_are_bold(
    found_in_turn: Findings,
) -> None:
    table = tables.contrasts_table(found_in_turn)
    assert table is not None
    assert column(table, "comparison") == ["tricks", "depth, linear trend"]
    assert column(table, "verdict") == ["better", "cannot tell"]
    assert [row.strong for row in table.rows] == [True, False]
    assert column(table, "seeds") == ["9", "9"]
    rows = records(found_in_turn.planned)
    assert column(table, "p (Holm)") == [p_value(row["p_holm"]) for row in rows]
    assert column(table, "95% interval") == [span(row["low"], row["high"]) for row in rows]
    assert "each arm by its 3 best recipes in turn" in table.caption
    assert "after each round of 3 seeds" in table.caption
    assert "within 1.0 points does not matter" in table.caption


def test_what_would_narrow_a_comparison_is_said_of_open_ones_alone(
    found_in_turn: Findings,
) -> None:
    table = tables.narrowing_table(found_in_turn)
    assert table is not None
    rows = records(found_in_turn.planned)
    for title, name in (
        ("seeds and draws", "of_seeds"),
        ("recipes", "of_recipes"),
        ("test images", "of_images"),
    ):
        assert column(table, title) == [f"{100 * row[name]:.2f}" for row in rows]
    decided, would = column(table, "what would settle it")
    assert decided == "decided"
    assert would == advice(rows[1])
    assert would.endswith("which recipes a search finds: more --trials may help")


def test_published_numbers_stand_beside_the_sweeps_own(found: Findings) -> None:
    table = tables.published_table(found)
    assert table is not None
    assert column(table, "published") == ["81.4"]
    assert column(table, "default here") == [f"{100 * found.default['resnet18/plain'].score:.1f}"]


@pytest.mark.parametrize(
    "published", [None, [None], [{"arm": 3}], [{"arm": "gone", "value": 0.5, "metric": "x"}]]
)
def test_published_numbers_of_other_kinds_do_no_harm(tmp_path: Path, published: object) -> None:
    found = find(read_run(make(tmp_path, seeds=(), trials=1, described={"published": published})))
    table = tables.published_table(found)
    assert table is None or column(table, "best in turn here") == ["–"]
