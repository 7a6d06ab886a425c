"""A sweep's folder as tables, whatever it holds."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from sweeps.report.columns import COLUMNS
from sweeps.report.runs import read_run
from tests.unit.sweeps.journals import (
    Line,
    ended,
    epochs,
    finalist_started,
    started,
    write_journal,
)
from trainables.metrics import EPOCH
from trainables.recipe import Recipe

ARM = "resnet18/plain"
ONE = f"{ARM}/000"


def write(folder: Path, *lines: Line, **described: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "sweep.json").write_text(json.dumps({"arms": [ARM], **described}))
    write_journal(folder, lines)
    return folder


def test_every_training_run_is_a_row_search_first_then_finalists_then_ablations(
    sweep: Path,
) -> None:
    run = read_run(sweep)
    assert run.problems == ()
    assert len(run.rows("trial")) == 36
    assert run.trials["trial_id"].is_unique
    kinds = [
        (row["role"] == "finalist") + (row["without"] != "")
        for row in run.trials.to_dict("records")
    ]
    assert kinds == sorted(kinds)
    assert sorted(set(kinds)) == [0, 1, 2]


def test_columns_are_the_documented_ones_and_then_the_recipes(sweep: Path) -> None:
    assert list(read_run(sweep).trials.columns) == [*COLUMNS, *Recipe.field_names()]


def test_of_a_run_that_was_resumed_the_last_end_counts_and_each_epoch_once(tmp_path: Path) -> None:
    events = [
        started(ARM),
        epochs(ONE, 1, 2),
        ended(ONE, "interrupted", 0.2),
        started(ARM),
        epochs(ONE, 2, 3),
        ended(ONE, score=0.3),
    ]
    run = read_run(write(tmp_path / "s", *events))
    assert list(run.epochs[EPOCH]) == [1, 2, 3]
    row = run.trials.iloc[0]
    assert (row["outcome"], row["score"], row["epochs_done"]) == ("completed", 0.3, 3)


def test_a_running_trial_has_no_outcome_and_the_score_of_its_last_epoch(tmp_path: Path) -> None:
    row = read_run(write(tmp_path / "s", started(ARM), epochs(ONE, 1, 2))).trials.iloc[0]
    assert (row["outcome"], row["score"]) == ("", 0.2)


def test_a_trial_with_all_its_epochs_is_completed_though_its_end_was_not_written(
    tmp_path: Path,
) -> None:
    recipe = Recipe(epochs=2).as_dict()
    row = read_run(
        write(tmp_path / "s", started(ARM, recipe=recipe), epochs(ONE, 1, 2))
    ).trials.iloc[0]
    assert row["outcome"] == "completed"


def test_a_damaged_line_is_left_out_and_said_but_a_last_one_that_is_being_written_is_not(
    tmp_path: Path,
) -> None:
    folder = write(tmp_path / "s", started(ARM), ended(ONE), started(ARM, 1))
    lines = (folder / "trials.jsonl").read_text().splitlines(keepends=True)
    (folder / "trials.jsonl").write_text(
        "".join([lines[0], '{"torn\n', *lines[1:], '{"event": "tri'])
    )
    run = read_run(folder)
    assert len(run.trials) == 2
    assert run.problems == (
        "1 of 5 lines of trials.jsonl could not be understood and are left out.",
    )


@pytest.mark.parametrize("name", ["sweep.json", "trials.jsonl"])
def test_a_file_that_is_gone_is_a_problem_and_not_an_error(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "s", started(ARM), ended(ONE))
    (folder / name).unlink()
    run = read_run(folder)
    assert run.state == "damaged"
    assert len(run.problems) == 1
    assert name in run.problems[0]


def test_an_older_version_without_roles_and_with_another_field_is_read(tmp_path: Path) -> None:
    line = started(ARM, recipe={"backbone": "vgg", "dropout": 0.5})
    del line["role"]
    run = read_run(write(tmp_path / "s", line, ended(ONE)))
    row = run.trials.iloc[0]
    assert (row["role"], row["backbone"], row["dropout"]) == ("trial", "vgg", 0.5)
    assert run.trials["epochs"].isna().all()


def test_an_ablation_belongs_to_the_recipe_from_which_something_was_taken(tmp_path: Path) -> None:
    line = finalist_started(ARM, without="mixup")
    assert line["group"] == f"{ARM}/000/without-mixup"
    row = read_run(write(tmp_path / "s", line)).trials.iloc[0]
    assert (row["group"], row["without"]) == (f"{ARM}/000", "mixup")


@pytest.mark.parametrize("value", [None, "much", 1e400, -(10**400), [1]])
def test_what_is_no_number_is_none(tmp_path: Path, value: Any) -> None:
    odd = ended(ONE) | {"score": value, "best_epoch": value, "device_seconds": value}
    run = read_run(write(tmp_path / "s", started(ARM), odd))
    row = run.trials.iloc[0]
    assert math.isnan(row["score"])
    assert math.isnan(row["device_seconds"])


def test_the_driver_that_holds_the_lock_says_how_the_sweep_ended(sweep: Path) -> None:
    assert read_run(sweep).state == "finished"
    assert read_run(sweep, "interrupted").state == "interrupted"


def test_dimensions_that_make_no_sense_are_left_out(tmp_path: Path) -> None:
    good = {"low": 1e-5, "high": 1e-2, "default": 1e-3, "log": True}
    tuned = {
        "a": good,
        "b": {"low": 2, "high": 1},
        "c": {"options": []},
        "d": 3,
        "e": {"low": 0, "high": 1, "log": True},
    }
    run = read_run(write(tmp_path / "s", definition={ARM: {"fixed": {}, "tuned": tuned}}))
    assert run.tuned[ARM] == {"a": {"low": 1e-5, "high": 1e-2, "log": True, "when": {}}}
