"""A file under two names: what is put in place of one leaves the other alone."""

import os
from pathlib import Path

import pytest

from trainables.files import same_file, whole_file


def test_a_second_name_takes_no_room_and_stays_where_the_first_one_goes(tmp_path: Path) -> None:
    source, path = tmp_path / "best-1.pt", tmp_path / "best.pt"
    source.write_bytes(b"new")
    path.write_bytes(b"old")
    assert same_file(source, path)
    assert path.samefile(source)
    assert same_file(source, path), "again"
    with whole_file(source) as file:
        file.write(b"newer")
    assert (source.read_bytes(), path.read_bytes()) == (b"newer", b"new")
    source.unlink()
    assert [file.name for file in tmp_path.iterdir()] == ["best.pt"]


def test_where_a_disk_has_no_links_all_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, path = tmp_path / "best-1.pt", tmp_path / "best.pt"
    source.write_bytes(b"new")
    path.write_bytes(b"old")

    def refuse(*names: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    assert not same_file(source, path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
