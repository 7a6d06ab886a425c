"""`dvt run`: the studies with their questions, and a study that is run as its file would be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.commands import dvt, run

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("arguments", [["run"], ["run", "--help"], ["run", "-h"]])
def test_without_a_study_the_studies_are_listed_with_their_questions(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(arguments) == 0
    said = capsys.readouterr().out
    assert all(f"\n  {name} " in said for name in run.studies())
    assert "find_best                    Which model is best for my folder of images?\n" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_study_that_cannot_be_read_is_listed_without_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "SWEEPS", tmp_path)
    (tmp_path / "mine.py").write_text("STUDY = (\n")
    assert dvt.run(["run"]) == 0
    assert "\n  mine" in capsys.readouterr().out


def test_the_help_of_a_study_says_how_it_was_called() -> None:
    command = "from sweeps.commands import dvt; dvt.run(['run', 'two_stage', '--help'])"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: dvt run two_stage [OPTIONS]\n")
    assert "\n  dvt run two_stage --preset demo\n" in done.stdout
    own = subprocess.run(
        [sys.executable, "sweeps/two_stage.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert own.stdout == done.stdout.replace("dvt run two_stage", "python sweeps/two_stage.py")


def test_a_study_that_does_not_end_with_main_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "SWEEPS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["dvt"])
    (tmp_path / "mine.py").write_text("STUDY = None\n")
    assert dvt.run(["run", "mine", "--gpus", "2"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"error: a study must end with main(STUDY), but {tmp_path}/mine.py does not: add it.\n"
    )


def test_a_study_is_run_as_its_file_would_be_and_its_status_is_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "SWEEPS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["dvt"])
    (tmp_path / "mine.py").write_text("import sys\nprint(__name__, *sys.argv)\nsys.exit(3)\n")
    with pytest.raises(SystemExit) as stopped:
        dvt.run(["run", "mine", "--gpus", "2"])
    assert stopped.value.code == 3
    assert capsys.readouterr().out == f"__main__ {tmp_path}/mine.py --gpus 2\n"
