"""What takes minutes: a real MLflow server, and workers that are killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmarks.soak import workers_of
from tests.integration.conftest import STUDY, environment, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    scripts = Path(sys.executable).parent
    command = [str(scripts / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/team.db", "--artifacts-destination", str(tmp_path / "team")]
    path = f"{scripts}:{os.environ['PATH']}"
    quiet = environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", PATH=path)
    with subprocess.Popen(
        command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as it:
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield address
        os.killpg(it.pid, signal.SIGTERM)


def test_a_sweep_records_to_a_server(tmp_path: Path, cache: str, server: str) -> None:
    done = run(
        tmp_path,
        *("--preset", "demo", "--arms", "resnet18/*", "--trials", "1", "--name", "remote", "--tracking-uri", server),
        DVT_CACHE_DIR=cache,
    )
    assert done.code == 0, done.err
    assert "failed" not in done.out.split("Best recipe")[1]
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("depth_vs_tricks")
    found = client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'trial'")
    assert sorted(run.info.run_name for run in found) == ["resnet18/plain/000", "resnet18/tricks/000"]
    assert client.get_model_version_by_alias("depth_vs_tricks-digits", "champion").version == "1"
    again = run(
        tmp_path, "--preset", "demo", "--name", "remote", "--storage", "other", "--tracking-uri", server, DVT_CACHE_DIR=cache
    )
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "MLflow has a sweep 'remote'" in again.err


def test_a_killed_worker_costs_at_most_an_epoch_and_every_epoch_is_recorded_once(tmp_path: Path, cache: str) -> None:
    command = [sys.executable, str(STUDY), "--preset", "demo", "--arms", "resnet34/plain", "--trials", "2", "--name", "hurt"]
    sweep = subprocess.Popen(command, cwd=tmp_path, env=environment(DVT_CACHE_DIR=cache), stdout=subprocess.PIPE, text=True)
    with sweep:
        folder = tmp_path / "mlruns/sweeps/hurt/checkpoints"
        while not list(folder.glob("*/last-*.pt")):
            assert sweep.poll() is None
            time.sleep(0.05)
        for pid in workers_of(sweep.pid):
            os.kill(pid, signal.SIGKILL)
        out, _ = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, out
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("depth_vs_tricks")
    trials = client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'trial'")
    assert len(trials) == 2
    for trial in trials:
        assert trial.data.tags["sweep.outcome"] == "completed"
        steps = [point.step for point in client.get_metric_history(trial.info.run_id, "val/accuracy")]
        assert sorted(steps) == [1, 2, 3, 4, 5, 6]
