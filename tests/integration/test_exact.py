"""`--exact`: the full plan, of which nothing is left out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.integration.conftest import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TRIALS = 8
SEEDS = 6
ARMS = 2
# Of eight trials some would stop early, and of six seeds the last three may not be needed.
COMMAND = ("--preset", "demo", "--trials", str(TRIALS), "--seeds", str(SEEDS), "--name", "full")


def test_all_trials_come_to_their_end_and_all_arms_have_all_seeds_after_a_resume_too(
    tmp_path: Path, cache: str
) -> None:
    limited = run(tmp_path, *COMMAND, "--exact", "--time-limit", "20s", DVT_CACHE_DIR=cache)
    assert limited.code == 0, limited.err
    resumed = run(tmp_path, "--resume", "full", timeout=500, DVT_CACHE_DIR=cache)
    assert resumed.code == 0, resumed.err

    table = pd.read_csv(tmp_path / "mlruns/sweeps/full/results.csv")
    trials = table[table.role == "trial"]
    assert len(trials) == ARMS * TRIALS
    assert set(trials.outcome) <= {"completed", "diverged"}
    # The defaults have the seeds of their arms' rounds and no others.
    defaults = table[(table.role == "finalist") & (table.number == 0)]
    for _, of_arm in defaults.groupby("arm"):
        assert sorted(of_arm.seed_number) == list(range(SEEDS))
    page = (tmp_path / "mlruns/sweeps/full/report.html").read_text()
    assert "every trial runs to its end" in page


def test_of_a_sweep_that_has_begun_it_cannot_be_asked(tmp_path: Path) -> None:
    refused = run(tmp_path, "--resume", "full", "--exact")
    assert refused.code == 2
    assert "--exact" in refused.err
