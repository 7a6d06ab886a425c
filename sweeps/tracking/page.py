"""MLflow's page for a storage's own database: its server, started for as long as it is looked at.

It listens on the loopback.
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
from contextlib import suppress
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


class Server:
    """MLflow's server, that runs as a process group of its own.

    Args:
        tracking_uri: The database, as `prepare_store` returned it.
        storage: The sweeps' folder, which has the artifacts.
        port: A free one, on the loopback.

    Attributes:
        address: Where its page is.
    """

    def __init__(self, tracking_uri: str, storage: Path, port: int) -> None:
        self.address = f"http://{HOST}:{port}"
        # What it says is shown only where it does not start.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  `close` closes it
        self._process = subprocess.Popen(
            _command(storage, port),
            env=_environment(tracking_uri),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C is ours
        )

    def wait_until_it_answers(self) -> float:
        """Return after how many seconds it does.

        Raises:
            TrackingError: It ended, or does not answer within `STARTS_WITHIN_S`.
        """
        started = time.monotonic()
        while not _answers(self.address):
            if self._process.poll() is not None:
                self._log.seek(0)
                raise TrackingError(f"MLflow must start, but ended: {_last_line(self._log.read())}")
            if time.monotonic() - started > STARTS_WITHIN_S:
                raise TrackingError(
                    f"MLflow must answer within {STARTS_WITHIN_S:g} s, but did not: try again once "
                    "this machine is less busy."
                )
            time.sleep(0.1)
        return time.monotonic() - started

    def wait(self) -> None:
        """Return when it has ended."""
        self._process.wait()

    def close(self) -> None:
        """End it, and all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOPS_WITHIN_S)
        # Also what is left of its group, once the first process has ended.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()


def _command(storage: Path, port: int) -> list[str]:
    folder = Path(sys.executable).parent
    command = [sys.executable, str(folder / "mlflow"), "server", "--workers", "1"]
    command += ["--host", HOST, "--port", str(port)]
    return [*command, "--artifacts-destination", str(storage.absolute() / ARTIFACTS)]


def _environment(tracking_uri: str) -> dict[str, str]:
    """Return a server's environment.

    The database is in it, since its password would be seen among arguments. `uvicorn`, which MLflow
    starts, is found beside this Python.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    given = {"MLFLOW_BACKEND_STORE_URI": tracking_uri, "PATH": path}
    environment = {**os.environ, **_SETTINGS, **given}
    environment.pop("MLFLOW_TRACKING_URI", None)
    return environment


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=_PROBE_S):
            return True
    except OSError:
        return False


def _last_line(said: bytes) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return without_passwords(lines[-1])[:300] if lines else "it said nothing"
