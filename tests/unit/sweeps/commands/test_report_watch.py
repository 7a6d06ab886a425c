"""`dvt report --watch`: the page is rebuilt while the sweep runs, and then for the last time."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.commands import dvt, report
from sweeps.records.status import State, SweepStatus, status_of
from sweeps.report import page

ASKED = {"arms": ("resnet18/plain",), "trials": 3, "images": 40, "seeds": (0, 1, 2)}
RELOADS = "location.reload()"

Watch = Callable[..., int]


class Sweep:
    """A sweep that runs for some looks, and whose journal grows between some of them."""

    def __init__(self, folder: Path, looks: int, grows: set[int]) -> None:
        self.folder = folder
        self.built: list[int] = []
        self.left = looks
        self.slept: list[float] = []
        self._grows = grows

    def status(self, folder: Path) -> SweepStatus:
        """Return `running` for some looks."""
        self.left -= 1
        state: State = "running" if self.left >= 0 else "finished"
        return replace(status_of(folder), state=state)

    def sleep(self, seconds: float) -> None:
        """Let the journal grow, if it does now."""
        self.slept.append(seconds)
        assert RELOADS in self.page
        if len(self.slept) in self._grows:
            journal = self.folder / "trials.jsonl"
            lines = journal.read_text().splitlines(keepends=True)
            journal.write_text("".join([*lines, lines[-1]]))

    @property
    def page(self) -> str:
        """Return the page as it is now."""
        return (self.folder / "report.html").read_text()


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Return a sweep that is seen to run five times and grows before the third and fifth look."""
    sweep = Sweep(make(tmp_path, "one", **ASKED), looks=5, grows={2, 4})
    write = page.write

    def counted(folder: Path, ended: str = "", reload_s: int = 0) -> Any:
        sweep.built.append(reload_s)
        return write(folder, ended, reload_s)

    monkeypatch.setattr(report, "status_of", sweep.status)
    monkeypatch.setattr(report, "sleep", sweep.sleep)
    monkeypatch.setattr(page, "write", counted)
    return sweep


def test_the_page_is_rebuilt_when_the_journal_has_grown_and_once_more_at_the_end(
    watched: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(["report", "--watch", "one", "--storage", str(tmp_path)]) == 0
    assert watched.slept == [10] * 5
    assert watched.built == [10, 10, 10, 0]
    assert RELOADS not in watched.page
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "Rebuilt while one runs (Ctrl-C to stop):",
        str(watched.folder / "report.html"),
    ]
    assert lines[2].startswith("Ship resnet18/plain/")


def test_ctrl_c_leaves_a_page_that_is_not_loaded_again(
    watched: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "sleep", interrupted)
    assert dvt.run(["report", "--watch", "one", "--storage", str(tmp_path)]) == 130
    assert watched.built == [10, 0]
    assert RELOADS not in watched.page


def test_open_shows_the_page_once_and_at_the_beginning(
    watched: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, int]] = []
    monkeypatch.setattr(webbrowser, "open", lambda page: shown.append((page, len(watched.slept))))
    assert dvt.run(["report", "--watch", "one", "--open", "--storage", str(tmp_path)]) == 0
    assert shown == [((watched.folder / "report.html").as_uri(), 0)]


def test_a_sweep_that_does_not_run_is_built_once(
    watched: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched.left = 0
    assert dvt.run(["report", "--watch", "one", "--storage", str(tmp_path)]) == 0
    assert watched.built == [0]
    assert "Rebuilt while" not in capsys.readouterr().out


def test_without_a_name_the_newest_is_watched(watched: Sweep, tmp_path: Path) -> None:
    later = {"started": "2025-11-23T01:06:00+00:00"}
    newest = make(tmp_path, "later", **ASKED, described=later)
    watched.left = 0
    assert dvt.run(["report", "--watch", "--storage", str(tmp_path)]) == 0
    assert (newest / "report.html").is_file()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["one", "other"], "--watch takes one sweep, but got 2: one other."),
        (["gone"], "no sweep named 'gone' in "),
    ],
)
def test_what_cannot_be_watched_is_refused(
    watched: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str], names: list[str], said: str
) -> None:
    assert dvt.run(["report", "--watch", *names, "--storage", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")
    assert watched.built == []


def test_a_storage_without_a_sweep_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(["report", "--watch", "--storage", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: no sweeps in {tmp_path}: ")
