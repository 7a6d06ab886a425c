"""The service as users have it, from `up` to `down`.

Sweeps are submitted, followed, stopped and resumed; nothing is left.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from cluster.service.listeners import listeners
from cluster.service.parts import DASHBOARD, MLFLOW, gcs_address
from cluster.service.state import FOLDER
from cluster.service.upkeep import processes
from tests.integration.services import SMALL, Service, holds, wait

PROC = Path("/proc")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GCS_METHOD = "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo"


@pytest.fixture(scope="module")
def dvt(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Iterator[Service]:
    """A service that is up; all that it started is gone afterwards, whatever the tests did."""
    made = Service(tmp_path_factory.mktemp("service"), cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(made.home))
        try:
            done = made.up()
            assert done.returncode == 0, done.stdout + done.stderr
            yield made
        finally:
            made("service", "down")


def test_it_is_up_and_says_where(dvt: Service) -> None:
    again = dvt.up()
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "The service is up already.")
    status = dvt("service", "status")
    assert status.returncode == 0, status.stdout
    assert f"{dvt.state.dashboard}  answers" in status.stdout
    assert f"{dvt.state.tracking}  answers" in status.stdout
    assert "running             no job" in status.stdout
    assert dvt.token not in status.stdout + again.stdout
    other = dvt("service", "up", "--storage", str(dvt.home / "other"))
    assert (other.returncode, len(other.stderr.splitlines())) == (2, 1)
    assert "`dvt service down` first" in other.stderr


def test_all_of_it_listens_on_the_loopback_and_status_lists_all_of_it(dvt: Service) -> None:
    found = listeners(processes(dvt.state))
    assert {dvt.state.dashboard_port, dvt.state.mlflow_port} < {listener.port for listener in found}
    assert [listener for listener in found if not listener.local] == []
    status = dvt("service", "status").stdout
    assert [
        f"{listener.host}:{listener.port}"
        for listener in found
        if f"{listener.host}:{listener.port}" not in status
    ] == []


def test_only_health_and_metrics_answer_without_the_token(dvt: Service) -> None:
    state = dvt.state
    for url in (
        f"{state.dashboard}/api/jobs/",
        f"{state.dashboard}/api/version",
        f"{state.tracking}/",
    ):
        assert answer(url) == 401, url
        assert answer(url, "0" * 64) in (401, 403), url
        assert answer(url, dvt.token) == 200, url
    assert answer(f"{state.dashboard}/api/jobs/", method="POST") == 401
    assert answer(f"{state.tracking}/api/2.0/mlflow/experiments/create", method="POST") == 401
    assert answer(f"{state.tracking}/health") == 200
    for listener in listeners(processes(state)):
        if listener.port not in (state.dashboard_port, state.mlflow_port):
            assert told_without_token(listener.port) == [], listener
    assert (
        call(int(gcs_address(state).rpartition(":")[2]), GCS_METHOD)
        is grpc.StatusCode.UNAUTHENTICATED
    )


def test_a_submitted_sweep_is_followed_to_its_end_and_in_mlflow(dvt: Service) -> None:
    done = dvt(
        "submit",
        "sweeps/depth_vs_tricks.py",
        "--follow",
        "--",
        *SMALL,
        "--trials",
        "2",
        "--name",
        "followed",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Sweep followed" in done.stdout
    assert "models:/depth_vs_tricks-digits-demo@champion" in done.stdout
    assert {status for _, status, _ in dvt.records("followed")} == {"FINISHED"}
    job = done.stdout.split()[1]
    lines = [line.split() for line in dvt("jobs").stdout.splitlines()]
    assert [line[:4] for line in lines if line[0] == job] == [
        [job, "sweeps/depth_vs_tricks.py", "succeeded", "0"]
    ]
    assert dvt("logs", job).stdout in done.stdout


def test_what_a_sweep_refuses_on_the_cluster_is_the_commands_exit_status(dvt: Service) -> None:
    done = dvt("submit", "depth_vs_tricks", "--follow", "--", *SMALL, "--gpus", "7")
    assert done.returncode == 2
    assert (
        "error: --gpus must be at most the GPUs of the cluster, but 7 are asked for and 0 found"
        in done.stdout
    )


def test_a_stopped_sweep_is_saved_and_told_to_mlflow_and_resumed(dvt: Service) -> None:
    job = dvt.submit(*SMALL, "--trials", "3", "--name", "stopped")
    wait(lambda: dvt.events("stopped", "epochs"), f"epochs of {job}", dvt)
    done = dvt("stop", job)
    assert done.returncode == 0, done.stderr
    assert "dvt submit sweeps/depth_vs_tricks.py -- --resume stopped" in done.stdout
    told = dvt.records("stopped")
    assert ("stopped", "KILLED", "interrupted") in told
    assert "RUNNING" not in {status for _, status, _ in told}
    followed = dvt("logs", job, "--follow")
    assert followed.returncode == 130
    done = dvt("submit", "sweeps/depth_vs_tricks.py", "--follow", "--", "--resume", "stopped")
    assert done.returncode == 0, done.stdout + done.stderr
    told = dvt.records("stopped")
    assert set(Counter(name for name, _, _ in told).values()) == {1}
    assert {status for _, status, _ in told} == {"FINISHED"}


@pytest.mark.parametrize("name", [DASHBOARD, MLFLOW])
def test_a_dead_part_is_named_and_started_again_while_a_job_goes_on(
    dvt: Service, name: str
) -> None:
    job = dvt.submit(*SMALL, "--trials", "1")
    wait(lambda: dvt.events(job, "epochs"), f"epochs of {job}", dvt)
    members = dvt.state.ray.members | dvt.state.mlflow.members
    os.kill(members[name].pid, signal.SIGKILL)
    wait(lambda: not members[name].alive(), name, dvt)
    status = dvt("service", "status")
    assert status.returncode == 1
    assert f"Dead: {name}." in status.stdout
    again = dvt.up()
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, f"Started again: {name}.")
    assert dvt("service", "status").returncode == 0
    assert dvt("logs", job, "--follow").returncode == 0


def test_a_lost_head_is_started_again_and_the_sweep_resumed(dvt: Service) -> None:
    job = dvt.submit(*SMALL, "--trials", "2", "--name", "lost")
    wait(lambda: dvt.events("lost", "epochs"), f"epochs of {job}", dvt)
    os.kill(dvt.state.ray.members["Ray's GCS"].pid, signal.SIGKILL)
    again = dvt.up()
    assert again.returncode == 0, again.stderr
    assert "Started again: Ray's GCS" in again.stdout
    done = dvt("submit", "sweeps/depth_vs_tricks.py", "--follow", "--", "--resume", "lost")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(Counter(name for name, _, _ in dvt.records("lost")).values()) == {1}


def test_the_token_is_in_its_file_and_nowhere_else(dvt: Service) -> None:
    token, state = dvt.token.encode(), dvt.state
    job = dvt.submit(*SMALL, "--trials", "3")
    wait(lambda: dvt.events(job, "epochs"), f"epochs of {job}", dvt)
    assert (dvt.home / "token").stat().st_mode & 0o777 == 0o600
    shown = [path for path in PROC.glob("[0-9]*/cmdline") if holds(path, token)]
    given = [
        path for one in processes(state) if holds(path := PROC / str(one.pid) / "environ", token)
    ]
    places = [dvt.storage, dvt.home, Path(state.temporary)]
    kept = [
        path
        for place in places
        for path in place.rglob("*")
        if path.is_file() and holds(path, token)
    ]
    assert (shown, given, kept) == ([], [], [dvt.home / "token"])
    request = urllib.request.Request(
        f"{state.dashboard}/api/jobs/", headers={"Authorization": f"Bearer {dvt.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answered:
        assert token not in answered.read()
    assert dvt("stop", job).returncode == 0


def test_down_stops_the_jobs_and_leaves_nothing(dvt: Service) -> None:
    job = dvt.submit(*SMALL, "--trials", "3", "--name", "downed")
    wait(lambda: dvt.events("downed", "epochs"), f"epochs of {job}", dvt)
    state, before = dvt.state, processes(dvt.state)
    marks = [f"{part.mark}".encode() for part in (state.ray, state.mlflow)]
    done = dvt("service", "down")
    assert done.returncode == 0, done.stderr
    assert ("downed", "KILLED", "interrupted") in dvt.records("downed")
    assert [one for one in before if one.alive()] == []
    assert [
        path for path in PROC.glob("[0-9]*/environ") if any(holds(path, mark) for mark in marks)
    ] == []
    assert not Path(state.temporary).exists()
    assert not (dvt.home / "token").exists()
    for port in (state.dashboard_port, state.mlflow_port):
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
    again = dvt("service", "down")
    assert (again.returncode, again.stdout) == (0, "The service is not up.\n")
    refused = dvt("jobs")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def answer(url: str, token: str = "", method: str = "GET") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers, method=method), timeout=10
        ) as answered:
            return int(answered.status)
    except urllib.error.HTTPError as error:
        return error.code


def told_without_token(port: int) -> list[str]:
    """What a listener gives away to somebody without the token: metrics and health do not count."""
    told = []
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answered:
            text = answered.read(4000).decode(errors="replace")
            told += [] if text.startswith("# HELP") else [text]
    except (OSError, http.client.HTTPException):  # refused, or it does not speak HTTP/1
        pass
    methods = (
        GCS_METHOD,
        "/ray.rpc.InternalKVGcsService/InternalKVKeys",
        "/ray.rpc.NodeManagerService/GetNodeStats",
    )
    return told + [method for method in methods if call(port, method) is grpc.StatusCode.OK]


def call(port: int, method: str) -> grpc.StatusCode:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.unary_unary(method)(b"", timeout=5)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK
