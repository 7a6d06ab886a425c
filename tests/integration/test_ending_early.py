"""Sweeps that do not run to their end: interrupted, out of time, or with nothing that completes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.integration.conftest import STUDY, environment, run

ONE_ARM = ("--preset", "demo", "--arms", "resnet18/plain", "--seeds", "3")

pytestmark = pytest.mark.timeout(400)

DIVERGING = """
from search_spaces.space import Float, SearchSpace
from sweeps.runner import Study, main

SPACE = SearchSpace(
    arms={"backbone": ("resnet18",)},
    tuned={"stage2_lr": Float(low=1e30, high=1e32, default=1e31)},
)
STUDY = Study(name="diverging", question="Does it explode?", space=SPACE, trials_per_arm=2)

if __name__ == "__main__":
    main(STUDY)
"""


def outcomes(cwd: Path) -> dict[str, tuple[str, str]]:
    """Status and outcome of each run, by name."""
    client = MlflowClient(f"sqlite:///{cwd}/mlruns/mlflow.db")
    found = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()]
    )
    return {
        run.info.run_name: (run.info.status, run.data.tags.get("sweep.outcome", ""))
        for run in found
    }


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interrupt_ends_in_order_and_nothing_stays_running(
    tmp_path: Path, cache: str, number: signal.Signals
) -> None:
    command = [sys.executable, str(STUDY), *ONE_ARM, "--trials", "50", "--name", "stopped"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(DVT_CACHE_DIR=cache),
        stdout=subprocess.PIPE,
        text=True,
    ) as sweep:
        checkpoints = tmp_path / "mlruns/sweeps/stopped/checkpoints"
        deadline = time.monotonic() + 300
        while len(list(checkpoints.glob("*/best-*.pt"))) < 3:
            assert sweep.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        sweep.send_signal(number)
        out, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    assert "Interrupted: " in out
    found = outcomes(tmp_path)
    assert found.pop("stopped") == ("KILLED", "interrupted")
    assert ("KILLED", "interrupted") in found.values()
    assert set(found.values()) <= {
        ("KILLED", "interrupted"),
        ("FINISHED", "completed"),
        ("FINISHED", "pruned"),
    }


def test_the_time_limit_starts_no_more_trials_and_finishes_with_what_is_there(
    tmp_path: Path, cache: str
) -> None:
    done = run(
        tmp_path,
        *ONE_ARM,
        "--trials",
        "50",
        "--time-limit",
        "1s",
        "--name",
        "short",
        DVT_CACHE_DIR=cache,
    )
    assert done.code == 0, done.err
    assert "The time limit was reached" in done.out
    found = outcomes(tmp_path)
    assert 1 <= len(found) - 1 < 50
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (model,) = client.search_registered_models()
    assert model.aliases == {}, "a partial sweep must not move the alias"


def test_a_sweep_of_diverging_trials_says_so_and_exits_1(tmp_path: Path, cache: str) -> None:
    study = tmp_path / "diverging.py"
    study.write_text(DIVERGING)
    done = run(
        tmp_path,
        "--preset",
        "demo",
        "--trials",
        "2",
        "--name",
        "boom",
        study=study,
        DVT_CACHE_DIR=cache,
    )
    assert done.code == 1, done.err
    assert "resnet18/000 diverged: the loss is not finite in epoch 1" in done.out
    assert "No trial completed" in done.out
    found = outcomes(tmp_path)
    assert found.pop("boom") == ("FAILED", "failed")
    assert set(found.values()) == {("FAILED", "diverged")}
    assert len(found) == 2
