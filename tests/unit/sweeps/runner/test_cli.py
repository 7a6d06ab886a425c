"""A study's command line, from flags to exit status: who may resume, and what is read when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweeps.depth_vs_tricks import STUDY
from sweeps.records.folder import claimed
from sweeps.records.history import History, read_history
from sweeps.runner import cli, resume
from tests.unit.sweeps import journals
from tests.unit.sweeps.journals import ALL, other_driver, resumed, write_sweep


def sweep(storage: Path, lines: list[journals.Line]) -> Path:
    options: dict[str, Any] = {"preset": "demo", "seed": 0, "tracking_uri": None}
    return write_sweep(storage, "night", lines, options=options, finalist_seeds=[])


def run(storage: Path, *flags: str) -> int:
    return cli.run(STUDY, ["--resume", "night", "--storage", str(storage), *flags])


@pytest.fixture
def held_when_read(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note each time that a journal is read whether its sweep is held."""
    noted: list[bool] = []

    def read(journal: Path) -> History:
        with claimed(journal.parent) as free:
            noted.append(not free)
        return read_history(journal)

    monkeypatch.setattr(resume, "read_history", read)
    return noted


def test_a_resume_holds_the_sweep_before_it_reads_the_journal(
    tmp_path: Path, held_when_read: list[bool], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep(tmp_path, [*ALL, journals.finished(partial=False)])
    assert run(tmp_path) == 0
    assert held_when_read == [True]
    said = capsys.readouterr().out
    assert said == (
        "night is finished: all 4 trials and 0 finalist runs are done. "
        "A higher --trials or --seeds extends it.\n"
    )
    with claimed(folder) as free:
        assert free, "it is held no longer than it is run"


@pytest.mark.parametrize("torn", [False, True])
def test_a_sweep_that_another_process_runs_is_refused_and_its_journal_not_read(
    tmp_path: Path, held_when_read: list[bool], torn: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other one may be writing: whatever is in the journal says nothing yet."""
    folder = sweep(tmp_path, [*ALL, journals.finished(partial=False), resumed()])
    if torn:
        journal = folder / "trials.jsonl"
        journal.write_bytes(b'{"event": "tri\n' + journal.read_bytes())
    before = (folder / "trials.jsonl").read_bytes()
    with other_driver(folder):
        assert run(tmp_path) == 2
    assert held_when_read == []
    assert (folder / "trials.jsonl").read_bytes() == before
    said = capsys.readouterr()
    assert said.err == (
        "error: night is being run by another process: wait for it, or stop it first.\n"
    )
    assert said.out == ""


def test_a_sweep_that_is_not_there_is_one_line_and_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path) == 2
    assert capsys.readouterr().err == (
        f"error: no sweeps in {tmp_path}: run one, or choose another --storage.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_a_name_resumes_the_sweep_that_alone_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(tmp_path, [*ALL, journals.finished(partial=False)])
    assert cli.run(STUDY, ["--resume", "igh", "--storage", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Sweep: night"
    assert said[1].startswith("night is finished: ")
