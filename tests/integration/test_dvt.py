"""The console command that stands for `python sweeps/x.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.integration.conftest import Ran, environment


def dvt(cwd: Path, *arguments: str) -> Ran:
    command = [str(Path(sys.executable).parent / "dvt"), *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr, cwd)


def test_it_runs_a_study_by_name(tmp_path: Path) -> None:
    done = dvt(tmp_path, "run", "depth_vs_tricks", "--preset", "demo", "--dry-run")
    assert done.code == 0, done.err
    assert "resnet18/tricks" in done.out
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_study_or_command_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = dvt(tmp_path, "run", "depth_vs_trick")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "Did you mean 'depth_vs_tricks'?" in done.err
    assert dvt(tmp_path, "fly").code == 2
    assert "depth_vs_tricks" in dvt(tmp_path, "run", "--help").out
