"""`dvt resume`: which sweep it continues, by which study's file, and with which options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweeps.commands import dvt, resume, run
from tests.unit.sweeps.journals import ALL, finished, write_sweep


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Note what is run, and with which words, instead of running it."""
    noted: list[list[str]] = []

    def note(path: Path, arguments: list[str]) -> int:
        noted.append([str(path), *arguments])
        return 0

    monkeypatch.setattr(resume, "run_file", note)
    return noted


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a storage whose newest sweep is finished, and the one before was interrupted."""
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path, "old", ALL, started="2025-11-01T00:00:00+00:00")
    write_sweep(tmp_path, "night", ALL, started="2025-11-02T00:00:00+00:00")
    write_sweep(tmp_path, "whole", [*ALL, finished()], started="2025-11-03T00:00:00+00:00")
    return tmp_path


STUDY = str(run.SWEEPS / "depth_vs_tricks.py")


def test_without_a_name_it_is_the_newest_that_was_interrupted(
    storage: Path, started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(["resume", "--storage", str(storage)]) == 0
    assert started == [[STUDY, "--resume", "night", "--storage", str(storage)]]
    assert capsys.readouterr() == ("", "Sweep: night\n")


def test_a_part_of_a_name_chooses_and_options_are_passed_on_as_typed(
    storage: Path, started: list[list[str]]
) -> None:
    words = ["--time-limit", "1h30m", "who", "--seeds=20", "--storage", str(storage), "-v"]
    assert dvt.run(["resume", *words]) == 0
    given = ["--time-limit", "1h30m", "--seeds", "20", "--storage", str(storage), "--verbose"]
    assert started == [[STUDY, "--resume", "whole", *given]]


def test_the_file_that_started_it_is_preferred(storage: Path, started: list[list[str]]) -> None:
    manifest = storage / "sweeps" / "night" / "sweep.json"
    described = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(described | {"command": "python mine.py --gpus 2"}))
    (storage / "mine.py").touch()
    assert dvt.run(["resume", "--storage", str(storage)]) == 0
    assert started[0][:3] == ["mine.py", "--resume", "night"]


def test_a_notebooks_sweep_of_a_study_that_has_a_file_continues_by_that(
    tmp_path: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = {
        "command": "run_sweep(depth_vs_tricks, preset='demo', data='x.py')",
        "submitted": "run_sweep(STUDY, resume='night')",
    }
    write_sweep(tmp_path, "night", ALL, **notebook)
    assert dvt.run(["resume", "--storage", str(tmp_path)]) == 0
    assert started[0][:3] == [STUDY, "--resume", "night"]


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"submitted": "dvt submit x -- --resume night"}, "night was submitted as a job: "),
        (
            {"study": "gone", "submitted": "run_sweep(STUDY, resume='night')"},
            "night has its study in a notebook: continue it there by  run_sweep(STUDY, ",
        ),
        ({"study": "gone"}, "the study's file must be here, but there is no sweeps/gone.py"),
    ],
)
def test_a_sweep_that_is_continued_elsewhere_is_refused(
    tmp_path: Path,
    started: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    described: dict[str, str],
    said: str,
) -> None:
    write_sweep(tmp_path, "night", ALL, **described)
    assert dvt.run(["resume", "--storage", str(tmp_path)]) == 2
    assert f"error: {said}" in capsys.readouterr().err
    assert started == []


def test_where_none_was_interrupted_it_says_so(
    tmp_path: Path, started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(tmp_path, "whole", [*ALL, finished()])
    assert dvt.run(["resume", "--storage", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: no interrupted sweep in {tmp_path}: ")


@pytest.mark.parametrize("option", ["--data", "--preset", "--resume", "--dry-run", "--name"])
def test_what_belongs_to_a_new_sweep_is_unknown(
    storage: Path, option: str, started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(["resume", option, "x", "--storage", str(storage)]) == 2
    assert f"unknown option '{option}' of dvt resume." in capsys.readouterr().err
