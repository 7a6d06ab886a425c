"""`dvt` itself: its help, its version, unknown names, and what it imports."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from sweeps.commands import dvt
from tests.unit.sweeps.journals import ALL, write_sweep

ROOT = Path(__file__).parents[4]
HEAVY = ("torch", "ray", "mlflow", "pandas", "optuna", "scipy", "sklearn")


def test_help_lists_every_command_and_study(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        assert dvt.run(arguments) == 0
        said = capsys.readouterr().out
        assert all(f"\n  {name} " in said for name in dvt.COMMANDS)
        assert max(map(len, said.splitlines())) <= 80


def test_each_command_has_one_line_of_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert dvt.run([]) == 0
    said = capsys.readouterr().out
    for section in dvt.SECTIONS.values():
        for name, line in section.items():
            assert re.search(f"^  {name} +{re.escape(line)}$", said, re.MULTILINE), line


def test_the_version_is_the_installed_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert dvt.run(["--version"]) == 0
    assert capsys.readouterr().out == f"dvt {version('depth-vs-tricks')}\n"


@pytest.mark.parametrize("name", dvt.COMMANDS)
def test_each_command_is_a_module_with_a_command(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run([name, "--help"]) == 0
    assert f"Usage: dvt {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lst"], "unknown command 'lst'. Did you mean 'list'?"),
        (["run", "two_stag"], "unknown study 'two_stag' of dvt run. Did you mean 'two_stage'?"),
        (["run", "zzz"], "Known: augmentation_and_schedulers, "),
        (["--versoin"], "unknown option '--versoin'. Did you mean '--version'?"),
        (["run", "--al"], "unknown option '--al' of dvt run."),
        (["logs"], "JOB is missing. Usage: dvt logs [OPTIONS] JOB"),
        (["list", "--storage"], "--storage must be followed by its value, but nothing follows"),
        (["list", "--json=1"], "--json must be without a value, but is given one"),
        (["service", "upp"], "unknown command 'upp' of dvt service. Did you mean 'up'?"),
    ],
)
def test_an_unknown_name_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line


@pytest.mark.parametrize(
    "command", [["--help"], ["run", "--help"], ["list"], ["clean"], ["report", "--help"]]
)
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
