"""MLflow's side of a sweep, as the sweep sees it: events go in at once, and a background thread writes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sweeps.runner.background import BackgroundWriter, Write
from sweeps.runner.mlflow_runs import SUMMARY, SWEEP, Outcome, RunStart, SweepRuns, TrackedData
from sweeps.runner.mlflow_store import TrackingError, prepare_store, without_password

__all__ = ["Outcome", "Role", "TrackedData", "Tracker", "TrackingError", "prepare_store"]

Role = Literal["trial", "finalist"]


class Tracker:
    """Tells MLflow what happens in one sweep. Any thread may call it.

    Methods return at once and never raise, but for `flush`, `close` and `sweep_run_id`, which wait. What fails in the
    background is counted, and `close` says so. Runs are looked up by their tags before they are made, so that a resumed
    sweep continues its runs.

    Args:
        tracking_uri: What `prepare_store` returned.
        storage: The sweeps' folder; artifacts go to `<storage>/artifacts/<study>`, unless a server decides.
    """

    def __init__(self, tracking_uri: str, storage: Path) -> None:
        self.tracking_uri = tracking_uri
        self._artifacts = storage.absolute() / "artifacts"
        self._runs: SweepRuns | None = None  # for the background thread alone
        self._writer = BackgroundWriter("MLflow", self._pending)

    def start_sweep(
        self,
        *,
        study: str,
        sweep_name: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        dataset: TrackedData,
        description: str,
    ) -> None:
        """Open the sweep's run in the experiment `study`, or take it up again. Comes first.

        Args:
            study: The study's name.
            sweep_name: The sweep's name, in this experiment once.
            tags: More tags of the run.
            params: The sweep's options.
            dataset: What all trials are trained on.
            description: What MLflow shows above the run, in Markdown: the question.
        """
        own = {"sweep.name": sweep_name, "sweep.study": study, "sweep.role": "sweep", "mlflow.note.content": description}
        start = RunStart(name=sweep_name, tags=own | dict(tags), params=_texts(params), time=_now())
        runs = SweepRuns(self.tracking_uri, self._artifacts / study, study, start, dataset)
        self._writer.put(partial(self._start_sweep, runs, start))

    def trial_started(self, trial_id: str, arm: str, number: int, params: Mapping[str, Any], *, role: Role = "trial") -> None:
        """Open the run of a trial, or of a finalist's seed, or take it up again.

        Args:
            trial_id: The run's name, unique in the sweep: `resnet34/tricks/007`.
            arm: The trial's arm.
            number: The trial's number in its arm.
            params: The recipe's fields.
            role: Which of the two it is.
        """
        tags = {"sweep.role": role, "sweep.trial_id": trial_id, "sweep.arm": arm, "sweep.trial_number": str(number)}
        start = RunStart(name=trial_id, tags=tags, params=_texts(params), time=_now())
        self._put(lambda runs: runs.start(trial_id, start))

    def trial_reported(self, trial_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log an epoch's metrics at step `epoch`; an epoch that the run has already is passed over."""
        copy, now = dict(metrics), _now()
        self._put(lambda runs: runs.report(trial_id, epoch, copy, now))

    def trial_tagged(self, trial_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a trial's run."""
        copy = dict(tags)
        self._put(lambda runs: runs.tag(trial_id, copy))

    def trial_ended(
        self,
        trial_id: str,
        outcome: Outcome,
        reason: str | None = None,
        *,
        wall_seconds: float | None = None,
        device_seconds: float | None = None,
        score: float | None = None,
        best_epoch: int | None = None,
    ) -> None:
        """Close a trial's run with its outcome and the reason for it, and what is known of its totals as metrics."""
        totals = zip(SUMMARY, (score, best_epoch, wall_seconds, device_seconds), strict=True)
        known = {name: value for name, value in totals if value is not None}
        tags, now = {"sweep.reason": reason} if reason else {}, _now()
        self._put(lambda runs: runs.end(trial_id, outcome, known, tags, now))

    def finish_sweep(
        self,
        outcome: Outcome,
        *,
        artifacts: Mapping[str, Path] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Close the sweep's run; trials that are still open are closed as interrupted.

        Args:
            outcome: Of the sweep.
            artifacts: Local files and folders, by their path among the run's artifacts.
            metrics: Results, logged on the sweep's run.
            tags: More tags of the run.
        """
        results, more, now = dict(metrics or {}), dict(tags or {}), _now()
        self._put(lambda runs: runs.interrupt_open_trials(now))
        for name, path in (artifacts or {}).items():
            self._put(partial(SweepRuns.log_artifact, name=name, path=path))
        self._put(lambda runs: runs.end(SWEEP, outcome, results, more, now))

    def flush(self, timeout: float = 60.0) -> bool:
        """Wait at most `timeout` seconds until everything told so far was written, or failed; whether that is so."""
        return self._writer.flush(timeout)

    def close(self, timeout: float = 60.0) -> str | None:
        """Flush and end the thread; one line for the user if writes failed or are not done in time."""
        return self._writer.close(timeout)

    def sweep_run_id(self, timeout: float = 60.0) -> str:
        """MLflow's id of the sweep's run.

        Raises:
            TrackingError: MLflow has no such run after `timeout` seconds.
        """
        self.flush(timeout)
        run_id = self._runs.sweep_run_id() if self._runs else None
        if run_id is None:
            raise TrackingError(f"MLflow must have the sweep's run, but {without_password(self.tracking_uri)} has not.")
        return run_id

    def _start_sweep(self, runs: SweepRuns, start: RunStart) -> None:
        self._runs = runs
        runs.start(SWEEP, start)

    def _put(self, write: Callable[[SweepRuns], None]) -> None:
        self._writer.put(lambda: write(self._started()))

    def _started(self) -> SweepRuns:
        assert self._runs is not None, "start_sweep comes first"
        return self._runs

    def _pending(self) -> Iterable[Write]:
        return self._runs.pending() if self._runs else ()


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _now() -> int:
    return int(time.time() * 1000)
