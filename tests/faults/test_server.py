"""The MLflow server is away: at the start, for a while, for good."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmarks.audit import audit
from benchmarks.mlflow_server import Server
from tests.faults.conftest import Make
from tests.faults.processes import EPOCHS, NEW, trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_server_that_is_down_at_the_start_is_refused_and_leaves_nothing(
    make: Make, tmp_path: Path
) -> None:
    sweep = make(finalist_seeds=0)
    nobody = Server(tmp_path / "server").address
    done = sweep.command(*NEW, "1", "--name", sweep.name, "--tracking-uri", nobody)
    assert (done.code, done.err.count("\n")) == (2, 1), done
    assert nobody in done.err
    assert "start the server" in done.err
    assert not sweep.folder.exists()


def test_a_server_that_comes_back_has_all_in_order_and_one_that_stays_away_gets_it_later(
    make: Make, tmp_path: Path
) -> None:
    sweep = make(finalist_seeds=0)
    with Server(tmp_path / "server") as server:
        sweep.start(3, "--tracking-uri", server.address)
        sweep.wait_for(lambda: len(sweep.epochs_of(0)) >= 2)
        server.kill()
        sweep.wait_for(lambda: sweep.epochs_of(1))
        worker = sweep.worker_of(1)
        # So that the sweep does not end before the server has gone again.
        os.kill(worker, signal.SIGSTOP)
        server.start()
        sweep.wait_for(lambda: _steps(server.address, 0) == list(range(1, EPOCHS + 1)))
        server.kill()  # for good
        os.kill(worker, signal.SIGCONT)
        assert sweep.ended() == 0, sweep.log
        assert "not in MLflow yet" in sweep.log
        command = f"`dvt sync {sweep.name} --storage {sweep.storage}`"
        assert f"{command} delivers them" in sweep.log
        server.start()
        delivered = sweep.sync()
        assert delivered.code == 0, delivered
        assert f"delivered: MLflow has all of {sweep.name}" in delivered.out
        found = audit(sweep.folder, server.address)
        assert found["lost"] == 0, found
        for number in range(3):
            assert _steps(server.address, number) == list(range(1, EPOCHS + 1))
        before = _all(server.address)
        again = sweep.sync()
        assert again.code == 0, again
        assert f"MLflow has all of {sweep.name} already" in again.out
        assert _all(server.address) == before
        client = MlflowClient(server.address)
        assert client.get_model_version_by_alias("faults-digits-demo", "champion").version == "1"

        other = make(tmp_path / "other")
        refused = other.command(*NEW, "1", "--name", sweep.name, "--tracking-uri", server.address)
        assert (refused.code, refused.err.count("\n")) == (2, 1), refused
        assert f"--name must be new, but MLflow has a sweep {sweep.name!r}" in refused.err
        assert not other.folder.exists()


def _steps(address: str, number: int) -> list[int]:
    """Steps of a trial, in the order in which they came."""
    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("faults")
    found = client.search_runs(
        [experiment.experiment_id], f"tags.`sweep.trial_id` = '{trial(number)}'"
    )
    return [
        point.step
        for run in found
        for point in client.get_metric_history(run.info.run_id, "val/accuracy")
    ]


def _all(address: str) -> str:
    """All runs and model versions, as text to be compared."""
    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("faults")
    runs = [run.to_dictionary() for run in client.search_runs([experiment.experiment_id])]
    return json.dumps(
        [runs, [(v.name, v.version) for v in client.search_model_versions()]],
        sort_keys=True,
        default=str,
    )
