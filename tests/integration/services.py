"""A service as tests have it.

It has folders of its own and free ports, and is told what to do by the commands that users type.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cluster.service import state as service
from cluster.service.state import FOLDER, State
from tests.integration.conftest import ROOT, environment

PATIENCE_S = 300.0
SMALL = ("--preset", "demo", "--arms", "resnet18/plain", "--seeds", "3")


class Service:
    """A service in folders of its own, and the commands that a user gives it."""

    def __init__(self, place: Path, cache: str, **variables: str) -> None:
        self.storage, self.home = place / "mlruns", place / "home"
        self.environment: Mapping[str, str] = environment(
            **{FOLDER: str(self.home), "DVT_CACHE_DIR": cache}, **variables
        )
        self.ports = [str(port) for port in free_ports(2)]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from sweeps.commands.dvt import main; main()", *arguments]
        return subprocess.run(
            program,
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def up(self, *flags: str) -> subprocess.CompletedProcess[str]:
        ports = ("--dashboard-port", self.ports[0], "--mlflow-port", self.ports[1])
        return self(
            "service",
            "up",
            "--storage",
            str(self.storage),
            "--cpus",
            "2",
            "--gpus",
            "0",
            *ports,
            *flags,
        )

    def submit(self, *flags: str) -> str:
        """Submit a sweep without following it; the job's name."""
        done = self("submit", "sweeps/depth_vs_tricks.py", "--", *flags)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[1]

    @property
    def state(self) -> State:
        found = service.load()
        assert found
        return found

    @property
    def token(self) -> str:
        return (self.home / "token").read_text()

    def events(self, sweep: str, kind: str) -> list[dict[str, str]]:
        try:
            lines = (
                (self.storage / "sweeps" / sweep / "trials.jsonl")
                .read_text()
                .splitlines(keepends=True)
            )
        except FileNotFoundError:
            return []
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        return [event for event in events if event["event"] == kind]

    def records(self, sweep: str) -> list[tuple[str, str, str]]:
        """Name, status and outcome of each of a sweep's runs, as MLflow's database has them."""
        query = """select runs.name, runs.status, outcome.value from runs
            join tags as sweep on sweep.run_uuid = runs.run_uuid
                and sweep.key = 'sweep.name' and sweep.value = ?
            left join tags as outcome on outcome.run_uuid = runs.run_uuid
                and outcome.key = 'sweep.outcome'"""
        with sqlite3.connect(self.storage / "mlflow.db") as database:
            return database.execute(query, [sweep]).fetchall()


def wait(happened: Callable[[], object], what: str, dvt: Service) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, f"no {what}\n{dvt('jobs').stdout}"
        time.sleep(0.1)


def free_ports(number: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def holds(path: Path, what: bytes) -> bool:
    try:
        return what in path.read_bytes()
    except OSError:
        return False
