"""A synthetic sweep, made and read once."""

from __future__ import annotations

from pathlib import Path

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
