"""The runs of one sweep in MLflow: found by their tags or made, filled in batches, closed. Everything here waits for MLflow.

Every call may be made again after a crash, or after an answer that never came: it adds nothing that is there already.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags

from sweeps.records.events import DataRecord, TrialEnded
from sweeps.records.results import Outcome
from sweeps.tracking.experiment import ensure_experiment
from sweeps.tracking.store import (
    TrackingError,
    is_refusal,
)
from trainables.metrics import TESTED

STATUS: dict[Outcome, str] = {
    Outcome.COMPLETED: "FINISHED",
    Outcome.PRUNED: "FINISHED",
    Outcome.DIVERGED: "FAILED",
    Outcome.FAILED: "FAILED",
    Outcome.INTERRUPTED: "KILLED",
}
SWEEP = ""  # key of the sweep's own run; the others go by their trial_id
_UNREPORTED = (
    "epoch",
    "score",
    "history",
    "micro_batch",
)  # in an epoch, but not MLflow's metrics of it
_ENDED = ("sweep.outcome", "sweep.reason")  # tags of a run that is over
_BATCH = 800  # metrics in a request; MLflow takes 1,000 entities, of which params and tags are some
_MAX_DIGEST, _MAX_TAG = (
    36,
    5000,
)  # characters that MLflow's tables hold of a data set's digest, and of a tag


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStart:
    """What a run is made of. `time` here and below is in ms since 1970, as MLflow counts."""

    name: str
    tags: dict[str, str]
    params: dict[str, str]
    time: int


@dataclass(slots=True)
class _OpenRun:
    """A run in the store, or still to be made there, and what is to be sent to it."""

    run_id: str
    status: str  # that MLflow has
    new: RunStart | None = None  # to be made with its first batch, which saves a request
    has_params: Mapping[str, str] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)  # tags of an earlier end that MLflow has
    last_epoch: int = 0  # that is logged or waits
    reopens: bool = False
    epochs: list[list[Metric]] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)


class SweepRuns:
    """One run for the sweep and one under it for each trial. Not thread-safe: one thread calls it.

    After a call that fails, it does not know any more what MLflow has: a new one looks.

    Args:
        tracking_uri: What `prepare_store` returned.
        artifacts: Folder for the study's artifacts, unless a server decides.
        study: Name of the experiment.
        sweep: The sweep's own run.
        data: What all its trials are trained on.
    """

    def __init__(
        self, tracking_uri: str, artifacts: Path, study: str, sweep: RunStart, data: DataRecord
    ) -> None:
        self.client = MlflowClient(tracking_uri)
        self._sweep = sweep
        self._data = _dataset_input(data)
        self._context = resolve_tags()  # user, script, git commit, as MLflow names them
        location = None if tracking_uri.startswith(("http://", "https://")) else artifacts.as_uri()
        self._experiment_id = ensure_experiment(
            self.client, study, location, sweep.tags["mlflow.note.content"]
        )
        self._known = {_key(run) for run in self._search()}  # what MLflow may have; all else is new
        self._runs: dict[str, _OpenRun] = {}
        if SWEEP in self._known:
            self._run(SWEEP)

    @property
    def sweep_run_id(self) -> str | None:
        """MLflow's id of the sweep's run, if there is one yet."""
        return self._runs[SWEEP].run_id or None if SWEEP in self._runs else None

    def start(self, key: str, start: RunStart) -> None:
        """Make a run, or take up the one that is there."""
        if (key in self._runs or key in self._known) and not self._superseded(key, start):
            run = self._run(key)
            run.reopens = run.status != "RUNNING" or bool(run.stale)
        else:
            run = self._runs[key] = _OpenRun("", "RUNNING", start)
        # What is there stays: MLflow refuses to change a param.
        run.params += [
            Param(name, value) for name, value in start.params.items() if name not in run.has_params
        ]
        run.has_params = {**start.params, **run.has_params}

    def _superseded(self, key: str, start: RunStart) -> bool:
        """Delete a finalist's run with another recipe: the study has changed, and that was accepted."""
        run = self._run(key)
        same = all(run.has_params.get(name, value) == value for name, value in start.params.items())
        if (another := start.tags.get("sweep.role") == "finalist" and not same) and run.run_id:
            self.client.delete_run(run.run_id)
        return another

    def report(self, key: str, epochs: Sequence[Mapping[str, Any]], time: int) -> None:
        """Add epochs' metrics to the next batch, but for those that the run has already."""
        run = self._run(key)
        for epoch in epochs:
            number = int(epoch["epoch"])
            if number > run.last_epoch:
                run.last_epoch = number
                run.reopens |= run.status != "RUNNING"
                known = {
                    name: value
                    for name, value in epoch.items()
                    if name not in _UNREPORTED and value is not None
                }
                run.epochs.append(
                    [Metric(name, float(value), time, number) for name, value in known.items()]
                )

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Add tags to the next batch."""
        self._run(key).tags |= {name: value[:_MAX_TAG] for name, value in tags.items()}

    def end(
        self,
        key: str,
        outcome: Outcome,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        time: int,
    ) -> None:
        """Send all that is left of a run and close it. The sweep's own stays at hand, a trial's is forgotten."""
        run = self._run(key)
        run.reopens, run.stale = False, run.stale - tags.keys() - {"sweep.outcome"}
        run.epochs.append([Metric(name, float(value), time, 0) for name, value in metrics.items()])
        self.tag(key, {"sweep.outcome": outcome.value, **tags})
        try:
            self._send(run)
            self._delete_tags(run)
        except Exception as error:
            if is_refusal(error):  # it has ended all the same
                self.client.set_terminated(run.run_id, STATUS[outcome], time)
            raise
        self.client.set_terminated(run.run_id, STATUS[outcome], time)
        if key == SWEEP:
            run.status, run.stale = (
                STATUS[outcome],
                {"sweep.outcome", *tags.keys() & {"sweep.reason"}},
            )
            return
        del self._runs[key]
        if outcome is Outcome.INTERRUPTED:  # it may go on
            self._known.add(key)

    def interrupt_open_trials(self, time: int) -> None:
        """Close every trial of the sweep that is still running. All that waits must be sent."""
        running = {_key(run) for run in self._search("attributes.status = 'RUNNING'")}
        for key in sorted(running - {SWEEP}):
            self._runs.pop(
                key, None
            )  # where it was made twice, the one that is found again is kept
            if self._find(key).info.status == "RUNNING":
                self.end(key, Outcome.INTERRUPTED, {}, {}, time)

    def log_artifact(self, name: str, path: Path) -> None:
        """Copy a file or a folder to the sweep's run under the path `name`."""
        run_id, target = self._run(SWEEP).run_id, PurePosixPath(name)
        folder = None if target.parent == PurePosixPath(".") else str(target.parent)
        if path.is_dir():
            self.client.log_artifacts(run_id, str(path), name)
        elif path.name == target.name:
            self.client.log_artifact(run_id, str(path), folder)
        else:  # MLflow keeps the local file's name
            with tempfile.TemporaryDirectory() as renamed:
                copy = shutil.copyfile(path, Path(renamed, target.name))
                self.client.log_artifact(run_id, str(copy), folder)

    def send(self) -> None:
        """Send what waits of every run."""
        for run in self._runs.values():
            self._send(run)

    def _send(self, run: _OpenRun) -> None:
        if run.new:
            self._make(run, run.new)
        if run.reopens:
            if run.status != "RUNNING":
                self.client.update_run(run.run_id, "RUNNING")
            self._delete_tags(run)
            run.status, run.reopens = "RUNNING", False
        params, tags = run.params, [RunTag(name, value) for name, value in run.tags.items()]
        for metrics in _batches(run.epochs) if run.epochs or params or tags else ():
            self.client.log_batch(run.run_id, metrics, params, tags, synchronous=True)
            params, tags = [], []
        run.epochs, run.params, run.tags = [], [], {}

    def _delete_tags(self, run: _OpenRun) -> None:
        for name in sorted(run.stale):
            self.client.delete_tag(run.run_id, name)
        run.stale = set()

    def _run(self, key: str) -> _OpenRun:
        if key not in self._runs:
            self._runs[key] = self._adopt(key, self._find(key))
        return self._runs[key]

    def _find(self, key: str) -> Run:
        """A run in MLflow. Where an answer of MLflow's got lost and a run was made twice, the empty one is deleted.

        Raises:
            TrackingError: There is none.
        """
        which = f"tags.`sweep.trial_id` = '{key}'" if key else "tags.`sweep.role` = 'sweep'"
        found = sorted(
            self._search(which),
            key=lambda run: (run.info.status == "RUNNING", not run.data.metrics),
        )
        if not found:
            raise TrackingError(f"MLflow must have the run of {key or 'the sweep'}, but has not.")
        for double in found[1:]:
            if double.info.status == "RUNNING" and not double.data.metrics:
                self.client.delete_run(double.info.run_id)
        return found[0]

    def _search(self, more: str = "") -> list[Run]:
        which = f"tags.`sweep.name` = '{self._sweep.name}'" + (f" and {more}" if more else "")
        found: list[Run] = []
        token: str | None = None
        while token != "":
            page = self.client.search_runs([self._experiment_id], which, page_token=token)
            found += page
            token = page.token or ""
        return found

    def _adopt(self, key: str, stored: Run) -> _OpenRun:
        ended = set(_ENDED) & stored.data.tags.keys()
        run = _OpenRun(
            stored.info.run_id, stored.info.status, has_params=stored.data.params, stale=ended
        )
        if key != SWEEP and (
            names := sorted(stored.data.metrics.keys() - {*TrialEnded.numbers, *TESTED})
        ):  # each epoch logs all of them
            run.last_epoch = max(
                point.step for point in self.client.get_metric_history(run.run_id, names[0])
            )
        if stored.inputs is None or not stored.inputs.dataset_inputs:
            self._log_data(run.run_id)
        return run

    def _make(self, run: _OpenRun, start: RunStart) -> None:
        tags = (
            self._context
            | {name: value[:_MAX_TAG] for name, value in start.tags.items()}
            | run.tags
        )
        if run is not self._runs.get(SWEEP):
            parent = self._run(SWEEP)
            self._send(parent)  # it may be new too
            shared = {name: self._sweep.tags[name] for name in ("sweep.name", "sweep.study")}
            tags |= shared | {"mlflow.parentRunId": parent.run_id}
        run.run_id = self.client.create_run(
            self._experiment_id, start.time, tags, start.name
        ).info.run_id
        run.new, run.tags = None, {}
        self._log_data(run.run_id)

    def _log_data(self, run_id: str) -> None:
        try:
            self.client.log_inputs(run_id, [self._data])
        except (
            MlflowException
        ):  # two sweeps that bring a new data set at once: the slower one finds it the second time
            self.client.log_inputs(run_id, [self._data])


def _key(run: Run) -> str:
    key: str = run.data.tags.get("sweep.trial_id", SWEEP)
    return key


def _batches(epochs: Sequence[Sequence[Metric]]) -> Iterator[list[Metric]]:
    """Metrics by request, at least one; an epoch's stay together, so that a run has all of an epoch or nothing."""
    batch: list[Metric] = []
    for epoch in epochs:
        if batch and len(batch) + len(epoch) > _BATCH:
            yield batch
            batch = []
        batch = [*batch, *epoch]
    yield batch


def _dataset_input(data: DataRecord) -> DatasetInput:
    num_images = {f"num_{split}": number for split, number in data.num_images.items()}
    dataset = Dataset(
        name=data.name,
        digest=data.digest[:_MAX_DIGEST],
        source_type="local",
        source=json.dumps({"uri": data.source}),
        profile=json.dumps({"num_rows": sum(data.num_images.values()), **num_images}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
