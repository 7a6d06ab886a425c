"""Tables at any width: whole cells, or none of a column."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sweeps.terminal.grid import Column, Grid

COLUMNS = (
    Column(title="arm"),
    Column(title="done", number=True, rank=2),
    Column(title="score", number=True),
    Column(title="note", rank=1, folds=True),
)
ROWS = [
    ("resnet18/plain", "12", "91.3 (81.0 to 99.9)", "the best of all of them on val"),
    ("resnet34/tricks", "9", "8.4", ""),
]


def shown(grid: Grid, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(grid)
    return out.getvalue()


def test_a_wide_terminal_has_it_all() -> None:
    text = shown(Grid(columns=COLUMNS, rows=ROWS, title="Arms"), 200)
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["Arms"]
    assert lines[1] == ["arm", "done", "score", "note"]
    assert lines[3] == " ".join(ROWS[0]).split()
    assert "Not shown" not in text


def test_the_highest_rank_goes_first_and_is_named() -> None:
    text = shown(Grid(columns=COLUMNS, rows=ROWS, elsewhere="the report has"), 52)
    assert "the report has it): done" in text
    assert "note" in text.splitlines()[0]
    text = shown(Grid(columns=COLUMNS, rows=ROWS), 40)
    assert "done, note" in text


def test_what_folds_shares_the_room_that_is_left() -> None:
    text = shown(Grid(columns=COLUMNS, rows=ROWS), 68)
    assert "Not shown" not in text
    assert "of all" in text
    assert max(map(cell_len, text.splitlines())) <= 68


@pytest.mark.parametrize("width", [60, 62, 66])
def test_what_folds_is_broken_between_words(width: int) -> None:
    columns = (Column(title="arm"), Column(title="tuned", folds=True), Column(title="hours"))
    rows = [("resnet18/tricks", "trainable_layers, stage2_lr, augmentation", "0.027" * 4)]
    text = shown(Grid(columns=columns, rows=rows), width)
    assert "trainable_layers," in text
    assert "augmentation" in text
    assert max(map(cell_len, text.splitlines())) <= width


@given(
    st.lists(
        st.tuples(*[st.text(st.sampled_from("ab1.-é漢"), max_size=12)] * 4), min_size=1, max_size=4
    ),
    st.integers(40, 120),
)
def test_no_cell_of_a_column_that_does_not_fold_is_cut(
    rows: list[tuple[str, ...]], width: int
) -> None:
    text = shown(Grid(columns=COLUMNS, rows=rows), width)
    assert "…" not in text
    for row in rows:
        for cell in (row[0], row[2]):
            assert cell.strip() in text


@pytest.mark.parametrize("width", [1, 10, 30])
def test_a_terminal_that_is_too_narrow_for_all_breaks_nothing_off(width: int) -> None:
    text = "".join(shown(Grid(columns=COLUMNS, rows=ROWS), width).split())
    assert "…" not in text
    assert "8.4" in text
