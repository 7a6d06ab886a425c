"""The folder in which a command is given, and what its refusals must not show."""

import os
from pathlib import Path

import pytest

from cluster.refused import Refused
from sweeps.runner.options import command, parse

STUDY = command("study", "A question?")


def test_a_folder_whose_name_is_no_utf8_is_refused_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    odd.mkdir()
    monkeypatch.chdir(odd)
    with pytest.raises(Refused) as refused:
        parse(STUDY, ["--preset", "demo"])
    assert refused.value.problems == (
        f"The working folder must have a name in UTF-8, but it is {str(odd)!r}: start in another "
        "one.",
    )
    assert refused.value.problems[0].isascii()


def test_a_folder_that_was_deleted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(
        Refused, match="The working folder must exist, but it was deleted: change to another one"
    ):
        parse(STUDY, ["--preset", "demo"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tracking-uri", "http://anna:secret@host/\n"],
        ["http://anna:secret@host"],
        ["--trackinguri=http://a:secret@h"],
    ],
)
def test_a_refused_uri_is_shown_without_its_password(arguments: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        parse(STUDY, arguments)
    assert "secret" not in str(refused.value)
