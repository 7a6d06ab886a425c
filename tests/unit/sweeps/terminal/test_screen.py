"""Prose wraps at words; what is to be copied stays whole."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sweeps.terminal.screen import WIDE, say, screen, wrapped

COMMAND = (
    "  python sweeps/depth_vs_tricks.py --resume depth_vs_tricks-20261129-141925-dbcc --seeds 6"
)
PATH = "/somewhere/with/a/long/name/that/no/terminal/of/eighty/columns/has/room/for/report.html"


def said(text: str, width: int) -> list[str]:
    out = io.StringIO()
    say(Console(file=out, force_terminal=True, width=width, color_system=None), text)
    return out.getvalue().splitlines()


def test_prose_wraps_at_words() -> None:
    assert said("one two three four", 9) == ["one two", "three", "four"]


def test_a_command_a_path_and_code_stay_whole() -> None:
    assert said(COMMAND, 60) == [COMMAND]
    assert PATH in said(f"The report lies in {PATH} now", 60)
    assert said("a path/with gaps", 8) == ["a", "path/with", "gaps"]
    assert "`dvt report NAME --storage DIR`" in said("so `dvt report NAME --storage DIR` it is", 20)


@given(st.text(st.sampled_from("ab '`-é漢 "), max_size=60), st.integers(1, 40))
def test_wrapping_loses_nothing_but_the_gaps_where_it_breaks(line: str, width: int) -> None:
    parts = list(wrapped(line, width, indent=3))
    assert "".join("".join(parts).split()) == "".join(line.split())


def test_markup_is_shown_as_it_is() -> None:
    assert said("[red]x[/] [1]", 80) == ["[red]x[/] [1]"]


def test_a_pipe_gets_each_line_whole() -> None:
    out = io.StringIO()
    console = screen(file=out)
    say(console, "word " * 100)
    assert console.width == WIDE
    assert out.getvalue().count("\n") == 1
