"""`results.csv`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.columns import COLUMNS, COMPARISONS
from sweeps.report.finalists import mean
from sweeps.report.findings import Findings, find
from sweeps.report.results_csv import write_comparisons, write_results
from sweeps.report.runs import read_run
from trainables.files import write_whole
from trainables.recipe import Recipe

PAGE = (Path(__file__).parents[4] / "docs" / "results.md").read_text()


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
    assert all(COMPARISONS.values())


def test_a_finalist_has_the_number_of_its_seed_and_the_digest_of_its_draw(
    found: Findings, found_in_turn: Findings
) -> None:
    rows = found_in_turn.run.trials
    search, finalists = rows[rows["role"] == "trial"], rows[rows["role"] == "finalist"]
    assert search["seed_number"].isna().all()
    assert (search["draw"] == "").all()
    for row in finalists.itertuples():
        assert row.trial_id.endswith(f"/s{row.seed_number}")
        assert row.seed == 20 + row.seed_number
        assert row.draw == f"d{row.seed_number}"
    fixed = found.run.rows("finalist")
    assert (fixed["draw"] == "").all()
    assert set(fixed["seed_number"]) == {0, 1, 2, 3, 4}


def test_comparisons_are_a_row_each_with_the_verdict_and_what_would_decide(
    found_in_turn: Findings, tmp_path: Path
) -> None:
    run = replace(found_in_turn.run, folder=tmp_path)
    rows = pd.read_csv(write_comparisons(run, found_in_turn.planned))
    assert list(rows.columns) == list(COMPARISONS)
    assert rows["comparison"].tolist() == ["tricks", "depth, linear trend"]
    assert rows["verdict"].tolist() == ["better", "cannot tell"]
    for name, own in (("estimate", "estimate"), ("p", "p_holm"), ("of_recipes", "of_recipes")):
        assert rows[name].tolist() == pytest.approx(found_in_turn.planned[own].tolist())
    empty = pd.read_csv(write_comparisons(run, found_in_turn.planned.iloc[:0]))
    assert list(empty.columns) == list(COMPARISONS)
    assert empty.empty


def test_the_documentation_has_the_same_columns_in_the_same_order_with_the_same_meanings() -> None:
    table = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", PAGE, re.M)
    assert [(name, meaning) for name, _, meaning in table] == list(COLUMNS.items())
    after = PAGE[PAGE.index("Then the fields") : PAGE.index("Mean and spread")]
    assert re.findall(r"`(\w+)`", after) == list(Recipe.field_names())


def test_the_documentation_has_the_same_columns_of_comparisons() -> None:
    section = PAGE[PAGE.index("## comparisons.csv") : PAGE.index("## suspects.csv")]
    assert re.findall(r"^- `(\w+)`: (.+)$", section, re.M) == list(COMPARISONS.items())


def test_the_documentations_example_gives_each_finalists_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = find(
        read_run(
            make(tmp_path / "mlruns", "NAME", trials=4, images=50, lost=("resnet18/plain/000/s1",))
        )
    )
    write_results(found.run)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len([line for line in code.splitlines() if line]) == 3
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    means = names["runs"].groupby("group")["test_accuracy"].mean()
    finalists = [group for group in found.groups if not group.without]
    assert dict(means) == pytest.approx(
        {group.name: mean(group.test("accuracy")) for group in finalists}
    )
    shown = capsys.readouterr().out
    assert all(group.name in shown for group in finalists)


def test_an_empty_sweep_gives_a_head_alone(tmp_path: Path) -> None:
    rows = pd.read_csv(write_results(read_run(tmp_path)))
    assert list(rows.columns) == [*COLUMNS, *Recipe.field_names()]
    assert rows.empty


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "x.txt", "old")
    assert write_whole(path, "new \ud800").read_text() == "new \\ud800"
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]
