"""`dvt` itself: its help, what it imports, and a study that does not run itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.commands import dvt
from tests.unit.sweeps.journals import ALL, write_sweep

ROOT = Path(__file__).parents[4]
HEAVY = ("torch", "ray", "mlflow", "pandas", "optuna", "scipy", "plotly", "sklearn")


def test_help_lists_every_command_and_study(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        assert dvt.run(arguments) == 0
        said = capsys.readouterr().out
        for name in (*dvt.COMMANDS, "depth_vs_tricks", "two_stage"):
            assert name in said


@pytest.mark.parametrize("name", dvt.COMMANDS)
def test_each_command_is_a_module_with_a_command(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run([name, "--help"]) == 0
    assert f"Usage: dvt {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lst"], "Did you mean 'list'?"),
        (["run", "two_stag"], "Did you mean 'two_stage'?"),
        (["run"], "Known: "),
    ],
)
def test_an_unknown_name_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_a_study_that_does_not_end_with_main_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dvt, "SWEEPS", tmp_path)
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
    monkeypatch.setattr(dvt, "SWEEPS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["dvt"])
    (tmp_path / "mine.py").write_text("import sys\nprint(__name__, *sys.argv)\nsys.exit(3)\n")
    with pytest.raises(SystemExit) as stopped:
        dvt.run(["run", "mine", "--gpus", "2"])
    assert stopped.value.code == 3
    assert capsys.readouterr().out == f"__main__ {tmp_path}/mine.py --gpus 2\n"


@pytest.mark.parametrize("command", [["--help"], ["list"], ["clean"], ["report"]])
def test_what_only_looks_imports_nothing_heavy(tmp_path: Path, command: list[str]) -> None:
    """Each of them takes a second or more to import, torch and MLflow several."""
    write_sweep(tmp_path / "mlruns", lines=ALL)
    code = (
        f"import sys; from sweeps.commands import dvt; dvt.run({command!r}); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
