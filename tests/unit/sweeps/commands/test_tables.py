"""Every table that a command prints, with long real names, in terminals of 80 and 100 columns."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from benchmarks.synthetic_sweep import make
from cluster.service.jobserver import Job
from sweeps.commands import dvt, jobs
from sweeps.predict import output
from sweeps.report.blocks import Row, Table, number_columns, text_columns
from sweeps.report.terminal import grid
from sweeps.terminal.grid import Grid
from sweeps.terminal.screen import screen
from tests.unit.sweeps.journals import ALL, write_sweep

NAMES = (
    "depth_vs_tricks-20261129-141925-dbcc",
    "augmentation_and_schedulers-20261129-141925-dbcc",
)
ARMS = ("resnet152/tricks", "resnet152/plain", "efficientnet_b0/tricks")
WHOLE = "100.0 (100.0 to 100.0)"
STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(params=[80, 100])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Make stdout a terminal of so many columns, for rich."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(request.param))
    columns: int = request.param
    assert screen().is_terminal
    return columns


def shown(capsys: pytest.CaptureFixture[str], width: int, whole: Sequence[str]) -> list[str]:
    """Return the lines that were printed: all fit, nothing is cut, and some texts are whole."""
    said = STYLE.sub("", capsys.readouterr().out)
    lines = said.splitlines()
    assert "…" not in said
    for line in lines:
        # What is to be copied stays whole, and the terminal itself breaks it.
        if not line.startswith(("  ", "/")):
            assert cell_len(line) <= width, line
    for text in whole:
        assert any(text in line for line in lines), f"{text} is broken"
    return lines


def run(*arguments: str) -> None:
    assert dvt.run(arguments) == 0


@pytest.mark.parametrize("command", ["list", "clean"])
def test_sweeps(
    command: str, width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        write_sweep(tmp_path, name, ALL, study=name.partition("-")[0])
    for part in ("data", "prefix", "digits-source"):
        (tmp_path / "cache" / part).mkdir(parents=True)
    run(command, "--storage", str(tmp_path))
    lines = shown(capsys, width, NAMES)
    if command == "list":
        assert lines[1].split()[:4] == ["sweep", "state", "done", "left"]
    else:
        assert any("activations of frozen layers" in line for line in lines)
        assert any(re.search(r"\d+ bytes|\d kB", line) for line in lines)


def test_jobs(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{name}.1a2b" for name in NAMES]
    found = [
        Job(
            name=name,
            study=name.partition("-")[0],
            status="SUCCEEDED",
            started=1_763_773_560.0,
            ended=1_763_900_000.0,
            exit_code=130,
        )
        for name in names
    ]
    screen().print(Grid(columns=jobs.COLUMNS, rows=[jobs.row(job) for job in found]))
    shown(capsys, width, [*names, "succeeded"])


def test_a_report_and_a_comparison(
    width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {"arms": ("resnet18/plain", "resnet18/tricks", "resnet50/tricks")}
    asked |= {"trials": 5, "images": 40, "seeds": (0, 1, 2), "ablations": True}
    for name in NAMES:
        make(tmp_path, name, **asked)
    run("report", NAMES[0], "--storage", str(tmp_path))
    lines = shown(capsys, width, asked["arms"])
    rows = [line for line in lines if line.startswith("resnet50/tricks  ")]
    assert any(re.search(r" \d+\.\d \(\d+\.\d to \d+\.\d\)", row) for row in rows), rows
    assert any("without" in line for line in lines), "the ablations"

    run("report", *NAMES, "--storage", str(tmp_path))
    lines = shown(capsys, width, asked["arms"])
    (row,) = [line for line in lines if line.startswith("resnet50/tricks  ")]
    assert re.search(r"\d+\.\d \(\W?\d+\.\d to \d+\.\d\)$", row)


def test_the_arms_of_a_report_with_the_widest_numbers(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    searched = ("completed", "pruned", "diverged", "failed", "epochs", "tuned", "best val %")
    retrained = ("val %", "overstated by", "test %", "test log loss")
    columns = [
        *text_columns(["arm"]),
        *number_columns(searched, "search"),
        *number_columns(retrained),
        *number_columns(["device-hours"]),
    ]
    cells = ("24", "12", "10", "10", "2,400", "11", "100.0", "100.0", "+10.0", WHOLE, "10.123", "9")
    table = Table(columns=columns, rows=[Row((arm, *cells)) for arm in ARMS])
    screen().print(grid(table))
    shown(capsys, width, [*ARMS, WHOLE, "best val %"])


def test_a_comparison_with_the_widest_numbers(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = [*text_columns(["arm"]), *number_columns(("one", "other", "difference, points"))]
    apart = "−100.0 (−100.0 to 100.0)"
    table = Table(columns=columns, rows=[Row((arm, WHOLE, WHOLE, apart)) for arm in ARMS])
    screen().print(grid(table, names=("first", "second", "second − first")))
    lines = shown(capsys, width, [*ARMS, apart, "second − first"])
    assert lines[-1].endswith("): second") == (width == 80)


def test_predictions(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    classes = tuple(f"n02085620-Chihuahua_{number}" for number in range(3))
    rows = [
        (Path(f"photos/a folder with a long name/{name}/0001.png"), np.float32([0.5, 0.3, 0.2]))
        for name in NAMES
    ]
    screen().print(output.table(rows, classes))
    shown(capsys, width, [*classes[:1], "50.0"])


def test_the_folders_that_a_narrow_terminal_breaks_are_whole_for_a_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(tmp_path, NAMES[1], ALL)
    run("list", "--storage", str(tmp_path), "--json")
    assert json.loads(capsys.readouterr().out)[0]["folder"] == f"{tmp_path}/sweeps/{NAMES[1]}"
