"""The doctor and a start find the same of a storage: its locks too, and those of its cache."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from cluster.refused import Refused
from sweeps.checks import folders
from sweeps.checks.finding import Subject
from sweeps.checks.table import check_start


def test_a_file_system_without_locks_fails_the_check_and_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Subject(address="local", storage=tmp_path / "runs", cache=tmp_path / "cache")
    assert [finding.state for finding in folders.storage(subject)] == ["ok"]

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    for check in (folders.storage, folders.cache):
        (finding,) = check(subject)
        assert finding.state == "failed"
        assert "has none (No locks available)" in finding.line
    with pytest.raises(Refused) as refused:
        check_start(subject)
    assert len(refused.value.problems) == 2
