"""`dvt report`: what it refuses, and what it says."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.commands import dvt

ASKED = {"arms": ("resnet18/plain",), "trials": 5, "images": 40, "seeds": (0, 1, 2)}


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    make(tmp_path, "one", **ASKED)
    make(tmp_path, "other", **ASKED)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert dvt.run(["report", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_it_writes_its_files_and_prints_answer_table_and_paths(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(["report", "one", "--storage", str(storage)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Ship resnet18/plain/000: this model classifies ")
    assert "completed" in out
    assert "Equal trials: 5 in each arm." in out
    folder = storage / "sweeps" / "one"
    names = ("suspects.csv", "comparisons.csv", "results.csv", "report.html")
    assert out.splitlines()[-4:] == [f"{folder}/{name}" for name in names]
    assert all((folder / name).is_file() for name in names)


def test_two_names_compare(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dvt.run(["report", "one", "other", "--storage", str(storage)]) == 0
    assert "second − first" in capsys.readouterr().out
    assert (storage / "sweeps" / "one" / "compare-other.html").is_file()


def test_open_shows_the_page(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", shown.append)
    assert dvt.run(["report", "one", "--storage", str(storage), "--open"]) == 0
    assert shown == [(storage / "sweeps" / "one" / "report.html").as_uri()]


def test_an_unknown_name_lists_the_known_ones(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "onee", "--storage", str(storage))
    assert said == [
        f"error: unknown sweep 'onee' in {storage}. Did you mean 'one'? Known: one, other."
    ]


def test_names_that_leave_the_folder_are_unknown(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "unknown sweep" in refused(capsys, "../sweeps/one", "--storage", str(storage))[0]


@pytest.mark.parametrize(
    ("names", "part"),
    [
        ([], "needs the name of a sweep"),
        (["one", "other", "one"], "or two to compare, but got 3"),
        (["one", "one"], "both are one"),
    ],
)
def test_a_wrong_number_of_names_is_refused(
    storage: Path, capsys: pytest.CaptureFixture[str], names: list[str], part: str
) -> None:
    said = refused(capsys, *names, "--storage", str(storage))
    assert len(said) == 1
    assert part in said[0]


def test_an_empty_storage_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "one", "--storage", str(tmp_path)) == [
        f"error: {tmp_path} holds no sweep."
    ]


def test_an_unknown_flag_lists_the_known_ones(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "one", "--jsno", "--storage", str(storage))
    assert "--jsno" in said[0]
    assert "--open" in said[0]


def test_help_explains(capsys: pytest.CaptureFixture[str]) -> None:
    assert dvt.run(["report", "--help"]) == 0
    assert "compare two sweeps" in " ".join(capsys.readouterr().out.split())


def test_a_folder_that_cannot_be_written_is_one_line(
    storage: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "taken")
    (storage / "sweeps" / "one" / ".results.csv.taken.tmp").mkdir()
    said = refused(capsys, "one", "--storage", str(storage))
    assert len(said) == 1
    assert "must be writable" in said[0]
