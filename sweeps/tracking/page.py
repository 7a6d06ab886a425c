"""MLflow's page for a storage's own database: its server, started for as long as it is looked at.

It listens on the loopback, and whatever ends the command ends it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster.addresses import without_passwords
from sweeps.tracking.moved import ARTIFACTS
from sweeps.tracking.store import TrackingError

HOST = "127.0.0.1"
PORT = 5000  # MLflow's, where it is free
STARTS_WITHIN_S = 120.0
_PROBE_S = 2.0
_STOPS_WITHIN_S = 2.0  # an open page keeps it waiting; it has nothing to save
_SETTINGS = {
    # A sweep has no jobs for MLflow: seven processes less.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def free_port(asked: int | None) -> int:
    """Return the port that was asked for, or a free one.

    Raises:
        TrackingError: The one that was asked for is taken.
    """
    for port in (asked,) if asked is not None else (PORT, 0):
        with suppress(OSError), socket.create_server((HOST, port)) as probe:
            found: int = probe.getsockname()[1]
            return found
    raise TrackingError(
        f"--port must be free on {HOST}, but {asked} is taken: leave it out, or give another."
    )


@contextmanager
def served(
    tracking_uri: str, storage: Path, port: int, say: Callable[[str], None]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run MLflow's server for the time of a `with` block; the process ends where the server does.

    Args:
        tracking_uri: The database, as `prepare_store` returned it.
        storage: The sweeps' folder, which has the artifacts.
        port: A free one, on the loopback.
        say: Shows a line.

    Raises:
        TrackingError: It ends, or does not answer within `STARTS_WITHIN_S`.
    """
    command = [sys.executable, str(Path(sys.executable).parent / "mlflow"), "server"]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--artifacts-destination", str(storage.absolute() / ARTIFACTS)]
    # The database may have a password, which others would see among the arguments. MLflow looks
    # for its own server beside this Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = os.environ | _SETTINGS | {"MLFLOW_BACKEND_STORE_URI": tracking_uri, "PATH": path}
    environment.pop("MLFLOW_TRACKING_URI", None)

    # What it says is shown only where it does not start.
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours, and all its processes are one group
        )
        try:
            started = time.monotonic()
            say(f"Starting MLflow at http://{HOST}:{port} (about 10 s).")
            _wait(server, port, started)
            if server.poll() is not None:
                log.seek(0)
                raise TrackingError(f"MLflow must start, but ended: {_last_line(log.read())}")
            say(f"MLflow answers after {time.monotonic() - started:.0f} s.")
            yield server
        finally:
            _stop(server)


def _wait(server: subprocess.Popen[bytes], port: int, started: float) -> None:
    """Wait until a server answers, or has ended."""
    while server.poll() is None and not _answers(port):
        if time.monotonic() - started > STARTS_WITHIN_S:
            raise TrackingError(
                f"MLflow must answer within {STARTS_WITHIN_S:g} s, but did not: try again on a "
                "machine that is less busy."
            )
        time.sleep(0.1)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=_PROBE_S):
            return True
    except OSError:
        return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End a server and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(_STOPS_WITHIN_S)
    # Also what is left of its group, once the first process has ended.
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _last_line(said: bytes) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return without_passwords(lines[-1])[:300] if lines else "it said nothing"
