"""The table of checks: which the start of a sweep makes, and how it says what failed."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.refused import Refused
from sweeps.checks import folders, limits, machine, rays_variables, table
from sweeps.checks.finding import Finding, Subject
from sweeps.commands.doctor import CHECKS


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return Subject(address="local", storage=tmp_path / "runs", cache=tmp_path / "runs" / "cache")


@pytest.fixture(autouse=True)
def _as_ray_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)


def test_the_doctor_shows_every_check_of_the_table() -> None:
    assert list(CHECKS)[: len(table.TABLE)] == list(table.TABLE)


def test_a_start_on_a_sound_machine_says_nothing(subject: Subject) -> None:
    assert table.check_start(subject) == ()


def test_a_start_says_all_that_failed_with_its_mend(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "on")
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * 60)
    with pytest.raises(Refused) as refused:
        table.check_start(subject)
    assert [line.partition(" must")[0] for line in refused.value.problems] == [
        "RAY_TMPDIR",
        "RAY_AUTH_MODE",
    ]
    assert all(": " in line and line.endswith(".") for line in refused.value.problems)


def test_a_start_says_no_more_than_eight_lines(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_: Subject) -> Iterator[Finding]:
        for number in range(20):
            yield Finding("failed", f"{number}", "mend it.")

    monkeypatch.setattr(table, "TABLE", {"odd": table.Check(look=look, mend="", at_start=True)})
    with pytest.raises(Refused) as refused:
        table.check_start(subject)
    assert len(refused.value.problems) == table.MOST_LINES
    assert refused.value.problems[-1] == "13 more checks failed: dvt doctor says which."


def test_a_check_that_raises_has_failed(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(_: Subject) -> Iterator[Finding]:
        raise OSError("broken")

    check = table.Check(look=look, mend="mend it.", at_start=True)
    monkeypatch.setattr(table, "TABLE", {"odd": check})
    with pytest.raises(Refused, match=r"^OSError: broken: mend it\.$"):
        table.check_start(subject)


def test_a_cluster_that_is_named_but_not_used_is_said(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    (note,) = table.check_start(subject)
    assert "--address auto" in note
    joined = Subject(address="auto", storage=subject.storage, cache=subject.cache)
    assert table.check_start(joined) == ()


@pytest.mark.parametrize("extra", [0, 1])
def test_a_folder_may_be_as_long_as_the_sockets_allow(
    subject: Subject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, extra: int
) -> None:
    # As long as what Ray itself refuses, with this process's id.
    longest = 107 - len(
        f"/ray/session_2026-01-31_12-59-59_123456_{os.getpid()}/sockets/plasma_store"
    )
    place = Path("/tmp", "x" * (longest - len("/tmp/") + extra))
    monkeypatch.setattr(folders, "_written", lambda *_: Finding("ok", ""))
    monkeypatch.setenv("TMPDIR", str(place))
    (found,) = folders.temporary(subject)
    assert found.state == ("failed" if extra else "ok")
    if extra:
        assert "RAY_TMPDIR=/tmp" in found.mend


def test_few_open_files_are_refused(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    def getrlimit(what: int) -> tuple[int, int]:
        return (100, 100) if what == resource.RLIMIT_NOFILE else (-1, -1)

    monkeypatch.setattr(resource, "getrlimit", getrlimit)
    (found,) = limits.limits(subject)
    assert found.state == "failed"
    assert "128 files, but may open 100" in found.found


@pytest.mark.parametrize(
    ("memory", "state"), [(10**9, "failed"), (2 * 10**9, "warning"), (10**10, "ok")]
)
def test_memory_may_be_little_but_not_too_little(
    subject: Subject, monkeypatch: pytest.MonkeyPatch, memory: int, state: str
) -> None:
    monkeypatch.setattr(limits, "available_memory", lambda: memory)
    assert next(limits.memory(subject)).state == state


@pytest.mark.parametrize(
    ("address", "variables", "said"),
    [
        ("local", {"RAY_AUTH_MODE": "Token"}, "fits Ray's variables"),
        ("local", {"RAY_AUTH_MODE": ""}, "fits Ray's variables"),
        ("local", {"RAY_AUTH_MODE": "tokens"}, "RAY_AUTH_MODE must be token or disabled"),
        (
            "local",
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/nowhere"},
            "RAY_AUTH_TOKEN_PATH must be a file with Ray's token",
        ),
        ("auto", {"RAY_AUTH_MODE": "token"}, "needs the cluster's token"),
        ("auto", {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "x"}, "fits Ray's variables"),
    ],
)
def test_who_may_come_in_is_as_it_was_meant(
    subject: Subject,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    variables: dict[str, str],
    said: str,
) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    asked = Subject(address=address, storage=subject.storage, cache=subject.cache)
    (found,) = rays_variables.variables(asked)
    assert said in found.found


@pytest.mark.parametrize("value", ["", "-1", "NoDevFiles", "7", "GPU-8932f937", "MIG-GPU-8932/1/2"])
def test_the_variable_that_hides_gpus_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert machine.why_none() == f" (CUDA_VISIBLE_DEVICES is {value!r})"
