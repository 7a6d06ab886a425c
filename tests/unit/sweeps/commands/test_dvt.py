"""The console command's own work: its help, and what it refuses; all of it without heavy imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.commands import dvt

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_the_help_names_all_commands_and_studies(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(arguments) == 0
    said = capsys.readouterr().out
    words = {line.split()[1] for line in said.splitlines() if line.startswith("  dvt ")}
    assert words == {"run", *dvt.COMMANDS}
    assert "depth_vs_tricks" in said


@pytest.mark.parametrize("arguments", [["lst"], ["run", "depth_vs_trick"], ["run"]])
def test_an_unknown_name_is_refused_with_the_known_ones(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "Known: " in line


@pytest.mark.parametrize("command", ["--help", "doctor --help", "report --help"])
def test_a_help_loads_none_of_the_heavy_libraries(command: str) -> None:
    code = f"from sweeps.commands import dvt; import sys; dvt.run({command.split()!r}); "
    code += "heavy = {'torch', 'ray', 'mlflow', 'optuna', 'pandas', 'scipy', 'numpy'}; "
    code += "print(sorted(heavy & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")
