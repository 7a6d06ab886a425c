"""A closed or full output ends a command in one line, and any terminal shows what it prints."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
from rich.console import Console
from rich.table import Table

from trainables.streams import UNWRITTEN, go_on_unseen, printed

NAME = "caf\u00e9 \U0001f41d.png"  # a letter of Latin-1, and an emoji
ESCAPED = r"caf\xe9 \U0001f41d.png"

Streams = Callable[..., None]


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Streams]:
    """Let stdout and stderr be files of these names."""
    with ExitStack() as opened:

        def use(
            out: str | Path, encoding: str = "utf-8", err: str | Path = tmp_path / "err"
        ) -> None:
            for stream, path in (("stdout", out), ("stderr", err)):
                file = opened.enter_context(Path(path).open("w", encoding=encoding))
                monkeypatch.setattr(sys, stream, file)

        yield use


def table_of(name: str) -> Table:
    table = Table()
    table.add_row(name)
    return table


def by_click() -> int:
    click.echo(NAME)
    click.echo(f"error: {NAME}", err=True)
    return 0


def by_rich() -> int:
    Console(width=60).print(table_of(NAME))
    Console(stderr=True, width=60).print(table_of(NAME))
    return 0


@pytest.mark.parametrize("say", [by_click, by_rich])
def test_an_ascii_terminal_is_shown_escapes(
    tmp_path: Path, streams: Streams, say: Callable[[], int]
) -> None:
    streams(tmp_path / "out", encoding="ascii")
    assert printed(say) == 0
    sys.stderr.flush()
    assert ESCAPED in (tmp_path / "out").read_text("ascii")
    assert ESCAPED in (tmp_path / "err").read_text("ascii")
    # A table's lines are drawn in ASCII, not escaped.
    assert r"\u2" not in (tmp_path / "out").read_text("ascii")


@pytest.mark.parametrize("say", [by_click, by_rich])
@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", NAME), ("latin-1", "caf\u00e9 \\U0001f41d.png")]
)
def test_other_terminals_are_shown_what_they_can(
    tmp_path: Path, streams: Streams, say: Callable[[], int], encoding: str, shown: str
) -> None:
    streams(tmp_path / "out", encoding=encoding)
    assert printed(say) == 0
    assert shown in (tmp_path / "out").read_text(encoding)


def test_a_name_that_is_no_utf_8_is_escaped(tmp_path: Path, streams: Streams) -> None:
    streams(tmp_path / "out")
    assert printed(lambda: click.echo(os.fsdecode(b"caf\xe9.png")) or 0) == 0
    assert (tmp_path / "out").read_text() == "caf\\udce9.png\n"


@pytest.mark.parametrize("say", [by_click, by_rich])
def test_a_full_disk_is_one_line_and_ends_the_command(
    tmp_path: Path, streams: Streams, say: Callable[[], int]
) -> None:
    streams("/dev/full")
    later: list[str] = []
    assert printed(lambda: say() + len(later.append("reached") or later)) == UNWRITTEN
    assert later == []
    sys.stderr.flush()
    (line,) = (tmp_path / "err").read_text().splitlines()
    assert line.startswith(
        "error: The output must be written whole, but cannot be (No space left on device)"
    )


@pytest.mark.parametrize("say", [by_click, by_rich])
def test_a_closed_pipe_ends_the_command_without_a_word(
    tmp_path: Path, streams: Streams, monkeypatch: pytest.MonkeyPatch, say: Callable[[], int]
) -> None:
    streams(tmp_path / "out")
    read, write = os.pipe()
    os.close(read)
    monkeypatch.setattr(sys, "stdout", os.fdopen(write, "w"))
    assert printed(say) == UNWRITTEN
    sys.stderr.flush()
    assert (tmp_path / "err").read_text() == ""


def test_what_is_only_lost_at_the_end_is_lost_too(streams: Streams) -> None:
    streams("/dev/full")
    assert printed(lambda: sys.stdout.write("a") and 0) == UNWRITTEN


def test_another_files_error_stays_the_commands(tmp_path: Path, streams: Streams) -> None:
    streams(tmp_path / "out")

    def write_elsewhere() -> int:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        printed(write_elsewhere)


def test_where_stderr_is_full_too_the_status_still_tells(streams: Streams) -> None:
    streams("/dev/full", err="/dev/full")
    assert printed(by_click) == UNWRITTEN


def test_a_stdout_that_was_closed_before_the_start_is_a_line_once_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys, "stdout", None)
    assert printed(lambda: 0) == 0
    assert printed(by_click) == UNWRITTEN
    assert sys.stderr.getvalue().count("\n") == 1
    assert sys.stderr.getvalue().startswith(
        "error: The output must be written whole, but cannot be (Bad file descriptor)"
    )


def test_where_both_were_closed_before_the_start_a_sweep_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)

    def act() -> int:
        go_on_unseen(sys.stdout, "the sweep goes on.")
        return by_rich()

    assert printed(act) == 0


def test_streams_that_are_no_files_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert printed(lambda: click.echo("a") or 3) == 3


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)  # Python itself says nothing
def test_what_a_thread_could_not_write_is_lost_too(tmp_path: Path, streams: Streams) -> None:
    streams("/dev/full")

    def by_thread() -> int:
        thread = threading.Thread(target=by_click)
        thread.start()
        thread.join()
        return 0

    assert printed(by_thread) == UNWRITTEN
    sys.stderr.flush()
    assert (tmp_path / "err").read_text().count("error: The output must be written whole") == 1


@pytest.mark.parametrize(
    ("code", "status", "said"), [(None, 0, ""), (0, 0, ""), (3, 3, ""), ("why", 1, "why\n")]
)
def test_an_exit_is_what_python_makes_of_it(
    tmp_path: Path, streams: Streams, code: int | str | None, status: int, said: str
) -> None:
    streams(tmp_path / "out")

    def leave() -> int:
        click.echo("a")
        sys.exit(code)

    assert printed(leave) == status
    sys.stderr.flush()
    assert ((tmp_path / "out").read_text(), (tmp_path / "err").read_text()) == ("a\n", said)


def test_what_is_lost_at_an_exit_is_lost_too(streams: Streams) -> None:
    streams("/dev/full")
    assert printed(lambda: sys.stdout.write("a") and sys.exit()) == UNWRITTEN
