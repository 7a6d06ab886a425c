"""The page's tables hold what the records hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report import tables
from sweeps.report.blocks import Table
from sweeps.report.findings import Findings, find
from sweeps.report.runs import read_run

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


def test_an_arm_whose_default_is_its_best_is_not_compared_with_itself(found: Findings) -> None:
    table = tables.defaults_table(found)
    assert table is not None
    same = [arm for arm in found.run.arms if found.best[arm].name == found.default[arm].name]
    told = [row.cells[0] for row in table.rows if row.cells[3] == "tuning found nothing better"]
    assert told == same


def test_where_accuracy_and_log_loss_disagree_the_table_says_so(found: Findings) -> None:
    table = tables.losses_table(found)
    assert table is not None
    assert "leads by accuracy and by log loss" in table.caption
    assert "test log loss (lower is better)" in [column.title for column in table.columns]
    poor = next(arm for arm in found.run.arms if arm.endswith("plain"))
    sure = replace(
        found.best[poor],
        seeds=tuple(replace(s, loss=0.01, losses=s.losses * 0) for s in found.best[poor].seeds),
    )
    other = tables.losses_table(replace(found, best={**found.best, poor: sure}))
    assert other is not None
    assert f"{poor} by log loss" in other.caption


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
    assert table is None or column(table, "best here") == ["–"]
