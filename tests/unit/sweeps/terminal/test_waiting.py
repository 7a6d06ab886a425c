"""What is done while nothing else moves has a line that turns and counts, on a terminal alone."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from sweeps.terminal import waiting as module
from sweeps.terminal.waiting import Waits, waiting


class Clock:
    """Stands in for the time module's clock."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def _line(waits: Waits, *, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=80)
    console.print(waits)
    stream.seek(0)
    return stream.read()


def test_the_innermost_is_shown_with_its_own_seconds(clock: Clock) -> None:
    waits = Waits()
    assert _line(waits) == ""
    with waits.doing("Building the report"):
        clock.now += 61
        assert _line(waits)[1:] == " Building the report  1m01s\n"
        with waits.doing("Loading pandas"):
            clock.now += 3
            assert _line(waits)[1:] == " Loading pandas  3s\n"
        assert _line(waits)[1:] == " Building the report  1m04s\n"
    assert _line(waits) == ""


def test_each_look_turns_it(clock: Clock) -> None:
    waits = Waits()
    frames = set()
    with waits.doing("Starting Ray"):
        for _ in range(10):
            frames.add(_line(waits)[0])
            clock.now += 1 / module.REFRESHED_PER_S
    assert len(frames) == 10


def test_where_the_encoding_is_ascii_it_turns_in_ascii(clock: Clock) -> None:
    waits = Waits()
    with waits.doing("Starting Ray"):
        assert _line(waits, encoding="ascii") == "- Starting Ray  0s\n"


def test_what_fails_is_shown_no_longer(clock: Clock) -> None:
    waits = Waits()
    with pytest.raises(OSError, match="full"), waits.doing("Decoding images"):
        raise OSError("the disk is full")
    assert waits.now() is None


@pytest.fixture
def screen_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], Console]:
    def make(terminal: bool) -> Console:
        console = Console(
            file=io.StringIO(), force_terminal=terminal, force_interactive=terminal, width=80
        )
        monkeypatch.setattr(module, "screen", lambda *, stderr: console)
        return console

    return make


def test_where_stderr_is_no_terminal_nothing_is_shown(
    screen_of: Callable[[bool], Console],
) -> None:
    console = screen_of(False)
    with waiting("Loading the model"):
        console.print("a line")
    assert console.file.getvalue() == "a line\n"  # type: ignore[attr-defined]


def test_lines_said_meanwhile_stay_and_the_spinner_goes(
    screen_of: Callable[[bool], Console],
) -> None:
    console = screen_of(True)
    with waiting("Loading the model"):
        console.print("a line")
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert "a line\n" in written
    assert "Loading the model" in written
    after = written.rpartition("Loading the model")[2]
    assert "\x1b[2K" in after, "its line is erased"
    assert "\x1b[?25h" in after, "the cursor is back"
