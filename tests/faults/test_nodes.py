"""Several nodes on one machine.

They die, are taken back, come too late, are shared by two sweeps, do not see the storage.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from benchmarks.audit import audit
from tests.faults.conftest import Make
from tests.faults.processes import MARK, NEW, PATIENCE_S, Faulty, trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NO_RESTARTS = "    import sweeps.runner.trials as trials; trials.MAX_FAILURES = 0\n"
LOGICAL_GPUS = """\
    from trainables.compute import Compute
    from sweeps.runner import launch, search
    launch._common_compute = lambda plan: Compute(precision="fp32")
    config = search.trial_config
    search.trial_config = lambda *given: {**config(*given), "device": "cpu"}
"""
OBJECTS = 80 * 2**20  # bytes of each node's object store, the least that Ray takes


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without slots of its own."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": OBJECTS, "include_dashboard": False},
    )
    yield made
    made.shutdown()


def test_a_node_that_dies_in_the_middle_costs_no_trial(make: Make, cluster: Any) -> None:
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=OBJECTS) for _ in range(2)]
    sweep = make(slots=2, finalist_seeds=0)
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


def test_the_drivers_node_dies_and_the_resumed_sweep_uses_what_is_left_and_what_is_added(
    make: Make, cluster: Any
) -> None:
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=OBJECTS) for _ in range(2)]
    sweep = make(slots=2, finalist_seeds=0)
    sweep.start(4, "--address", cluster.address)
    sweep.wait_for(lambda: sweep.epochs_of(0) and sweep.epochs_of(1))
    sweep.kill()
    cluster.remove_node(nodes[0], allow_graceful=False)
    _wait_for(cluster, 2)
    begun = len(sweep.events)
    sweep.resume("--address", cluster.address)
    sweep.wait_for(lambda: any(event["event"] == "epochs" for event in sweep.events[begun:]))
    (running,) = [number for number in range(2) if trial(number) == sweep.events[-1]["trial_id"]]
    worker = sweep.worker_of(running)
    os.kill(worker, signal.SIGSTOP)  # so that the sweep does not end before the node has come
    cluster.add_node(num_cpus=1, object_store_memory=OBJECTS)
    sweep.wait_for(lambda: most_at_once(sweep.events[begun:]) == 2)
    os.kill(worker, signal.SIGCONT)
    assert sweep.ended() == 0, sweep.log
    found = audit(sweep.folder, sweep.uri)
    assert (found["lost"], found["ended"]) == (0, {"completed": 4}), found
    assert "on 1 slot of 1 CPU" in sweep.log
    assert "The cluster has changed: 2 slots, 1 before." in sweep.log


def test_a_spot_machine_that_is_taken_back_is_no_failure_of_its_trial_and_one_that_just_dies_is(
    make: Make, cluster: Any
) -> None:
    from ray._raylet import GcsClient
    from ray.core.generated import autoscaler_pb2

    first = cluster.add_node(num_cpus=1, object_store_memory=OBJECTS)
    sweep = make(finalist_seeds=0)
    put_before_main(sweep, NO_RESTARTS)
    sweep.start(2, "--address", cluster.address)
    sweep.wait_for(lambda: sweep.epochs_of(0))
    second = cluster.add_node(num_cpus=1, object_store_memory=OBJECTS)
    # As autoscalers tell it.
    preempted = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    within_a_minute = int((time.time() + 60) * 1000)
    accepted, why = GcsClient(address=cluster.address).drain_node(
        first.node_id, preempted, "taken back", within_a_minute
    )
    assert accepted, why
    cluster.remove_node(first, allow_graceful=False)
    sweep.wait_for(lambda: sweep.epochs_of(1))
    os.kill(sweep.worker_of(1), signal.SIGSTOP)  # so that it does not end before its node does
    cluster.add_node(num_cpus=1, object_store_memory=OBJECTS)
    cluster.remove_node(second, allow_graceful=False)
    assert sweep.ended() == 0, sweep.log
    ended = {
        event["trial_id"]: event["outcome"] for event in sweep.events if event["event"] == "end"
    }
    assert (ended[trial(0)], ended[trial(1)]) == ("completed", "failed"), sweep.log


def test_two_sweeps_share_a_cluster_and_neither_takes_more_gpus_than_it_may(
    make: Make, cluster: Any, tmp_path: Path
) -> None:
    cluster.add_node(num_cpus=2, num_gpus=2, object_store_memory=OBJECTS)
    first, second = both = [
        make(tmp_path / name, slots=2, finalist_seeds=0) for name in ("one", "two")
    ]
    for sweep in both:
        put_before_main(sweep, LOGICAL_GPUS)
        sweep.start(3, "--address", cluster.address, "--gpus", "1")
    first.wait_for(lambda: first.epochs_of(0))
    worker = first.worker_of(0)
    os.kill(worker, signal.SIGSTOP)  # so that it does not end before the other begins
    second.wait_for(lambda: second.epochs_of(0))
    os.kill(worker, signal.SIGCONT)
    assert [sweep.ended() for sweep in both] == [0, 0], [sweep.log for sweep in both]
    assert [audit(sweep.folder, sweep.uri)["ended"] for sweep in both] == [{"completed": 3}] * 2
    assert [most_at_once(sweep.events) for sweep in both] == [1, 1]
    assert most_at_once([*both[0].events, *both[1].events]) == 2, (
        "one has waited for the other's end"
    )


def most_at_once(events: list[dict[str, Any]]) -> int:
    """Trials that ran at the same time, by the journal's clock."""
    change = {"trial": 1, "end": -1}
    changes = sorted(
        (event["time"], change[event["event"]]) for event in events if event["event"] in change
    )
    return max(accumulate(number for _, number in changes))


def put_before_main(sweep: Faulty, lines: str) -> None:
    text = sweep.study.read_text()
    assert text.count("    main(STUDY)") == 1
    sweep.study.write_text(text.replace("    main(STUDY)", f"{lines}    main(STUDY)"))


def test_a_node_that_does_not_see_the_storage_is_named_before_any_trial_starts(
    make: Make, cluster: Any, tmp_path: Path
) -> None:
    cluster.add_node(num_cpus=1, object_store_memory=OBJECTS)
    sweep = make(finalist_seeds=0)
    with blind_node(cluster, sweep.storage, tmp_path / "node.txt") as joined:
        joined(3)
        done = sweep.command(*NEW, "1", "--name", sweep.name, "--address", cluster.address)
        assert (done.code, done.err.count("\n")) == (2, 1), done
        assert "--storage must be a folder that all nodes share" in done.err
        assert str(sweep.storage) in done.err
        assert not (sweep.folder / "checkpoints" / trial(0).replace("/", "-")).exists()
        assert not list(sweep.storage.glob(".seen*"))


def test_one_that_joins_later_stops_the_sweep_before_it_trains_there_and_without_it_all_goes_on(
    make: Make, cluster: Any, tmp_path: Path
) -> None:
    cluster.add_node(num_cpus=1, object_store_memory=OBJECTS)
    sweep = make(finalist_seeds=0)
    sweep.start(2, "--address", cluster.address)
    sweep.wait_for(lambda: sweep.epochs_of(0))
    worker = sweep.worker_of(0)
    os.kill(worker, signal.SIGSTOP)  # so that it does not end before the node has come
    with blind_node(cluster, sweep.storage, tmp_path / "node.txt"):
        sweep.wait_for(
            lambda: (
                f"joined the cluster, but does not see {sweep.storage}" in sweep.log
                or sweep.driver.poll()
            )
        )
        os.kill(worker, signal.SIGCONT)
        assert sweep.ended() == 1, sweep.log
        assert (
            f"joined the cluster, but does not see {sweep.storage}: mount it there, or take it out"
            in sweep.log
        )
    _wait_for(cluster, 2)
    sweep.resume("--address", cluster.address)
    assert sweep.ended() == 0, sweep.log
    found = audit(sweep.folder, sweep.uri)
    assert (found["lost"], found["ended"]) == (0, {"completed": 2}), found


@contextmanager
def blind_node(cluster: Any, storage: Path, log: Path) -> Iterator[Callable[[int], None]]:
    """A node that has an empty folder where the others have the storage.

    Gives what waits until so many nodes are there.
    """
    if (
        not shutil.which("unshare")
        or subprocess.run(["unshare", "--mount", "true"], check=False).returncode
    ):
        pytest.skip("this user may not have a file system of its own")
    hidden = (
        f"mount -t tmpfs tmpfs {storage} && exec {Path(sys.executable).with_name('ray')} start "
        "--block"
    )
    command = f"{hidden} --address={cluster.address} --num-cpus=1 --object-store-memory={OBJECTS}"
    with log.open("wb") as output:
        line = ["unshare", "--mount", "bash", "-c", command]
        node = subprocess.Popen(
            line, env=os.environ | {MARK: "blind"}, stdout=output, stderr=output
        )
    try:
        yield lambda nodes: _wait_for(cluster, nodes, node)
    finally:
        with suppress(ProcessLookupError):
            node.terminate()
        node.wait(30)


def _wait_for(cluster: Any, nodes: int, process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while sum(node["Alive"] for node in cluster.global_state.node_table()) != nodes:
        assert process is None or process.poll() is None, "the node did not start"
        assert time.monotonic() < deadline, "a node has not joined, or not gone"
        time.sleep(0.2)
