"""The Ray that a sweep runs on: its own on this machine, or a running cluster.

The only caller of `ray.init`.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from cluster.signals import kept_from_children, none_swallowed
from cluster.token import has_token, token_file

RESUME = "DVT_RESUME"
"""In the environment of a job: the command that resumes its sweep, given where it was submitted."""

CONNECT_TIMEOUT_S = 3.0
LEFT_WITHIN_S = 10.0
OBJECT_STORE_BYTES = 128 * 1024**2
"""Trials map their data from disk; only small reports pass through the object store."""

# What a client says first (RFC 9113, 3.4), with a frame of settings that holds none.
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_FRAME_HEADER_BYTES = 9  # length in 3 bytes, type, flags, stream in 4
SETTINGS = {
    # Ray's monitor kills workers with an error that makes Tune end the whole sweep. Without it the
    # kernel kills one, which Tune takes for what it is: a failed worker, whose trial starts again
    # from its last epoch.
    "RAY_memory_monitor_refresh_ms": "0",
    # The first trial's slot takes the CPUs, and after 1 s Ray ends workers that have none: those
    # that have imported torch.
    "RAY_idle_worker_killing_time_threshold_ms": "30000",
    "RAY_USAGE_STATS_ENABLED": "0",
    # The driver bounds them, by what a cluster has grown to.
    "TUNE_MAX_PENDING_TRIALS_PG": "1024",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # The driver has a handler of its own.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Tune's snapshots are not what a sweep is resumed from.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "20",
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's switch for desktops: all that it starts listens on this machine's loopback alone."""


class SessionError(ValueError):
    """Ray cannot be reached or started; one line."""


Nodes = tuple[tuple[int, int], ...]
"""CPUs and GPUs of each node."""


@contextmanager
def environment(address: str) -> Iterator[None]:
    """Set what Ray reads when it is first imported; so this comes before that import.

    A Ray of this sweep's own lets nobody else in: it listens on the loopback alone, and gets a
    token in a file that only its user can read. Ray's default would listen on all interfaces, and
    write a token into the home directory. A mode that is set already is left as it is, and so are
    a token and the switch for the loopback.
    """
    ours = SETTINGS | LOOPBACK if address == "local" else SETTINGS
    for name, value in ours.items():
        os.environ.setdefault(name, value)
    mode = os.environ.get("RAY_AUTH_MODE") or "token"
    given = bool(os.environ.get("RAY_AUTH_MODE")) and has_token()
    if address != "local" or mode.lower() != "token" or given:
        yield
        return
    with token_file() as path:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}
        yield


@contextmanager
def session(address: str, *, cpus: int, gpus: int, preload: str = "") -> Iterator[Nodes]:
    """Start or join a Ray, and leave it at the end.

    Args:
        address: `local` starts one for this sweep alone; `auto` joins the one that runs on this
            machine; else `HOST:PORT`.
        cpus: CPUs of a local Ray.
        gpus: GPUs of a local Ray.
        preload: A module that the workers of a local Ray import while they wait for their first
            trial: torch takes seconds.

    Raises:
        SessionError: Nothing, or something else than Ray, answers at the address.
    """
    named = os.environ.get("RAY_ADDRESS") or "auto"
    if address == "auto" and named != "auto":  # Ray would try it for minutes
        check_address(named, "RAY_ADDRESS")
    elif address not in ("local", "auto"):
        check_address(address)
    if preload:  # Ray reads it when it is imported
        os.environ["RAY_preload_python_modules"] = preload  # noqa: SIM112 - Ray spells it so
    import ray

    # What Ray says of itself is not for the user, who sees the sweep's progress.
    for name in ("ray", "ray.tune", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    options: dict[str, Any] = {
        "address": address,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
    }
    if address == "local":
        options |= {
            "num_cpus": cpus,
            "num_gpus": gpus,
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
        }

    # Start it or join it; leave it whatever comes.
    ours = signal.getsignal(signal.SIGTERM)
    try:
        with kept_from_children(), none_swallowed():
            ray.init(**options)
    except SystemExit as error:
        # SIGTERM came, for which Ray sets a handler of its own: it exits without a word.
        if error.code != signal.SIGTERM:
            raise
        raise KeyboardInterrupt from error
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SessionError(
            f"Ray must start or answer at --address {address!r}, but does not: {reason}"
        ) from error
    finally:
        # Only the main thread may, and in another one Ray sets none.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours or signal.SIG_DFL)
    try:
        yield tuple(nodes().values())
    finally:
        # Where Ray was killed, it waits for a minute and ends this process.
        leaving = threading.Thread(target=ray.shutdown, daemon=True)
        leaving.start()
        leaving.join(LEFT_WITHIN_S)


def nodes() -> dict[str, tuple[int, int]]:
    """Return the CPUs and GPUs that each node has now, by Ray's id of the node."""
    import ray

    sizes = {}
    for node in ray.nodes():
        if node["Alive"]:
            resources = node["Resources"]
            sizes[node["NodeID"]] = (int(resources.get("CPU", 0)), int(resources.get("GPU", 0)))
    return sizes


def end_process(node_id: str, pid: int) -> None:
    """Kill a process on a node of the cluster; it may be gone already.

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


def run_alone(
    function: Callable[[Any], None],
    argument: Any,
    *,
    cpus: int,
    gpus: float,
    stop: Callable[[], bool],
) -> None:
    """Call a function on a worker, and wait for its end or until it is to stop.

    Args:
        function: Of a module, since a worker imports it by its name.
        argument: What it takes, plain values.
        cpus: That it gets.
        gpus: That it gets, or a share of one.
        stop: Asked every second; then the worker is ended.

    Raises:
        Exception: What the function raised, or why it could not be called.
    """
    import ray

    task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(function).remote(argument)
    while not ray.wait([task], timeout=1.0)[0]:
        if stop():
            ray.cancel(task, force=True)
            return
    ray.get(task)


def check_address(address: str, given_by: str = "--address") -> None:
    """Fail in seconds where Ray itself would retry for minutes.

    Args:
        address: Of a head node: `HOST:PORT`.
        given_by: The flag or variable that it comes from.

    Raises:
        SessionError: It is no such address, nothing listens there, or something else than Ray.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or "/" in host or not port.isdigit():
        raise SessionError(
            f"{given_by} must be local, auto or the HOST:PORT of a head node, but got {address!r} "
            "(a sweep does not run through a ray:// client: start it on a node of the cluster)."
        )
    encrypted = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S) as connection:
            known = encrypted or _speaks_http2(connection)
    except (OSError, OverflowError) as error:
        raise SessionError(
            f"nothing answers at {given_by} {address!r} ({error}): start Ray there, or pass local."
        ) from error
    if not known:
        raise SessionError(
            f"{given_by} must be where a Ray's head node listens, but {address!r} does not speak "
            "gRPC: give the address that `ray start --head` printed, or pass local."
        )


def _speaks_http2(connection: socket.socket) -> bool:
    """Return whether the other side begins with a frame of settings.

    Each server of HTTP/2, and so of gRPC, does: RFC 9113, 3.4.
    """
    received = b""
    deadline = time.monotonic() + CONNECT_TIMEOUT_S
    try:
        connection.sendall(_HTTP2_PREFACE)
        while len(received) < _FRAME_HEADER_BYTES:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            more = connection.recv(_FRAME_HEADER_BYTES - len(received))
            if not more or time.monotonic() > deadline:
                return False
            received += more
    except OSError:  # silence, or a connection that was reset
        return False
    return received[3:] == bytes([4, 0, 0, 0, 0, 0])
