"""The machine of a sweep's driver while it runs: its CPUs, memory, disk, network and GPUs.

MLflow's own collectors measure them, once for the machine and not per trial. They are metrics of
the sweep's run, `system/…`, and not of its record: what MLflow does not take is not told again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric

EVERY_S = 10.0
# That a closing sweep waits for a sample that is on its way.
_LET_GO_S = 1.0


class MachineMetrics:
    """A thread that measures and tells, until it is closed. It never raises, and nobody waits.

    Args:
        tracking_uri: What `prepare_store` returned.
        run_id: Returns MLflow's id of the sweep's run; None while MLflow has none.
        every: Seconds between two samples.
    """

    def __init__(
        self, tracking_uri: str, run_id: Callable[[], str | None], every: float = EVERY_S
    ) -> None:
        self._uri = tracking_uri
        self._run_id = run_id
        self._every = every
        # Starts of runs, in ms since 1970.
        self._begun: dict[str, int] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="machine-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join(_LET_GO_S)

    def _work(self) -> None:
        # It says at each start that there is no GPU.
        logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)
        try:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            # Its thread is not started: it ends for good where MLflow is down once.
            monitor: Any = SystemMetricsMonitor("", tracking_uri=self._uri)  # type: ignore[no-untyped-call]
            client = MlflowClient(self._uri)
        except Exception:  # noqa: BLE001  Without psutil, or with a sensor that fails.
            return
        while not self._closing.wait(self._every):
            run_id = self._run_id()
            if run_id is None:
                continue
            with suppress(Exception):  # MLflow is down: the next sample may be taken
                self._tell(client, run_id, _sample(monitor))

    def _tell(self, client: MlflowClient, run_id: str, sample: Mapping[str, float]) -> None:
        # A resume goes on where the time is: no step is there twice.
        if run_id not in self._begun:
            self._begun[run_id] = client.get_run(run_id).info.start_time
        now = int(time.time() * 1000)
        step = max(0, now - self._begun[run_id]) // 1000
        metrics = [Metric(f"system/{name}", value, now, step) for name, value in sample.items()]
        client.log_batch(run_id, metrics, synchronous=True)


def _sample(monitor: Any) -> dict[str, float]:
    monitor.collect_metrics()
    sample: dict[str, float] = monitor.aggregate_metrics()
    for each in monitor.monitors:
        each.clear_metrics()
    return sample
