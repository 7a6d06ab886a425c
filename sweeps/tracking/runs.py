"""The runs of one sweep in MLflow: found by their tags or made, filled in batches, closed.

Everything here waits for MLflow. Every call may be made again after a crash, or after an answer
that never came: it adds nothing that is there already.
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
from sweeps.tracking.store import TrackingError, is_refusal
from trainables.metrics import TESTED

STATUS: dict[Outcome, str] = {
    Outcome.COMPLETED: "FINISHED",
    Outcome.PRUNED: "FINISHED",
    Outcome.DIVERGED: "FAILED",
    Outcome.FAILED: "FAILED",
    Outcome.INTERRUPTED: "KILLED",
}
SWEEP = ""  # key of the sweep's own run; the others go by their trial_id
# In an epoch, but not MLflow's metrics of it.
_UNREPORTED = ("epoch", "score", "history", "micro_batch")
_ENDED = ("sweep.outcome", "sweep.reason")  # tags of a run that is over
# Metrics in a request: MLflow takes 1,000 entities, of which params and tags are some.
_BATCH = 800
# Characters that MLflow's tables hold of a data set's digest, and of a tag.
_MAX_DIGEST = 36
_MAX_TAG = 5000


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStart:
    """All that a run is made of. `time` here and below is in ms since 1970, as MLflow counts.

    Attributes:
        name: The run's.
        tags: Its tags.
        params: Its params: of a trial, the fields of its recipe that not all trials share.
        recipe: All fields of a trial's recipe; of the sweep, those that its trials share.
        time: Its start.
    """

    name: str
    tags: dict[str, str]
    params: dict[str, str]
    recipe: dict[str, str]
    time: int


@dataclass(slots=True)
class _OpenRun:
    """A run in the store, or still to be made there, and what is to be sent to it."""

    run_id: str
    status: str  # that MLflow has
    # To be made with its first batch, which saves a request.
    new: RunStart | None = None
    has_params: Mapping[str, str] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)  # tags of an earlier end that MLflow has
    logged: set[int] = field(default_factory=set)  # epochs that MLflow has, or that wait
    reopens: bool = False
    epochs: list[list[Metric]] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)


class SweepRuns:
    """One run for the sweep and one under it for each trial. Not thread-safe: one thread calls it.

    After a call that fails, it does not know any more what MLflow has: a new one looks.

    Args:
        tracking_uri: What `prepare_store` returned.
        artifacts: Where a new experiment keeps its artifacts; None leaves it to the server.
        study: Name of the experiment.
        sweep: The sweep's own run.
        data: What all its trials are trained on.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifacts: str | None,
        study: str,
        sweep: RunStart,
        data: DataRecord,
    ) -> None:
        self.client = MlflowClient(tracking_uri)
        self._sweep = sweep
        self._data = _dataset_input(data)
        self._context = resolve_tags()  # user, script, git commit, as MLflow names them

        question = sweep.tags["mlflow.note.content"]
        self._experiment_id = ensure_experiment(self.client, study, artifacts, question)

        # What MLflow may have; all else is new.
        self._known = {_key(run) for run in self._search()}
        self._runs: dict[str, _OpenRun] = {}
        if SWEEP in self._known:
            self._run(SWEEP)

    @property
    def sweep_run_id(self) -> str | None:
        """MLflow's id of the sweep's run, if there is one yet."""
        run = self._runs.get(SWEEP)
        return run.run_id or None if run else None

    def start(self, key: str, start: RunStart) -> None:
        """Make a run, or take up the one that is there."""
        if (key in self._runs or key in self._known) and not self._superseded(key, start):
            run = self._run(key)
            run.reopens = run.status != "RUNNING" or bool(run.stale)
        else:
            run = self._runs[key] = _OpenRun("", "RUNNING", start)
        # What is there stays: MLflow refuses to change a param.
        for name, value in start.params.items():
            if name not in run.has_params:
                run.params.append(Param(name, value))
        run.has_params = {**start.params, **run.has_params}

    def _superseded(self, key: str, start: RunStart) -> bool:
        """Delete a finalist's run with another recipe, and return whether it had one.

        The study has changed then, and that was accepted.
        """
        run = self._run(key)
        if start.tags.get("sweep.role") != "finalist":
            return False
        had = {**self._sweep.recipe, **run.has_params}
        if all(had.get(name, value) == value for name, value in start.recipe.items()):
            return False
        if run.run_id:
            self.client.delete_run(run.run_id)
        return True

    def report(self, key: str, epochs: Sequence[Mapping[str, Any]], time: int) -> None:
        """Add epochs' metrics to the next batch, but for those that the run has already."""
        run = self._run(key)
        for epoch in epochs:
            number = int(epoch["epoch"])
            if number not in run.logged:
                run.logged.add(number)
                run.reopens |= run.status != "RUNNING"
                run.epochs.append(list(_metrics(epoch, time)))

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Add tags to the next batch."""
        self._run(key).tags |= _shortened(tags)

    def end(
        self,
        key: str,
        outcome: Outcome,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        time: int,
    ) -> None:
        """Send all that is left of a run and close it.

        The sweep's own run stays at hand, a trial's is forgotten.
        """
        # The last batch.
        run = self._run(key)
        run.reopens = False
        run.stale = run.stale - tags.keys() - {"sweep.outcome"}
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

        # A resume opens the sweep's run again, and a trial's that was interrupted.
        if key == SWEEP:
            run.status = STATUS[outcome]
            run.stale = {"sweep.outcome", *tags.keys() & {"sweep.reason"}}
            return
        del self._runs[key]
        if outcome is Outcome.INTERRUPTED:
            self._known.add(key)

    def interrupt_open_trials(self, time: int) -> None:
        """Close every trial of the sweep that is still running. All that waits must be sent."""
        running = {_key(run) for run in self._search("attributes.status = 'RUNNING'")}
        for key in sorted(running - {SWEEP}):
            # Where it was made twice, the one that is found again is kept.
            self._runs.pop(key, None)
            if self._find(key).info.status == "RUNNING":
                self.end(key, Outcome.INTERRUPTED, {}, {}, time)

    def log_artifact(self, name: str, path: Path) -> None:
        """Copy a file or a folder to the sweep's run under the path `name`."""
        run_id = self._run(SWEEP).run_id
        target = PurePosixPath(name)
        folder = str(target.parent) if len(target.parts) > 1 else None
        if path.is_dir():
            self.client.log_artifacts(run_id, str(path), name)
        elif path.name == target.name:
            self.client.log_artifact(run_id, str(path), folder)
        else:
            # MLflow keeps the local file's name.
            with tempfile.TemporaryDirectory() as renamed:
                copy = shutil.copyfile(path, Path(renamed, target.name))
                self.client.log_artifact(run_id, str(copy), folder)

    def send(self) -> None:
        """Send what waits of every run."""
        for run in self._runs.values():
            self._send(run)

    def _send(self, run: _OpenRun) -> None:
        # What must be there before anything can be sent.
        if run.new:
            self._make(run, run.new)
        if run.reopens:
            if run.status != "RUNNING":
                self.client.update_run(run.run_id, "RUNNING")
            self._delete_tags(run)
            run.status = "RUNNING"
            run.reopens = False

        # Params and tags go with the first batch, or alone.
        params = run.params
        tags = [RunTag(name, value) for name, value in run.tags.items()]
        if not (run.epochs or params or tags):
            return
        for metrics in _batches(run.epochs):
            self.client.log_batch(run.run_id, metrics, params, tags, synchronous=True)
            params = []
            tags = []
        run.epochs = []
        run.params = []
        run.tags = {}

    def _delete_tags(self, run: _OpenRun) -> None:
        for name in sorted(run.stale):
            self.client.delete_tag(run.run_id, name)
        run.stale = set()

    def _run(self, key: str) -> _OpenRun:
        if key not in self._runs:
            self._runs[key] = self._adopt(key, self._find(key))
        return self._runs[key]

    def _find(self, key: str) -> Run:
        """Return a run in MLflow.

        Where an answer of MLflow's got lost and a run was made twice, the empty one is deleted.

        Raises:
            TrackingError: There is none.
        """
        which = "tags.`sweep.role` = 'sweep'"
        if key:
            which = f"tags.`sweep.trial_id` = '{key}'"
        runs = self._search(which)
        if not runs:
            raise TrackingError(f"MLflow must have the run of {key or 'the sweep'}, but has none.")
        first, *doubles = sorted(
            runs, key=lambda run: (run.info.status == "RUNNING", not run.data.metrics)
        )
        for double in doubles:
            if double.info.status == "RUNNING" and not double.data.metrics:
                self.client.delete_run(double.info.run_id)
        return first

    def _search(self, more: str = "") -> list[Run]:
        which = f"tags.`sweep.name` = '{self._sweep.name}'"
        if more:
            which = f"{which} and {more}"
        runs: list[Run] = []
        token: str | None = None
        while token != "":
            page = self.client.search_runs([self._experiment_id], which, page_token=token)
            runs += page
            token = page.token or ""
        return runs

    def _adopt(self, key: str, stored: Run) -> _OpenRun:
        """Take up a run that MLflow has."""
        info = stored.info
        run = _OpenRun(info.run_id, info.status, has_params=stored.data.params)
        run.stale = set(_ENDED) & stored.data.tags.keys()
        names = sorted(stored.data.metrics.keys() - {*TrialEnded.numbers, *TESTED})
        if key != SWEEP and names:
            # Each epoch logs all of its metrics: any of them tells which are there.
            history = self.client.get_metric_history(run.run_id, names[0])
            run.logged = {point.step for point in history}
        if stored.inputs is None or not stored.inputs.dataset_inputs:
            self._log_data(run.run_id)
        return run

    def _make(self, run: _OpenRun, start: RunStart) -> None:
        tags = self._context | _shortened(start.tags) | run.tags
        if run is not self._runs.get(SWEEP):
            parent = self._run(SWEEP)
            self._send(parent)  # it may be new too
            for name in ("sweep.name", "sweep.study"):
                tags[name] = self._sweep.tags[name]
            tags["mlflow.parentRunId"] = parent.run_id
        made = self.client.create_run(self._experiment_id, start.time, tags, start.name)
        run.run_id = made.info.run_id
        run.new = None
        run.tags = {}
        self._log_data(run.run_id)

    def _log_data(self, run_id: str) -> None:
        try:
            self.client.log_inputs(run_id, [self._data])
        except MlflowException:
            # Two sweeps bring a new data set at once: the slower one finds it the second time.
            self.client.log_inputs(run_id, [self._data])


def _key(run: Run) -> str:
    key: str = run.data.tags.get("sweep.trial_id", SWEEP)
    return key


def _metrics(epoch: Mapping[str, Any], time: int) -> Iterator[Metric]:
    """Yield MLflow's metrics of an epoch; what was not measured is left out."""
    for name, value in epoch.items():
        if name not in _UNREPORTED and value is not None:
            yield Metric(name, float(value), time, int(epoch["epoch"]))


def _shortened(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:_MAX_TAG] for name, value in tags.items()}


def _batches(epochs: Sequence[Sequence[Metric]]) -> Iterator[list[Metric]]:
    """Yield metrics by request, at least one.

    An epoch's stay together, so that a run has all of an epoch or nothing.
    """
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
