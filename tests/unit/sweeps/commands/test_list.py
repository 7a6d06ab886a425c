"""What `dvt list` shows of a storage, and how it says to go on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sweeps.commands import dvt
from sweeps.records.status import all_sweeps
from tests.unit.sweeps.journals import ALL, deliver, finished, write_sweep

ROOT = Path(__file__).parents[4]


def run(*arguments: str) -> int:
    return dvt.run(["list", *arguments])


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
    write_sweep(tmp_path, lines=ALL, options=options)
    assert run("--storage", str(tmp_path)) == 0
    assert said in capsys.readouterr().out


def test_all_are_listed_newest_first_with_the_command_that_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(tmp_path, "old", ALL, started="2025-01-01T00:00:00+00:00")
    write_sweep(tmp_path, "newest", [*ALL, finished()], started="2025-12-01T00:00:00+01:00")
    deliver(write_sweep(tmp_path, "newer", ALL[:3], started="2025-11-30T23:30:00+00:00"), but=1)
    (tmp_path / "sweeps" / "foreign").mkdir()
    (tmp_path / "sweeps" / ".0123.gone").mkdir()
    assert [found.name for found in all_sweeps(tmp_path)] == ["newer", "newest", "old", "foreign"]
    assert run("--storage", str(tmp_path)) == 0
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
    assert run() == 0
    assert capsys.readouterr().out == f"No sweeps in {tmp_path}/mlruns.\n"
    write_sweep(tmp_path / "mlruns")
    assert run() == 0
    assert "--resume one\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--storag", "x"], "Did you mean '--storage'?"),
        (["newest"], "unexpected argument 'newest' of dvt list."),
        (["--storage", ""], "--storage must be"),
        (["--storage"], "--storage"),
        (["--storage", __file__], "cannot"),
    ],
)
def test_a_bad_flag_is_refused_in_a_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(line.startswith("error: ") for line in lines)
    assert said in lines[0]


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "Usage: dvt list" in capsys.readouterr().out


def test_it_needs_nothing_heavy_and_answers_within_a_second(tmp_path: Path) -> None:
    for number in range(20):
        write_sweep(tmp_path, f"s{number}", [*ALL, finished()])
    code = f"from sweeps.commands import dvt; dvt.run(['list', '--storage', {str(tmp_path)!r}]); "
    code += "import sys; heavy = ('torch', 'ray', 'mlflow', 'optuna', 'pandas'); "
    code += "print([name for name in heavy if name in sys.modules])"
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert time.perf_counter() - started < 3, "a second, and what a busy machine adds"
    assert done.stdout.endswith("[]\n")
