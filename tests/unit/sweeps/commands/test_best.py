"""`dvt best PATH`: find_best on a folder of images, with a preset that suits the machine."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from sweeps.commands import best, dvt, run
from sweeps.find_best import STUDY
from sweeps.runner.options import command, parse


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Note the words of the study instead of running it."""
    noted: list[list[str]] = []

    def note(path: Path, arguments: list[str]) -> int:
        assert path == run.SWEEPS / "find_best.py"
        noted.append(arguments)
        return 0

    monkeypatch.setattr(best, "run_file", note)
    return noted


def gpus(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr("trainables.device.count_gpus", lambda: number)


@pytest.mark.parametrize(
    ("there", "words", "given"),
    [
        (0, ["photos/"], ["--data", "photos/", "--preset", "laptop"]),
        (1, ["photos/"], ["--data", "photos/"]),
        (0, ["photos/", "--preset", "full"], ["--data", "photos/", "--preset", "full"]),
        (1, ["--preset=laptop", "photos/"], ["--data", "photos/", "--preset", "laptop"]),
        (1, ["photos/", "--gpus", "0"], ["--data", "photos/", "--gpus", "0", "--preset", "laptop"]),
        (0, ["photos/", "--address", "auto"], ["--data", "photos/", "--address", "auto"]),
    ],
)
def test_without_a_gpu_the_preset_is_laptop_unless_one_is_named(
    there: int,
    words: list[str],
    given: list[str],
    started: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gpus(monkeypatch, there)
    assert dvt.run(["best", *words]) == 0
    assert started == [given]
    parse(command(STUDY.name, ""), given)
    chosen = "laptop" in given and "laptop" not in " ".join(words)
    assert capsys.readouterr().out.startswith("Preset: laptop, since no GPU is used") == chosen


def test_all_that_is_wrong_is_said_before_anything_heavy(
    started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(["best", "--trials", "0", "--resume"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["--trials", "unknown"]
    assert "'--resume' of dvt best." in lines[1]
    assert dvt.run(["best", "a\nb"]) == 2
    assert capsys.readouterr().err.startswith("error: PATH must be a value without line breaks")
    assert dvt.run(["best"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: PATH must be your images, but is missing: give a folder of class folders"
    )
    assert started == []


def test_help_has_sections_and_examples_that_are_taken(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpus(monkeypatch, 1)
    assert dvt.run(["best", "--help"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "\nWhat is compared:\n" in said
    assert "\nContinuing:\n" not in said
    examples = [line.strip() for line in said.splitlines() if line.startswith("  dvt best ")]
    assert len(examples) == 5
    for example in examples:
        assert dvt.run(shlex.split(example)[1:]) == 0
