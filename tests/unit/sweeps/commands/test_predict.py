"""`dvt predict` says how to get the model that it lacks."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from PIL import Image

from sweeps.commands import dvt
from tests.unit.sweeps.journals import ALL, write_sweep


def test_the_command_that_ends_an_interrupted_sweep_is_quoted_for_a_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = tmp_path / "my runs"
    write_sweep(storage, lines=ALL)
    image = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(image)
    assert dvt.run(["predict", "--sweep", "one", "--storage", str(storage), str(image)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is interrupted" in line
    command = line.partition("continue it: ")[2].removesuffix(".")
    assert shlex.split(command) == [
        *("python", "sweeps/depth_vs_tricks.py", "--resume", "one"),
        *("--storage", str(storage)),
    ]
