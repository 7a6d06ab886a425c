"""Waiting for GPUs of a cluster that grows; no Ray here."""

import contextlib
from collections.abc import Iterator

import pytest

from cluster import nodes
from cluster.session import Nodes, SessionError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def _wait(wanted: int, found: list[int], timeout: float) -> tuple[bool, list[str], float]:
    clock, said = Clock(), []
    counts = iter(found)
    came = nodes.wait_for(
        wanted, lambda: next(counts), timeout, clock=clock, sleep=clock.sleep, say=said.append
    )
    return came, said, clock.now


def test_it_waits_until_all_are_there_and_says_what_changes() -> None:
    assert _wait(4, [0, 0, 2, 2, 4], 60) == (
        True,
        [f"{n} of 4 GPUs are there." for n in (0, 2, 4)],
        20,
    )


def test_it_gives_up_when_the_time_is_over() -> None:
    assert _wait(4, [0] * 9, 12) == (False, ["0 of 4 GPUs are there."], 12)


def test_nothing_is_waited_for_where_nothing_is_asked_for() -> None:
    assert _wait(0, [3], 0) == (True, ["3 of 0 GPUs are there."], 0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr(nodes, "_request", lambda address, number: found.append(number))
    monkeypatch.setattr(nodes, "_count", lambda address: 2)
    return found


def test_the_command_asks_and_says_whether_they_came(
    asked: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert nodes.main(["2"]) == 0
    assert nodes.main(["4", "--timeout", "0"]) == 1
    assert asked == [2, 4]
    assert capsys.readouterr().err == (
        "error: 4 GPUs must be there within 0 s, but they are not: look at `ray status`, "
        "ask for fewer, or wait longer with --timeout.\n"
    )


def test_a_head_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextlib.contextmanager
    def away(address: str, **resources: int) -> Iterator[Nodes]:
        raise SessionError("Ray must start or answer at --address 'auto', but does not.")
        yield ()

    monkeypatch.setattr(nodes, "session", away)
    assert nodes.main(["1", "--timeout", "0"]) == 2
    assert (
        capsys.readouterr().err
        == "error: Ray must start or answer at --address 'auto', but does not.\n"
    )
