"""Workers that die, and workers that stand still."""

from __future__ import annotations

import os
import signal

import pytest
from mlflow import MlflowClient

from benchmarks.audit import audit
from tests.faults.conftest import Make
from tests.faults.processes import trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_killed_worker_and_one_that_stands_still_are_replaced_and_their_trials_complete(make: Make) -> None:
    sweep = make(slots=2)
    sweep.start(2, "--stuck-after", "5s")
    sweep.wait_for(lambda: sweep.epochs_of(0))
    os.kill(sweep.worker_of(0), signal.SIGKILL)
    sweep.wait_for(lambda: sweep.epochs_of(1))
    still = sweep.worker_of(1)
    os.kill(still, signal.SIGSTOP)
    assert sweep.ended() == 0, sweep.log
    assert f"{trial(1)} has not reported for too long" in sweep.log
    found = audit(sweep.folder, sweep.uri)
    assert found["lost"] == 0, found
    assert found["ended"] == {"completed": 2}
    client = MlflowClient(sweep.uri)
    experiment = client.get_experiment_by_name("faults")
    runs = client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'trial'")
    assert all(run.data.tags.get("sweep.restarted") for run in runs)
    for number in range(2):
        saved = sweep.saved(number)
        assert saved == sorted(saved)
