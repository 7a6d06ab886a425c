"""Commands that are to be copied into a shell, who holds a sweep, and how large it is."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from sweeps.records.folder import (
    at,
    claimed,
    freed_by,
    known_sweeps,
    resume_command,
    size_of,
)
from tests.unit.sweeps.journals import other_driver, write_sweep

SPACED = Path("/my runs/$HOME")


def test_a_storage_with_a_space_is_one_word_of_the_command() -> None:
    command = resume_command("sweeps/two_stage.py", "night", SPACED)
    assert command == "python sweeps/two_stage.py --resume night --storage '/my runs/$HOME'"
    assert shlex.split(f"dvt sync night{at(SPACED)}") == [
        *("dvt", "sync", "night"),
        *("--storage", "/my runs/$HOME"),
    ]


def test_a_study_and_flags_with_a_space_are_one_word_each() -> None:
    flags = ["--address", "ray head:6379"]
    command = resume_command("my studies/x.py", "night", SPACED, flags=flags)
    assert shlex.split(command) == [
        *("python", "my studies/x.py", "--resume", "night"),
        *("--address", "ray head:6379", "--storage", "/my runs/$HOME"),
    ]


def test_the_default_storage_of_the_working_folder_needs_no_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for storage in (Path("mlruns"), tmp_path / "mlruns"):
        assert resume_command("s.py", "night", storage) == "python s.py --resume night"
        assert at(storage) == ""


def test_in_a_working_folder_that_was_deleted_the_storage_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert at(tmp_path / "mlruns") == f" --storage {tmp_path}/mlruns"


def test_what_was_submitted_goes_on_as_it_was_submitted() -> None:
    submitted = "dvt submit 'my studies/x.py' -- --resume night"
    assert resume_command("x.py", "night", SPACED, submitted=submitted) == submitted


def test_one_process_claims_a_sweep_and_those_that_only_look_keep_nobody_out(
    tmp_path: Path,
) -> None:
    folder = write_sweep(tmp_path)
    with other_driver(folder):
        with claimed(folder) as free:
            assert not free
        with claimed(folder, shared=True) as free:
            assert not free
    with claimed(folder, shared=True), claimed(folder, shared=True) as free:
        assert free
    with claimed(folder) as free, claimed(folder) as again:
        assert (free, again) == (True, False)


def test_a_folder_without_a_lock_is_free_and_gets_one_only_where_it_is_asked_for(
    tmp_path: Path,
) -> None:
    with claimed(tmp_path) as free:
        assert free
    assert list(tmp_path.iterdir()) == []
    with claimed(tmp_path, make=True) as free:
        assert free
    assert [path.name for path in tmp_path.iterdir()] == ["driver.lock"]


def test_known_sweeps_have_a_manifest_or_a_journal(tmp_path: Path) -> None:
    assert known_sweeps(tmp_path) == []
    for name in ("whole", "torn", "lost", ".gone"):
        write_sweep(tmp_path, name)
    (tmp_path / "sweeps" / "torn" / "sweep.json").unlink()
    (tmp_path / "sweeps" / "lost" / "trials.jsonl").unlink()
    (tmp_path / "sweeps" / "foreign").mkdir()
    assert known_sweeps(tmp_path) == ["lost", "torn", "whole"]


def test_a_file_with_two_names_counts_once_and_goes_with_the_last_of_them(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "one").write_bytes(bytes(1000))
    (inside / "same").hardlink_to(inside / "one")
    (inside / "other").write_bytes(bytes(30))
    (inside / "link").symlink_to(inside / "one")
    link = (inside / "link").lstat().st_size
    assert size_of(inside) == freed_by([inside]) == 1030 + link
    assert freed_by([inside / "one"]) == 0
    assert freed_by([inside / "one", inside / "same"]) == 1000
    (outside / "too").hardlink_to(inside / "one")
    assert size_of(inside) == 1030 + link
    assert freed_by([inside]) == 30 + link
    assert freed_by([inside, outside]) == 1030 + link
    assert size_of(tmp_path / "gone") == freed_by([tmp_path / "gone"]) == 0
