"""The runs of one sweep in MLflow: found by their tags or made, filled in batches, closed. Everything here waits for MLflow."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

import sweeps.runner.mlflow_store  # noqa: F401  before mlflow: it switches telemetry and log lines off

# isort: split
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags

from sweeps.runner.background import Write

Outcome = Literal["completed", "pruned", "diverged", "failed", "interrupted"]

STATUS: dict[Outcome, str] = {
    "completed": "FINISHED",
    "pruned": "FINISHED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}
SWEEP = ""  # key of the sweep's own run; the others go by their trial_id
SUMMARY = ("score", "best_epoch", "wall_seconds", "device_seconds")  # metrics of a whole trial
_BATCH = 800  # metrics in a request; MLflow takes 1,000 entities, of which params and tags are some
_MAX_DIGEST = 36  # characters that MLflow's tables hold of a data set's digest
_MAX_TAG = 5000  # characters


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedData:
    """The data set as MLflow shows it: no pixels, only what identifies them.

    Attributes:
        name: As the user named it.
        digest: Of the images and labels; MLflow keeps 36 characters.
        source: Where it came from: a path, an address, or a function's name.
        num_images: Number of images by split.
    """

    name: str
    digest: str
    source: str
    num_images: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStart:
    """What a run is made of. `time` here and below is in ms since 1970, as MLflow counts."""

    name: str
    tags: dict[str, str]
    params: dict[str, str]
    time: int


@dataclass(slots=True)
class _OpenRun:
    """A run in the store, and what is still to be sent to it."""

    run_id: str
    status: str
    last_epoch: int = 0  # that is logged already
    has_score: bool = False
    metrics: list[Metric] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)
    tags: list[RunTag] = field(default_factory=list)


class SweepRuns:
    """One run for the sweep and one under it for each trial. Not thread-safe: one thread calls it.

    A call that fails leaves the rest in order: a run that could not be made is tried again by the next call that needs it.

    Args:
        tracking_uri: What `prepare_store` returned.
        artifacts: Folder for the study's artifacts, unless a server decides.
        study: Name of the experiment.
        sweep: The sweep's own run.
        data: What all its trials are trained on.
    """

    def __init__(self, tracking_uri: str, artifacts: Path, study: str, sweep: RunStart, data: TrackedData) -> None:
        self._uri = tracking_uri
        self._artifacts = artifacts
        self._study = study
        self._data = _dataset_input(data)
        self._starts = {SWEEP: sweep}
        self._stored: dict[str, Run] = {}  # runs of this sweep that an earlier execution left
        self._runs: dict[str, _OpenRun] = {}
        self._context: dict[str, str] = {}  # user, script, git commit, as MLflow names them
        self._experiment_id = ""
        self._lazy_client: MlflowClient | None = None

    def start(self, key: str, start: RunStart) -> None:
        """Make a run, or take up the one that is there."""
        self._starts[key] = start
        run = self._run(key)
        if run.status == "RUNNING":
            return
        self._client.update_run(run.run_id, "RUNNING")
        run.status = "RUNNING"
        present = self._client.get_run(run.run_id).data.tags
        for name in ("sweep.outcome", "sweep.reason"):
            if name in present:
                self._client.delete_tag(run.run_id, name)

    def report(self, key: str, epoch: int, metrics: Mapping[str, float], time: int) -> None:
        """Add an epoch's metrics to the next batch, unless the run has that epoch already."""
        run = self._run(key)
        if epoch > run.last_epoch:
            run.last_epoch = epoch
            run.has_score |= "score" in metrics
            run.metrics += [Metric(name, float(value), time, epoch) for name, value in metrics.items() if name != "epoch"]

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Add tags to the next batch."""
        self._run(key).tags += [RunTag(name, value[:_MAX_TAG]) for name, value in tags.items()]

    def end(self, key: str, outcome: Outcome, metrics: Mapping[str, float], tags: Mapping[str, str], time: int) -> None:
        """Send all that is left of a run and close it. A score that the epochs brought already is not logged again."""
        run = self._run(key)
        metrics = {name: value for name, value in metrics.items() if name != "score" or not run.has_score}
        run.metrics += [Metric(name, float(value), time, run.last_epoch) for name, value in metrics.items()]
        run.tags += [RunTag(name, value[:_MAX_TAG]) for name, value in {"sweep.outcome": outcome, **tags}.items()]
        run.status = STATUS[outcome]  # first: what has ended is not interrupted later, even if MLflow misses it now
        try:
            self._send(run)
        finally:
            self._client.set_terminated(run.run_id, run.status, time)

    def interrupt_open_trials(self, time: int) -> None:
        """Close every trial of the sweep that is still running, also one that an earlier execution left so."""
        for key, stored in self._stored.items():
            if stored.info.status == "RUNNING":
                self._run(key)
        for key, run in self._runs.items():
            if key != SWEEP and run.status == "RUNNING":
                self.end(key, "interrupted", {}, {}, time)

    def log_artifact(self, name: str, path: Path) -> None:
        """Copy a file or a folder to the sweep's run under the path `name`."""
        run_id, target = self._run(SWEEP).run_id, PurePosixPath(name)
        folder = None if target.parent == PurePosixPath(".") else str(target.parent)
        if path.is_dir():
            self._client.log_artifacts(run_id, str(path), name)
        elif path.name == target.name:
            self._client.log_artifact(run_id, str(path), folder)
        else:  # MLflow keeps the local file's name
            with tempfile.TemporaryDirectory() as renamed:
                copy = shutil.copyfile(path, Path(renamed, target.name))
                self._client.log_artifact(run_id, str(copy), folder)

    def pending(self) -> list[Write]:
        """A write for each run that has something to send."""
        return [partial(self._send, run) for run in self._runs.values() if run.metrics or run.params or run.tags]

    def sweep_run_id(self) -> str | None:
        """MLflow's id of the sweep's run, if there is one yet."""
        return self._runs[SWEEP].run_id if SWEEP in self._runs else None

    def _send(self, run: _OpenRun) -> None:
        metrics, params, tags = run.metrics, run.params, run.tags
        run.metrics, run.params, run.tags = [], [], []
        self._client.log_batch(run.run_id, metrics[:_BATCH], params, tags)
        for first in range(_BATCH, len(metrics), _BATCH):
            self._client.log_batch(run.run_id, metrics[first : first + _BATCH])

    def _run(self, key: str) -> _OpenRun:
        if key not in self._runs:
            parent = self._run(SWEEP).run_id if key != SWEEP else None
            if parent is None:
                self._look_around()
            if key in self._stored:
                self._runs[key] = self._found(key)
            else:
                self._make(key, parent)
        return self._runs[key]

    def _look_around(self) -> None:
        self._context = resolve_tags()
        self._experiment_id = self._experiment()
        token: str | None = None
        while token != "":
            name = self._starts[SWEEP].name
            page = self._client.search_runs([self._experiment_id], f"tags.`sweep.name` = '{name}'", page_token=token)
            self._stored |= {run.data.tags.get("sweep.trial_id", SWEEP): run for run in page}
            token = page.token or ""

    def _found(self, key: str) -> _OpenRun:
        stored, start = self._stored[key], self._starts.get(key)
        run = _OpenRun(stored.info.run_id, stored.info.status, has_score="score" in stored.data.metrics)
        if names := sorted(stored.data.metrics.keys() - set(SUMMARY)):  # each epoch logs all of them
            run.last_epoch = max(point.step for point in self._client.get_metric_history(run.run_id, names[0]))
        if start:  # what is there stays: MLflow refuses to change a param
            run.params = [Param(name, value) for name, value in start.params.items() if name not in stored.data.params]
        return run

    def _make(self, key: str, parent: str | None) -> None:
        start = self._starts[key]
        tags: dict[str, str] = self._context | start.tags
        if parent is not None:
            sweep_tags = self._starts[SWEEP].tags
            tags |= {name: sweep_tags[name] for name in ("sweep.name", "sweep.study")} | {"mlflow.parentRunId": parent}
        made = self._client.create_run(self._experiment_id, start.time, tags, start.name)
        params = [Param(name, value) for name, value in start.params.items()]
        self._runs[key] = _OpenRun(made.info.run_id, "RUNNING", params=params)
        try:
            self._client.log_inputs(made.info.run_id, [self._data])
        except MlflowException:  # two sweeps that bring a new data set at once: the slower one finds it the second time
            self._client.log_inputs(made.info.run_id, [self._data])

    def _experiment(self) -> str:
        experiment = self._client.get_experiment_by_name(self._study)
        if experiment is None:
            location = None if self._uri.startswith(("http://", "https://")) else self._artifacts.as_uri()
            note = self._starts[SWEEP].tags["mlflow.note.content"]  # shown above the table of runs
            tags = {"mlflow.note.content": note, "mlflow.experimentKind": "custom_model_development"}
            try:
                made: str = self._client.create_experiment(self._study, location, tags)
                return made
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            experiment = self._client.get_experiment_by_name(self._study)  # another sweep was faster
            assert experiment is not None
        if experiment.lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment.experiment_id)
        found: str = experiment.experiment_id
        return found

    @property
    def _client(self) -> MlflowClient:
        if self._lazy_client is None:
            self._lazy_client = MlflowClient(self._uri)
        return self._lazy_client


def _dataset_input(data: TrackedData) -> DatasetInput:
    num_images = {f"num_{split}": number for split, number in data.num_images.items()}
    dataset = Dataset(
        name=data.name,
        digest=data.digest[:_MAX_DIGEST],
        source_type="local",
        source=json.dumps({"uri": data.source}),
        profile=json.dumps({"num_rows": sum(data.num_images.values()), **num_images}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def sweep_exists(tracking_uri: str, study: str, sweep_name: str) -> bool:
    """Whether MLflow has a sweep of that name in the study's experiment."""
    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name(study)
    return experiment is not None and bool(
        client.search_runs([experiment.experiment_id], f"tags.`sweep.name` = '{sweep_name}'", max_results=1)
    )
