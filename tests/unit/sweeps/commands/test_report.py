"""`dvt report`: what it refuses, and what it says."""

from __future__ import annotations

import json
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


def test_without_a_name_it_is_the_newest_and_is_named_on_stderr(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = storage / "sweeps" / "one" / "sweep.json"
    latest = {"started": "2099-01-01T00:00:00+00:00"}
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | latest))
    assert dvt.run(["report", "--storage", str(storage)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == f"{storage}/sweeps/one/report.html"
    assert err == "Sweep: one\n"


def test_a_part_of_a_name_is_enough(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dvt.run(["report", "oth", "--storage", str(storage)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == f"{storage}/sweeps/other/report.html"
    assert err == "Sweep: other\n"


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
        f"error: no sweep named 'onee' in {storage}. Did you mean 'one'? Known: one, other."
    ]


def test_names_that_leave_the_folder_are_unknown(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no sweep named" in refused(capsys, "../sweeps/one", "--storage", str(storage))[0]


@pytest.mark.parametrize(
    ("names", "part"),
    [
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
        f"error: no sweeps in {tmp_path}: run one, or choose another --storage."
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
