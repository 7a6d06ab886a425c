"""How a sweep stands by its files, whatever they hold: its state, what is done and left."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from filelock import FileLock

from sweeps.records.folder import claimed
from sweeps.records.status import status_of
from tests.unit.sweeps.journals import (
    ALL,
    ARMS,
    Line,
    chosen,
    deliver,
    ended,
    finalist_started,
    finished,
    other_driver,
    resumed,
    trial,
    write_sweep,
)


@pytest.mark.parametrize(
    ("lines", "state", "done", "left"),
    [
        ([], "interrupted", 0, 4),
        (ALL, "interrupted", 4, 0),
        ([*ALL, finished()], "finished", 4, 0),
        ([*ALL[:6], finished()], "finished", 2, 2),  # out of time
        ([*ALL[:3], finished("failed")], "failed", 1, 3),
        (
            [*ALL[:3], *trial(ARMS[1], 0, "interrupted"), finished("interrupted")],
            "interrupted",
            1,
            3,
        ),
        (
            [
                *trial(ARMS[0], 0, "interrupted"),
                finished("interrupted"),
                resumed(2),
                *ALL,
            ],
            "interrupted",
            4,
            0,
        ),
        ([*ALL, finished(), resumed(5)], "interrupted", 4, 6),
        (
            [
                *trial(ARMS[0], 0, "pruned"),
                *trial(ARMS[0], 1, "diverged", None),
                *trial(ARMS[1], 0, "failed", None),
                ALL[9],
            ],
            "interrupted",
            3,
            1,
        ),
    ],
)
def test_the_last_events_tell_how_a_sweep_stands(
    lines: list[Line], state: str, done: int, left: int, tmp_path: Path
) -> None:
    found = status_of(write_sweep(tmp_path, lines=lines))
    assert (found.state, found.done, found.left) == (state, done, left)
    assert found.arms == tuple(ARMS)
    assert found.size > 0
    assert found.undelivered == 0


FINAL = [finalist_started(ARMS[0], 0), ended(f"{ARMS[0]}/000/s0")]


def wanted(*names: str) -> Line:
    return chosen(*[f"{ARMS[0]}/{name}" for name in names])


@pytest.mark.parametrize(
    ("lines", "state", "done", "left"),
    [
        ([*ALL, wanted("000/s0", "001/s0")], "interrupted", 4, 2),
        ([*ALL, wanted("000/s0", "001/s0"), *FINAL], "interrupted", 5, 1),
        ([*ALL, wanted("000/s0"), wanted("000/without-mixup/s0"), *FINAL], "interrupted", 5, 1),
        (
            [*ALL, wanted("000/s0", "001/s0"), *FINAL, resumed(2), wanted("000/s0"), finished()],
            "finished",
            5,
            0,
        ),
        (
            [*ALL, wanted("000/s0"), finished(partial=True)],
            "interrupted",
            4,
            1,
        ),
    ],
)
def test_finalists_count_once_they_are_chosen_and_a_partial_sweep_is_left_to_do(
    lines: list[Line], state: str, done: int, left: int, tmp_path: Path
) -> None:
    found = status_of(write_sweep(tmp_path, lines=lines))
    assert (found.state, found.done, found.left) == (state, done, left)


def test_arms_with_nothing_to_tune_have_no_trials_to_do(tmp_path: Path) -> None:
    definition = {
        ARMS[0]: {"fixed": {}, "tuned": {}},
        ARMS[1]: {"fixed": {}, "tuned": {"stage2_lr": {}}},
    }
    assert status_of(write_sweep(tmp_path, definition=definition)).left == 2


def test_trials_of_an_arm_that_is_gone_leave_the_others_to_do(tmp_path: Path) -> None:
    lines = [*ALL[:6], *trial(ARMS[1], 0), finished(partial=True)]
    found = status_of(write_sweep(tmp_path, lines=lines, arms=ARMS[1:]))
    assert (found.state, found.left) == ("interrupted", 1)


def test_the_command_that_goes_on_is_quoted_for_a_shell(tmp_path: Path) -> None:
    storage = tmp_path / "my runs"
    command = "python '/my studies/two_stage.py' --gpus 2"
    found = status_of(write_sweep(storage, command=command))
    assert shlex.split(found.resume) == [
        *("python", "/my studies/two_stage.py", "--resume", "one"),
        *("--storage", str(storage)),
    ]


def test_a_sweep_that_was_submitted_goes_on_by_submitting_it(tmp_path: Path) -> None:
    submitted = "dvt submit two_stage -- --resume one"
    assert status_of(write_sweep(tmp_path, submitted=submitted)).resume == submitted


def test_a_held_lock_is_a_running_sweep_and_a_dead_owners_is_not(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, lines=[*ALL, finished()])
    with other_driver(folder) as process:
        assert status_of(folder).state == "running"
        assert status_of(folder).done == 4
        process.kill()
        process.wait()
        assert status_of(folder).state == "finished"
    with FileLock(folder / "driver.lock"):  # a thread of this process
        assert status_of(folder).state == "running"


def test_a_sweep_that_has_just_begun_runs(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "new"
    folder.mkdir(parents=True)
    with FileLock(folder / "driver.lock"):
        assert status_of(folder).state == "running"


def test_looking_keeps_no_driver_from_starting(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path)
    with claimed(folder, shared=True) as first, claimed(folder, shared=True) as second:
        assert first
        assert second
    with claimed(folder) as free:
        assert free
        assert status_of(folder).state == "running", "who removes it keeps a driver out"
    with FileLock(folder / "driver.lock", timeout=0):
        pass


def test_the_champion_or_else_the_best_score_is_shown(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, lines=[*ALL, *trial(ARMS[0], 2, "pruned", 0.9)])
    assert (status_of(folder).score, status_of(folder).champion) == (0.5, "")
    (folder / "champion").mkdir()
    (folder / "champion" / "recipe.json").write_text(
        json.dumps({"trial": "resnet18/tricks/001", "score": 0.51})
    )
    assert (status_of(folder).score, status_of(folder).champion) == (0.51, "resnet18/tricks/001")


def test_events_that_mlflow_lacks_are_counted(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, lines=ALL)
    deliver(folder, but=3)
    assert status_of(folder).undelivered == 3
    (folder / "mlflow.offset").unlink()
    assert status_of(folder).undelivered == 13


DAMAGE = {
    "sweep.json": [
        "",
        "{",
        "[]",
        "null",
        '{"study": 1}',
        '{"study": "s", "arms": [], "trials_per_arm": 1, "started": "2025-01-01"}',
        '{"study": "s", "arms": ["a"], "trials_per_arm": "1", "started": "2025-01-01"}',
        "\xff",
        "[" * 100_000,
    ],
    "trials.jsonl": [
        "no json\n{}\n",
        '{"event": "end"}\n',
        '{"event": "end", "trial_id": [], "outcome": "x"}\n',
        '{"event": "finish"}\n',
        '{"event": "finish", "outcome": []}\n',
    ],
}


@pytest.mark.parametrize(
    ("file", "text"), [(file, text) for file, texts in DAMAGE.items() for text in texts]
)
def test_a_damaged_file_is_a_damaged_sweep_with_a_reason(
    file: str, text: str, tmp_path: Path
) -> None:
    folder = write_sweep(tmp_path)
    (folder / file).write_bytes(text.encode("latin-1"))
    found = status_of(folder)
    assert found.state == "damaged"
    assert found.reason
    assert "\n" not in found.reason


def test_a_torn_last_line_is_no_damage(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, lines=ALL)
    with (folder / "trials.jsonl").open("a") as journal:
        journal.write('{"event": "fin')
    assert (status_of(folder).state, status_of(folder).done) == ("interrupted", 4)
