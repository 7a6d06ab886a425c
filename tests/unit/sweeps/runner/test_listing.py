"""What `dvt list` makes of a sweep's folder: its state, what is done and left, and how to go on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from sweeps.commands.list import main
from sweeps.records.folder import claimed
from sweeps.records.status import all_sweeps

ARMS = ["resnet18/plain", "resnet18/tricks"]
ROOT = Path(__file__).parents[4]

HOLD = """
import sys, filelock
with filelock.FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def sweep(
    storage: Path, name: str = "one", events: list[dict[str, Any]] | None = None, **described: Any
) -> Path:
    """A sweep's folder of two arms with two trials each, as a driver leaves it."""
    folder = storage / "sweeps" / name
    folder.mkdir(parents=True)
    values = {
        "study": "depth_vs_tricks",
        "started": "2025-11-22T01:26:00+00:00",
        "arms": ARMS,
        "trials_per_arm": 2,
    }
    (folder / "sweep.json").write_text(json.dumps(values | described))
    (folder / "driver.lock").touch()
    lines = [
        json.dumps({"time": 0, **event}) + "\n" for event in [{"event": "sweep"}, *(events or [])]
    ]
    (folder / "trials.jsonl").write_text("".join(lines))
    deliver(folder)
    return folder


def deliver(folder: Path, *, but: int = 0) -> None:
    """Note that MLflow has all events but the last few."""
    lines = (folder / "trials.jsonl").read_bytes().splitlines(keepends=True)
    offset = sum(map(len, lines[: len(lines) - but]))
    (folder / "mlflow.offset").write_text(
        json.dumps({"uri": "sqlite:///mlflow.db", "offset": offset})
    )


def trial(
    arm: int, number: int, outcome: str = "completed", score: float | None = 0.5
) -> list[dict[str, Any]]:
    name = f"{ARMS[arm]}/{number:03d}"
    return [
        {"event": "trial", "trial_id": name, "arm": ARMS[arm], "number": number},
        {"event": "epochs", "trial_id": name, "epochs": [{"epoch": 1, "score": score}]},
        {"event": "end", "trial_id": name, "outcome": outcome, "reason": None, "score": score},
    ]


def finish(outcome: str = "completed") -> list[dict[str, Any]]:
    return [{"event": "finish", "outcome": outcome}]


def resumed(trials: int) -> dict[str, Any]:
    return {"event": "resumed", "trials_per_arm": trials, "changes": []}


ALL = [
    event
    for arm in (0, 1)
    for number in (0, 1)
    for event in trial(arm, number, score=(arm + number) / 4)
]


@contextmanager
def driver(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the sweep's lock."""
    command = [sys.executable, "-c", HOLD, str(folder / "driver.lock")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("events", "state", "done", "left"),
    [
        ([], "interrupted", 0, 4),
        (ALL, "interrupted", 4, 0),
        ([*ALL, *finish()], "finished", 4, 0),
        ([*ALL[:6], *finish()], "finished", 2, 2),  # out of time
        ([*ALL[:3], *finish("failed")], "failed", 1, 3),
        ([*ALL[:3], *trial(1, 0, "interrupted"), *finish("interrupted")], "interrupted", 1, 3),
        (
            [
                *trial(0, 0, "interrupted"),
                *finish("interrupted"),
                {"event": "resumed", "trials_per_arm": 2},
                *ALL,
            ],
            "interrupted",
            4,
            0,
        ),
        ([*ALL, *finish(), {"event": "resumed", "trials_per_arm": 5}], "interrupted", 4, 6),
        (
            [
                *trial(0, 0, "pruned"),
                *trial(0, 1, "diverged", None),
                *trial(1, 0, "failed", None),
                ALL[9],
            ],
            "interrupted",
            3,
            1,
        ),
    ],
)
def test_the_last_events_tell_how_a_sweep_stands(
    events: list[dict[str, Any]], state: str, done: int, left: int, tmp_path: Path
) -> None:
    found = state_of(sweep(tmp_path, events=events))
    assert (found.state, found.done, found.left) == (state, done, left)
    assert found.arms == tuple(ARMS)
    assert found.size > 0
    assert found.undelivered == 0


FINAL = [
    {"event": "trial", "trial_id": f"{ARMS[0]}/000/s0"},
    {"event": "end", "trial_id": f"{ARMS[0]}/000/s0", "outcome": "completed"},
]


def wanted(*names: str) -> dict[str, Any]:
    return {"event": "finalists", "trial_ids": [f"{ARMS[0]}/{name}" for name in names]}


@pytest.mark.parametrize(
    ("events", "state", "done", "left"),
    [
        ([*ALL, wanted("000/s0", "001/s0")], "interrupted", 4, 2),
        ([*ALL, wanted("000/s0", "001/s0"), *FINAL], "interrupted", 5, 1),
        ([*ALL, wanted("000/s0"), wanted("000/without-mixup/s0"), *FINAL], "interrupted", 5, 1),
        (
            [*ALL, wanted("000/s0", "001/s0"), *FINAL, resumed(2), wanted("000/s0"), *finish()],
            "finished",
            5,
            0,
        ),
        (
            [*ALL, wanted("000/s0"), {**finish()[0], "tags": {"sweep.partial": "true"}}],
            "interrupted",
            4,
            1,
        ),
    ],
)
def test_finalists_count_once_they_are_chosen_and_a_partial_sweep_is_left_to_do(
    events: list[dict[str, Any]], state: str, done: int, left: int, tmp_path: Path
) -> None:
    found = state_of(sweep(tmp_path, events=events))
    assert (found.state, found.done, found.left) == (state, done, left)


def test_arms_with_nothing_to_tune_have_no_trials_to_do(tmp_path: Path) -> None:
    definition = {
        ARMS[0]: {"fixed": {}, "tuned": {}},
        ARMS[1]: {"fixed": {}, "tuned": {"stage2_lr": {}}},
    }
    assert state_of(sweep(tmp_path, definition=definition)).left == 2


def test_a_held_lock_is_a_running_sweep_and_a_dead_owners_is_not(tmp_path: Path) -> None:
    folder = sweep(tmp_path, events=[*ALL, *finish()])
    with driver(folder) as process:
        assert state_of(folder).state == "running"
        assert state_of(folder).done == 4
        process.kill()
        process.wait()
        assert state_of(folder).state == "finished"
    with FileLock(folder / "driver.lock"):  # a thread of this process
        assert state_of(folder).state == "running"


def test_a_sweep_that_has_just_begun_runs(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "new"
    folder.mkdir(parents=True)
    with FileLock(folder / "driver.lock"):
        assert state_of(folder).state == "running"


def test_looking_keeps_no_driver_from_starting(tmp_path: Path) -> None:
    folder = sweep(tmp_path)
    with claimed(folder, shared=True) as first, claimed(folder, shared=True) as second:
        assert first
        assert second
    with claimed(folder) as free:
        assert free
        assert state_of(folder).state == "running", "who removes it keeps a driver out"
    with FileLock(folder / "driver.lock", timeout=0):
        pass


def test_the_champion_or_else_the_best_score_is_shown(tmp_path: Path) -> None:
    folder = sweep(tmp_path, events=[*ALL, *trial(0, 2, "pruned", 0.9)])
    assert (state_of(folder).score, state_of(folder).champion) == (0.5, "")
    (folder / "champion").mkdir()
    (folder / "champion" / "recipe.json").write_text(
        json.dumps({"trial": "resnet18/tricks/001", "score": 0.51})
    )
    assert (state_of(folder).score, state_of(folder).champion) == (0.51, "resnet18/tricks/001")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "50.0 "),
        ({"score": "accuracy"}, "50.0 "),
        ({"score": "balanced_accuracy"}, "50.0 (balanced)"),
        ({"score": "macro_f1"}, "50.0 (F1)"),
        ({"score": ["odd"]}, "50.0 "),
    ],
)
def test_a_best_that_is_not_accuracy_says_what_it_is(
    options: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(tmp_path, events=ALL, options=options)
    assert main(["--storage", str(tmp_path)]) == 0
    assert said in capsys.readouterr().out


def test_events_that_mlflow_lacks_are_counted(tmp_path: Path) -> None:
    folder = sweep(tmp_path, events=ALL)
    deliver(folder, but=3)
    assert state_of(folder).undelivered == 3
    (folder / "mlflow.offset").unlink()
    assert state_of(folder).undelivered == 13


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
    folder = sweep(tmp_path)
    (folder / file).write_bytes(text.encode("latin-1"))
    found = state_of(folder)
    assert found.state == "damaged"
    assert found.reason
    assert "\n" not in found.reason


def test_a_torn_last_line_is_no_damage(tmp_path: Path) -> None:
    folder = sweep(tmp_path, events=ALL)
    with (folder / "trials.jsonl").open("a") as journal:
        journal.write('{"event": "fin')
    assert (state_of(folder).state, state_of(folder).done) == ("interrupted", 4)


def test_all_are_listed_newest_first_with_the_command_that_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(tmp_path, "old", ALL, started="2025-01-01T00:00:00+00:00")
    sweep(tmp_path, "newest", [*ALL, *finish()], started="2025-12-01T00:00:00+01:00")
    deliver(sweep(tmp_path, "newer", ALL[:3], started="2025-11-30T23:30:00+00:00"), but=1)
    (tmp_path / "sweeps" / "foreign").mkdir()
    (tmp_path / "sweeps" / ".0123.gone").mkdir()
    assert [found.name for found in all_sweeps(tmp_path)] == ["newer", "newest", "old", "foreign"]
    assert main(["--storage", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert f"  python sweeps/depth_vs_tricks.py --resume newer --storage {tmp_path}\n" in said.out
    assert f"  dvt sync newer --storage {tmp_path}\n" in said.out
    assert "foreign is damaged: it has no sweep.json" in said.out
    assert "75.0" not in said.out
    assert " 50.0 " in said.out
    assert said.out.count("--resume") == 1


def test_the_default_storage_needs_no_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    assert capsys.readouterr().out == "No sweeps in mlruns.\n"
    sweep(tmp_path / "mlruns")
    assert main([]) == 0
    assert "--resume one\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--storag", "x"], "Did you mean '--storage'?"),
        (["newest"], "'newest' is no flag of dvt list."),
        (["--storage", ""], "--storage must be"),
        (["--storage"], "--storage"),
        (["--storage", __file__], "cannot"),
    ],
)
def test_a_bad_flag_is_refused_in_a_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(line.startswith("error: ") for line in lines)
    assert said in lines[0]


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "Usage: dvt list" in capsys.readouterr().out


def test_it_needs_nothing_heavy_and_answers_within_a_second(tmp_path: Path) -> None:
    for number in range(20):
        sweep(tmp_path, f"s{number}", [*ALL, *finish()])
    code = f"from sweeps.commands.list import main; main(['--storage', {str(tmp_path)!r}]); import sys; "
    code += "print([name for name in ('torch', 'ray', 'mlflow', 'optuna') if name in sys.modules])"
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert time.perf_counter() - started < 3, "a second, and what a busy machine adds"
    assert done.stdout.endswith("[]\n")
