"""`--exact`: the full plan, of which nothing is left out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.integration.conftest import run

TRIALS = 8
SEEDS = 6
ARMS = 2
# Of eight trials some would stop early, and of six seeds the last ones may not be needed.
COMMAND = ("--preset", "demo", "--trials", str(TRIALS), "--seeds", str(SEEDS), "--name", "full")


@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_all_trials_come_to_their_end_and_all_arms_have_all_seeds(
    tmp_path: Path, cache: str
) -> None:
    ran = run(tmp_path, *COMMAND, "--exact", timeout=900, DVT_CACHE_DIR=cache)
    assert ran.code == 0, ran.err
    assert f"with {SEEDS} new seeds" in ran.out

    table = pd.read_csv(tmp_path / "mlruns/sweeps/full/results.csv")
    trials = table[table.role == "trial"]
    assert len(trials) == ARMS * TRIALS
    assert set(trials.outcome) <= {"completed", "diverged"}
    # The defaults have the seeds of their arms' rounds and no others.
    defaults = table[(table.role == "finalist") & (table.number == 0)]
    assert defaults.arm.nunique() == ARMS
    for _, of_arm in defaults.groupby("arm"):
        assert sorted(of_arm.seed_number) == list(range(SEEDS))
    page = (tmp_path / "mlruns/sweeps/full/report.html").read_text()
    assert "every trial runs to its end" in page


def test_of_a_sweep_that_has_begun_it_cannot_be_asked(tmp_path: Path) -> None:
    refused = run(tmp_path, "--resume", "full", "--exact")
    assert refused.code == 2
    assert "--exact" in refused.err
