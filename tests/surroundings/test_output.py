"""Output is never a reason to fail: a sweep ends as if nobody watched, a command says one line."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from tests.surroundings.commands import Ran, dvt, environment, run, study, sweep
from tests.surroundings.records import statuses


@pytest.mark.timeout(400)
def test_a_sweep_whose_output_finds_no_room_comes_to_its_end(place: Path, cache: str) -> None:
    with Path("/dev/full").open("w") as full:
        ran = run(
            sweep(place / "small.py", "--name", "x"),
            place,
            stdout=full.fileno(),
            within=180,  # a whole sweep, on a machine that may be slow
            DVT_CACHE_DIR=cache,
        )
    assert ran.code == 0, ran.err
    assert "No space left on device): the sweep goes on, and `dvt report x` shows" in ran.err
    assert set(statuses(place)) == {"FINISHED"}
    assert "best of 2 completed trials" in run(dvt("report", "x"), place).out


@pytest.mark.slow
def test_a_sweep_whose_terminal_goes_away_comes_to_its_end(place: Path, cache: str) -> None:
    master, terminal = pty.openpty()
    sweep_ = subprocess.Popen(
        list(map(str, sweep(place / "small.py", "--name", "x"))),
        cwd=place,
        env=environment(DVT_CACHE_DIR=cache),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    os.read(master, 10)
    os.close(master)
    assert sweep_.wait(60) == 0
    assert set(statuses(place)) == {"FINISHED"}
    assert "best of 2 completed trials" in run(dvt("report", "x"), place).out


@pytest.mark.slow
def test_on_a_terminal_something_moves_from_the_first_second_of_a_sweep_to_its_end(
    place: Path, cache: str
) -> None:
    master, terminal = pty.openpty()
    began = time.monotonic()
    sweep_ = subprocess.Popen(
        list(map(str, sweep(study(place, seeds=1), "--name", "x"))),
        cwd=place,
        env=environment(DVT_CACHE_DIR=cache, TERM="xterm"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    said = b""
    moved = [began]
    # It ends where nobody has the terminal any more.
    with suppress(OSError):
        while part := os.read(master, 100_000):
            said += part
            moved.append(time.monotonic())
    os.close(master)
    assert sweep_.wait(60) == 0
    pauses = [later - earlier for earlier, later in pairwise([*moved, time.monotonic()])]
    assert max(pauses) < 5
    shown = said.decode()
    phases = ("Loading torch", "Starting Ray", "Search: ", "Finalists, ", "Finishing")
    assert [phase for phase in phases if phase not in shown] == []
    clock = [int(seconds) for seconds in re.findall(r"(\d+)s so far", shown.replace("m", ""))]
    assert clock == sorted(clock), "one clock, which never jumps back"


@pytest.mark.slow
@pytest.mark.parametrize("end", [">&- 2>&-", "2>&1 | head -1", ">/dev/full 2>/dev/full"])
def test_a_sweep_that_nobody_hears_comes_to_its_end(place: Path, cache: str, end: str) -> None:
    words = " ".join(f"'{word}'" for word in sweep(place / "small.py", "--name", "x"))
    ran = run(["bash", "-c", f"set -o pipefail; {words} {end}"], place, DVT_CACHE_DIR=cache)
    assert ran.code == 0, ran.said
    assert set(statuses(place)) == {"FINISHED"}


@pytest.mark.parametrize("words", [("list",), ("--help",), ("clean",)])
def test_a_command_whose_answer_finds_no_room_says_one_line(
    place: Path, words: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        ran = run(dvt(*words), place, stdout=full.fileno())
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "No space left on device" in ran.err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-16"])
def test_any_encoding_shows_what_is_said(place: Path, encoding: str) -> None:
    helped = run(
        [*dvt("list", "--help")], place, PYTHONIOENCODING=encoding, PYTHONUTF8="0", LC_ALL="C"
    )
    refused = run(
        dvt("report", "caf\u00e9\u2212\U0001f41d"), place, PYTHONIOENCODING=encoding, LC_ALL="C"
    )
    assert helped.code == 0, helped.said
    assert refused.code == 2, refused.said


def test_colors_follow_the_terminal(place: Path) -> None:
    plain = _on_terminal(place, TERM="xterm", NO_COLOR="1")
    dumb = _on_terminal(place, TERM="dumb")
    assert "\x1b[3" not in plain.out
    assert "\x1b[3" not in dumb.out


def _on_terminal(place: Path, **changes: str) -> Ran:
    """Run `dvt list` of a terminal with 40 columns."""
    master, terminal = pty.openpty()
    ran = run(dvt("list"), place, stdout=terminal, COLUMNS="40", **changes)
    os.close(terminal)
    try:
        out = os.read(master, 100_000).decode()
    except OSError:
        out = ""
    os.close(master)
    return Ran(ran.code, out, ran.err, ran.seconds)


@pytest.mark.parametrize(
    "words", [("list",), ("report", "x"), ("sync", "x"), ("clean",), ("doctor",), ("jobs",)]
)
def test_a_working_folder_that_is_gone_is_one_line(place: Path, words: tuple[str, ...]) -> None:
    gone = place / "gone"
    line = f"mkdir {gone} && cd {gone} && rmdir {gone} && exec " + " ".join(map(str, dvt(*words)))
    ran = run(["bash", "-c", line], place)
    assert ran.code == 2, ran.said
    assert ran.err.splitlines() == [
        "error: The working folder must exist, but it was deleted: change to another one."
    ]


def test_all_that_is_wrong_with_a_subcommand_is_said_at_once(place: Path) -> None:
    ran = run(dvt("service", "up", "--nonsense", "--cpus", "0"), place)
    assert ran.code == 2
    assert "--nonsense" in ran.err
    assert "--cpus" in ran.err
