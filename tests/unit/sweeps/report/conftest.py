"""Synthetic sweeps, made and read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.findings import Findings, find
from sweeps.report.runs import read_run


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six arms of six trials, five seeds, planted: tricks bring some 4 points, depth nothing."""
    return make(tmp_path_factory.mktemp("storage"), trials=6)


@pytest.fixture(scope="session")
def found(sweep: Path) -> Findings:
    return find(read_run(sweep))


@pytest.fixture(scope="session")
def sweep_in_turn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six arms by three recipes each, which take turns over nine seeds with draws of their own.

    Two recipes of resnet34/tricks were trained with all seeds, as contenders.
    """
    made: dict[str, Any] = {"trials": 12, "outcomes": (), "images": 1500, "run": 0.001, "seed": 8}
    made |= {"recipes": 3, "draws": True, "seeds": range(20, 29)}
    contenders = ("resnet34/tricks/001", "resnet34/tricks/007")
    return make(tmp_path_factory.mktemp("storage"), contenders=contenders, **made)


@pytest.fixture(scope="session")
def found_in_turn(sweep_in_turn: Path) -> Findings:
    return find(read_run(sweep_in_turn))
