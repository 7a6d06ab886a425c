"""What trials stand on goes away: the cache is deleted, workers die, workers stand still."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmarks.audit import audit
from tests.faults.conftest import Make
from tests.faults.processes import trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KILLED, STILL = 4, 5


def test_a_deleted_cache_is_made_again_and_killed_and_motionless_workers_are_replaced(
    make: Make, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    sweep = make(cache=cache, slots=2, finalist_seeds=0)
    sweep.start(6, "--stuck-after", "5s")
    sweep.wait_for(lambda: sweep.epochs_of(0) and sweep.epochs_of(1))
    assert _stored(cache)
    shutil.rmtree(cache / "prefix")
    sweep.wait_for(lambda: sweep.epochs_of(2) and sweep.epochs_of(3))
    assert _stored(cache), "trials that began after the deletion have not stored them anew"
    shutil.rmtree(cache)

    sweep.wait_for(lambda: sweep.epochs_of(KILLED))
    os.kill(sweep.worker_of(KILLED), signal.SIGKILL)
    sweep.wait_for(lambda: sweep.epochs_of(STILL))
    os.kill(sweep.worker_of(STILL), signal.SIGSTOP)
    assert sweep.ended() == 0, sweep.log
    assert f"{trial(STILL)} has not reported for too long" in sweep.log
    found = audit(sweep.folder, sweep.uri)
    assert found["lost"] == 0, found
    assert found["ended"] == {"completed": 6}
    client = MlflowClient(sweep.uri)
    experiment = client.get_experiment_by_name("faults")
    runs = client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'trial'")
    restarted = {
        run.data.tags["sweep.trial_id"] for run in runs if run.data.tags.get("sweep.restarted")
    }
    assert {trial(KILLED), trial(STILL)} <= restarted
    for number in range(6):
        saved = sweep.saved(number)
        assert saved == sorted(saved)


def _stored(cache: Path) -> list[Path]:
    return list((cache / "prefix").glob("*/activations.npy"))
