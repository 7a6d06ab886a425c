"""The Ray that a sweep runs on: its own on this machine, or a running cluster. The only caller of `ray.init`."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CONNECT_TIMEOUT_S = 3.0
OBJECT_STORE_BYTES = 128 * 1024**2
"""Trials map their data from disk; only small reports pass through the object store."""

_SETTINGS = {
    # Ray's monitor kills workers with an error that makes Tune end the whole sweep. Without it the kernel kills one, which Tune
    # takes for what it is: a failed worker, whose trial starts again from its last epoch.
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the sweep has its own
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's snapshots are not what a sweep is continued from
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "20",
}


class SessionError(ValueError):
    """Ray cannot be reached or started; one line."""


Nodes = tuple[tuple[int, int], ...]
"""CPUs and GPUs of each node."""


def local_cpus() -> int:
    """CPUs that this process may use: by its affinity and, in a container, by its quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):  # no control groups of version 2 here
        return cpus
    return cpus if quota == "max" else max(1, min(cpus, int(quota) // int(period)))


@contextmanager
def environment(address: str) -> Iterator[None]:
    """Set what Ray reads when it is first imported; so this comes before that import.

    A Ray of this sweep's own lets nobody else on the network in: it gets a token in a file that only its user can read. Ray's
    default would write one into the home directory. A mode that is set already is left as it is.
    """
    os.environ.update({name: value for name, value in _SETTINGS.items() if name not in os.environ})
    with tempfile.TemporaryDirectory(prefix="dvt-") as private:
        if address == "local" and "RAY_AUTH_MODE" not in os.environ:
            path = Path(private) / "token"
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(32))
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}
        yield


@contextmanager
def session(address: str, *, cpus: int, gpus: int, preload: str = "") -> Iterator[Nodes]:
    """Start or join a Ray, and leave it at the end.

    Args:
        address: `local` starts one for this sweep alone; `auto` joins the one that runs on this machine; else `HOST:PORT`.
        cpus: CPUs of a local Ray.
        gpus: GPUs of a local Ray.
        preload: A module that the workers of a local Ray import while they wait for their first trial: torch takes seconds.

    Raises:
        SessionError: Nothing answers at the address.
    """
    if address not in ("local", "auto"):
        _probe(address)
    if preload:
        os.environ["RAY_preload_python_modules"] = preload  # noqa: SIM112 - Ray spells it so
    import ray

    for name in ("ray", "ray.tune", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        options |= {"num_cpus": cpus, "num_gpus": gpus, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SessionError(f"Ray must start or answer at --address {address!r}, but does not: {reason}") from error
    try:
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        yield tuple((int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in alive)
    finally:
        ray.shutdown()


def end_process(node_id: str, pid: int) -> None:
    """Kill a process on a node of the cluster; that it is gone already is no error.

    Args:
        node_id: Ray's id of the node, in hexadecimal digits.
        pid: A worker's on that node.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    where = NodeAffinitySchedulingStrategy(node_id, soft=False)
    ray.remote(num_cpus=0, max_retries=0)(kill).options(scheduling_strategy=where).remote()


def _probe(address: str) -> None:
    """Fail in seconds where Ray itself would retry for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise SessionError(
            f"--address must be local, auto or the HOST:PORT of a head node, but got {address!r} (a sweep does not run through "
            "a ray:// client: start it on a node of the cluster)."
        )
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise SessionError(f"nothing answers at --address {address!r} ({error}): start Ray there, or pass local.") from error
