"""Two nodes on one machine: one dies in the middle of a sweep; and one that does not see the storage."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.audit import audit
from tests.faults.conftest import Make
from tests.faults.processes import MARK, NEW, PATIENCE_S, trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OBJECTS = 80 * 2**20  # bytes of each node's object store, the least that Ray takes


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without slots of its own."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": OBJECTS, "include_dashboard": False}
    )
    yield made
    made.shutdown()


def test_a_node_that_dies_in_the_middle_costs_no_trial(make: Make, cluster: Any) -> None:
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=OBJECTS) for _ in range(2)]
    sweep = make(slots=2)
    sweep.start(3, "--address", cluster.address)
    sweep.wait_for(lambda: sweep.epochs_of(0) and sweep.epochs_of(1))
    cluster.remove_node(nodes[0], allow_graceful=False)
    assert sweep.ended() == 0, sweep.log
    found = audit(sweep.folder, sweep.uri)
    assert found["lost"] == 0, found
    assert found["ended"] == {"completed": 3}
    for number in range(2):
        saved = sweep.saved(number)
        assert saved == sorted(saved), "a trial went back to an epoch before its last checkpoint"
        assert len(saved) - len(set(saved)) <= 1


def test_a_node_that_does_not_see_the_storage_is_named_before_any_trial_starts(
    make: Make, cluster: Any, tmp_path: Path
) -> None:
    cluster.add_node(num_cpus=1, object_store_memory=OBJECTS)
    sweep = make()
    hidden = f"mount -t tmpfs tmpfs {sweep.storage} && exec {Path(sys.executable).with_name('ray')} start --block"
    command = f"{hidden} --address={cluster.address} --num-cpus=1 --object-store-memory={OBJECTS}"
    if not shutil.which("unshare") or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("this user may not have a file system of its own")
    log = (tmp_path / "node.txt").open("wb")
    blind = subprocess.Popen(
        ["unshare", "--mount", "bash", "-c", command], env=os.environ | {MARK: "blind"}, stdout=log, stderr=log
    )
    try:
        _wait_for(cluster, 3, blind)
        done = sweep.command(*NEW, "1", "--name", sweep.name, "--address", cluster.address)
        assert (done.code, done.err.count("\n")) == (2, 1), done
        assert "--storage must be a folder that all nodes share" in done.err
        assert str(sweep.storage) in done.err
        assert not (sweep.folder / "checkpoints" / trial(0).replace("/", "-")).exists()
        assert not list(sweep.storage.glob(".seen*"))
    finally:
        with suppress(ProcessLookupError):
            blind.terminate()
        blind.wait(30)
        log.close()


def _wait_for(cluster: Any, nodes: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while sum(node["Alive"] for node in cluster.global_state.node_table()) < nodes:
        assert process.poll() is None, "the node did not start"
        assert time.monotonic() < deadline, "the node has not joined"
        time.sleep(0.2)
