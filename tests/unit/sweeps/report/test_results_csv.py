"""`results.csv`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sweeps.report.results_csv import replaced, write_results
from sweeps.report.runs import COLUMNS, read_run
from trainables.recipe import Recipe


def test_the_file_holds_search_finalists_and_ablations_with_their_numbers(sweep: Path) -> None:
    run = read_run(sweep)
    rows = pd.read_csv(write_results(run))
    assert list(rows.columns) == [*COLUMNS, *Recipe.field_names()]
    assert len(rows) == len(run.trials)
    search, finalists = rows[rows["role"] == "trial"], rows[rows["role"] == "finalist"]
    assert search["test_accuracy"].isna().all()
    assert finalists["test_accuracy"].between(0, 1).all()
    assert set(finalists["seed"]) == {0, 1, 2, 3, 4}
    assert (finalists["without"].fillna("") == "scheduler").sum() == 5
    assert rows["number"].dtype == rows["epochs_done"].dtype == "int64"
    assert set(search["outcome"]) == {"completed", "pruned", "diverged", "failed"}


def test_each_column_says_what_it_holds() -> None:
    assert all(COLUMNS.values())


def test_an_empty_sweep_gives_a_head_alone(tmp_path: Path) -> None:
    rows = pd.read_csv(write_results(read_run(tmp_path)))
    assert list(rows.columns) == [*COLUMNS, *Recipe.field_names()]
    assert rows.empty


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = replaced(tmp_path / "x.txt", "old")
    assert replaced(path, "new \ud800").read_text() == "new \\ud800"
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]
