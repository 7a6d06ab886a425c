"""`dvt predict` says how to get the model that it lacks."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from PIL import Image

from sweeps.commands import dvt
from tests.unit.sweeps.journals import ALL, finished, write_sweep


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


def test_without_a_choice_the_newest_finished_sweep_with_a_champion_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(image)
    words = ["predict", "--storage", str(tmp_path), str(image)]
    whole = [*ALL, finished(partial=False)]
    for day, (name, lines, kept) in enumerate(
        [
            ("older", whole, True),
            ("chosen", whole, True),
            ("without", whole, False),
            ("night", ALL, True),
        ],
        1,
    ):
        folder = write_sweep(tmp_path, name, lines, started=f"2025-11-{day:02}T00:00:00+00:00")
        if kept:
            (folder / "champion").mkdir()
            (folder / "champion" / "best.pt").write_bytes(b"no checkpoint")
    assert dvt.run(words) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "Sweep: chosen"
    assert second.startswith(f"error: {tmp_path}/sweeps/chosen/champion/best.pt must be a whole")

    for name in ("older", "chosen"):
        (tmp_path / "sweeps" / name / "champion" / "best.pt").unlink()
    assert dvt.run(words) == 2
    assert capsys.readouterr().err == (
        f"error: no sweep in {tmp_path} is finished and has a champion: "
        "choose a model with --sweep NAME or --model URI.\n"
    )
