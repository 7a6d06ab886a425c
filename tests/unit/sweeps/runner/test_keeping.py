"""Weights that may be needed stay while a sweep runs; once it is whole, those asked for do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweeps.records.champion import Bounds
from sweeps.records.folder import checkpoints
from sweeps.records.results import Finalist, Outcome, Results
from sweeps.runner.finalists.contenders import champion
from sweeps.runner.keeping import settle, tidy, tidy_left
from tests.unit.sweeps.runner.trained import RECIPE, plan_in, record, train
from trainables.checkpoint import BEST, best, unfinished


@pytest.fixture
def plan(tmp_path: Path) -> Any:
    return plan_in(tmp_path)


@pytest.mark.parametrize("order", [1, -1])
def test_of_equal_seeds_the_one_that_is_shipped_has_kept_its_checkpoint(
    plan: Any, order: int
) -> None:
    results, ended = Results({"a": 2}), []
    for index in (0, 1):
        made = results.start(f"a/000/s{index}", "a", 0, RECIPE, Finalist("a/000"))
        made.outcome, made.score = Outcome.COMPLETED, 0.9
    for trial in results.records()[::order]:
        train(plan, trial)
        ended.append(trial)
        tidy(plan, ended, trial)
    choice = champion(results, Bounds())
    assert choice
    kept = [trial.trial_id for trial in ended if best(checkpoints(plan.folder, trial.trial_id))]
    assert kept == [choice.champion.seeds[0].trial_id]


def test_an_end_deletes_what_nobody_continues_from_and_nothing_else(plan: Any) -> None:
    first, waits, ended = (
        record("a/001", 0.5),
        record("a/002", 0.9, Outcome.INTERRUPTED),
        record("a/003", 0.7),
    )
    for trial in (first, waits, ended):
        train(plan, trial, last=True)
    tidy(plan, [first, waits], ended)
    folders = {
        trial.trial_id: checkpoints(plan.folder, trial.trial_id) for trial in (first, waits, ended)
    }
    assert {name: (bool(best(folder)), unfinished(folder)) for name, folder in folders.items()} == {
        "a/001": (False, False),
        "a/002": (True, True),
        "a/003": (True, False),
    }


def test_what_a_killed_driver_left_goes_at_the_next_start(plan: Any) -> None:
    results = Results({"a": 4})
    for number, score in enumerate((0.5, 0.9, 0.7, 0.0), 1):
        trial = results.start(f"a/{number:03d}", "a", number, RECIPE)
        trial.outcome, trial.score = Outcome.COMPLETED, score
        train(plan, trial, last=True)
    results["a/004"].outcome = Outcome.INTERRUPTED
    tidy_left(plan, results)
    folders = [checkpoints(plan.folder, trial.trial_id) for trial in results.records()]
    assert [bool(best(folder)) for folder in folders] == [False, True, False, True]
    assert [unfinished(folder) for folder in folders] == [False, False, False, True], (
        "an interrupted trial goes on"
    )


def test_nobody_ships_an_ablation(plan: Any) -> None:
    finalist = Finalist("a/001/without-mixup", "mixup")
    trial = record("a/001/without-mixup/s0", 0.9, finalist=finalist)
    train(plan, trial)
    tidy(plan, [], trial)
    assert best(checkpoints(plan.folder, trial.trial_id)) is None


def test_all_keeps_the_best_of_every_trial_and_nothing_to_continue_from(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, keep="all")
    beaten, ended = record("a/001", 0.5), record("a/002", 0.7)
    for trial in (beaten, ended):
        train(plan, trial, last=True)
        tidy(plan, [beaten], trial)
    for trial in (beaten, ended):
        folder = checkpoints(plan.folder, trial.trial_id)
        assert (bool(best(folder)), unfinished(folder)) == (True, False)


def left(plan: Any) -> set[str]:
    """What is in the folders of checkpoints, by kind."""
    files = plan.folder.glob("checkpoints/*/*")
    return {f"{path.parent.name}/{path.name.partition('-')[0]}" for path in files}


@pytest.mark.parametrize(
    ("keep", "whole", "said", "stays"),
    [
        (
            None,
            True,
            "Kept: the champion's weights, 2.0 MB, and the records, 9 bytes ",
            {"a-002/error.txt"},
        ),
        (None, False, "Kept: what a resume continues from, ", {"a-001/best", "a-002/error.txt"}),
        (
            "best",
            True,
            "Kept: the best weights of each arm and finalist, ",
            {"a-001/best", "a-002/error.txt"},
        ),
        ("all", True, "Kept: the best weights of each trial, ", {"a-001/best", "a-002/error.txt"}),
    ],
)
def test_a_whole_end_leaves_the_weights_that_were_asked_for_and_says_so(
    tmp_path: Path, keep: str | None, whole: bool, said: str, stays: set[str]
) -> None:
    plan = plan_in(tmp_path, keep=keep)
    train(plan, record("a/001", 0.5))
    failed = checkpoints(plan.folder, "a/002")
    failed.mkdir()
    (failed / "error.txt").write_text("Traceback")
    (tmp_path / "champion").mkdir()
    (tmp_path / "champion" / BEST).write_bytes(bytes(2_000_000))
    assert settle(plan, whole=whole).startswith(said)
    assert left(plan) == stays
    assert (tmp_path / "champion" / BEST).is_file()


def test_where_nothing_is_shipped_other_bounds_may_still_choose(plan: Any) -> None:
    train(plan, record("a/001", 0.5))
    assert "each arm and finalist" in settle(plan, whole=True)
    assert left(plan) == {"a-001/best"}


def test_nothing_is_left_of_the_folder_where_no_trial_failed(plan: Any) -> None:
    train(plan, record("a/001", 0.5), last=True)
    (plan.folder / "champion").mkdir()
    (plan.folder / "champion" / BEST).touch()
    settle(plan, whole=True)
    assert not (plan.folder / "checkpoints").exists()
