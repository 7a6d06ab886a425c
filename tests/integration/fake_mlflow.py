"""An MLflow in memory that fails and is killed where a test says, and a sweep to deliver to it."""

import os
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from sweeps.records.events import (
    DataRecord,
    EpochsReported,
    SweepStarted,
    TrialEnded,
    TrialStarted,
)
from sweeps.records.journal import Journal
from sweeps.records.results import Outcome
from sweeps.tracking import delivery
from sweeps.tracking.courier import Courier
from sweeps.tracking.tracker import Tracker
from trainables.recipe import completed

DATA = DataRecord(name="digits", digest="5f3a", source="sklearn", num_images={"train": 500})
SWEEP, A, B, C, D = "s1", "arm/000", "arm/001", "arm/002", "arm/003"
URI, OTHER = "fake://one", "fake://two"


class Killed(BaseException):
    """The driver's process ends."""


class FakeMlflow:
    """MLflow's client and store in memory.

    `fault(call, number, done)` is asked before and after each call.
    """

    def __init__(self) -> None:
        self.runs: dict[str, SimpleNamespace] = {}
        self.experiments: dict[str, SimpleNamespace] = {}
        self.artifacts: set[str] = set()
        self.calls = 0
        self.fault: Any = lambda call, number, done: None
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        method = type(self).__dict__.get(f"do_{name}")
        if method is None:
            raise AttributeError(name)

        def call(*arguments: Any, **more: Any) -> Any:
            self.calls += 1
            number = self.calls
            time.sleep(self.seconds)
            self.fault(name, number, False)
            result = method(self, *arguments, **more)
            self.fault(name, number, True)
            return result

        return call

    def do_get_experiment_by_name(self, name: str) -> Any:
        return self.experiments.get(name)

    def do_create_experiment(self, name: str, location: str, tags: dict[str, str]) -> str:
        assert name not in self.experiments
        self.experiments[name] = SimpleNamespace(experiment_id=name, lifecycle_stage="active")
        return name

    def do_search_runs(
        self, experiments: list[str], which: str, page_token: str | None = None
    ) -> Any:
        wanted = re.findall(r"tags\.`([^`]+)` = '([^']*)'", which)
        status = re.findall(r"attributes\.status = '(\w+)'", which)
        found = [
            SimpleNamespace(
                info=SimpleNamespace(run_id=run.run_id, status=run.status),
                data=SimpleNamespace(
                    tags=dict(run.tags),
                    params=dict(run.params),
                    metrics={point[0]: point[3] for point in run.metrics},
                ),
                inputs=SimpleNamespace(dataset_inputs=list(run.datasets)),
            )
            for run in self.runs.values()
            if not run.deleted
            and all(run.tags.get(name) == value for name, value in wanted)
            and (not status or [run.status] == status)
        ]
        first = int(page_token or 0)
        page = Page(found[first : first + 2])
        page.token = str(first + 2) if first + 2 < len(found) else None
        return page

    def do_create_run(self, experiment: str, start: int, tags: dict[str, str], name: str) -> Any:
        run = SimpleNamespace(
            run_id=f"run{len(self.runs)}", name=name, status="RUNNING", tags=dict(tags), params={}
        )
        run.metrics, run.datasets, run.deleted = [], [], False
        self.runs[run.run_id] = run
        return SimpleNamespace(info=SimpleNamespace(run_id=run.run_id))

    def do_log_inputs(self, run_id: str, datasets: list[Any]) -> None:
        self.runs[run_id].datasets = datasets

    def do_log_batch(
        self, run_id: str, metrics: Any, params: Any, tags: Any, synchronous: bool
    ) -> None:
        run = self.runs[run_id]
        if any("bad" in metric.key for metric in metrics):
            raise MlflowException("Invalid metric name", INVALID_PARAMETER_VALUE)
        for param in params:
            assert run.params.setdefault(param.key, param.value) == param.value
        run.metrics += [(point.key, point.step, point.timestamp, point.value) for point in metrics]
        run.tags |= {tag.key: tag.value for tag in tags}

    def do_set_terminated(self, run_id: str, status: str, end: int) -> None:
        self.runs[run_id].status = status

    def do_update_run(self, run_id: str, status: str) -> None:
        self.runs[run_id].status = status

    def do_delete_tag(self, run_id: str, name: str) -> None:
        del self.runs[run_id].tags[name]

    def do_delete_run(self, run_id: str) -> None:
        self.runs[run_id].deleted = True

    def do_get_metric_history(self, run_id: str, name: str) -> list[Any]:
        return [
            SimpleNamespace(step=point[1])
            for point in self.runs[run_id].metrics
            if point[0] == name
        ]

    def do_log_artifact(self, run_id: str, path: str, folder: str | None) -> None:
        self.artifacts.add(f"{folder}/{Path(path).name}" if folder else Path(path).name)


class Page(list[Any]):
    token: str | None


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeMlflow]:
    """A store for each URI."""
    known = {URI: FakeMlflow(), OTHER: FakeMlflow()}
    monkeypatch.setattr("sweeps.tracking.runs.MlflowClient", known.__getitem__)
    monkeypatch.setattr("sweeps.tracking.runs.resolve_tags", dict)
    # `mlflow.offset` is written thousands of times, and no machine fails here.
    monkeypatch.setattr(os, "fsync", lambda file: None)
    monkeypatch.setattr(delivery, "RETRY_FIRST", 0.02)
    monkeypatch.setattr(delivery, "RETRY_MOST", 0.05)
    return known


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sweeps" / SWEEP
    folder.mkdir(parents=True)
    (folder / "results.csv").write_text("a,b\n")
    return folder


@pytest.fixture
def whole(folder: Path) -> Path:
    """The folder of a sweep that was interrupted, killed and resumed.

    Of its trials some ended, some were left open, and some went on.
    """
    journal = Journal(folder / "trials.jsonl")
    for event in story_it(folder):
        journal.append(event)
    journal.close()
    return folder


def story_it(folder: Path) -> Iterator[dict[str, Any]]:
    moment = iter(range(1_700_000_000_000, 1_800_000_000_000, 1000))

    def told(kind: str, **content: Any) -> dict[str, Any]:
        return {"event": kind, "time": next(moment), **content}

    def trial(trial_id: str) -> dict[str, Any]:
        recipe = {"lr": 0.1, "seed": 1}
        return told(
            "trial",
            trial_id=trial_id,
            arm="arm",
            number=int(trial_id[-3:]),
            role="trial",
            sample={},
            recipe=recipe,
        )

    def epochs(trial_id: str, *numbers: int) -> dict[str, Any]:
        done = [
            {"epoch": n, "score": 0.5, "val/accuracy": n / 10, "val/loss": 1 / n} for n in numbers
        ]
        return told("epochs", trial_id=trial_id, epochs=done)

    def end(trial_id: str, outcome: str, reason: str | None = None) -> dict[str, Any]:
        totals = {"wall_seconds": 2.0, "device_seconds": 1.0, "score": 0.5, "best_epoch": 1}
        return told("end", trial_id=trial_id, outcome=outcome, reason=reason, **totals)

    def finish(outcome: str) -> dict[str, Any]:
        files = {"results.csv": str(folder / "results.csv")}
        return told(
            "finish",
            outcome=outcome,
            artifacts=files,
            metrics={"score": 0.9},
            tags={"sweep.partial": "true"},
        )

    data = {
        "name": DATA.name,
        "digest": DATA.digest,
        "source": DATA.source,
        "num_images": dict(DATA.num_images),
    }
    sweep = {
        "study": "study",
        "sweep_name": SWEEP,
        "tags": {},
        "params": {"seed": 0},
        "dataset": data,
        "description": "Does it?",
    }
    yield told("sweep", **sweep)
    yield from (trial(A), epochs(A, 1), trial(B), epochs(A, 2, 3), epochs(B, 1))
    yield told("tags", trial_id=A, tags={"micro_batch": "16"})
    yield from (
        end(A, "completed"),
        trial(C),
        epochs(C, 1, 2),
        end(B, "interrupted", "Ctrl-C"),
        finish("interrupted"),
    )
    yield from (told("sweep", **sweep), told("resumed", changes=["code"], trials_per_arm=4))
    yield from (
        trial(B),
        epochs(B, 2),
        trial(D),
        epochs(B, 3),
        trial(C),
        epochs(C, 2, 3),
        end(B, "completed"),
    )
    yield from (
        end(D, "diverged", "the loss is not finite"),
        trial(C),
        epochs(C, 4),
        end(C, "pruned"),
        finish("completed"),
    )


def check_store(store: FakeMlflow) -> None:
    """What MLflow must hold of the story, whatever happened on the way."""
    runs = [run for run in store.runs.values() if not run.deleted]
    assert Counter(run.name for run in runs) == Counter([SWEEP, A, B, C, D])
    by_name = {run.name: run for run in runs}
    sweep_id = by_name[SWEEP].run_id
    ends = {SWEEP: "completed", A: "completed", B: "completed", C: "pruned", D: "diverged"}
    assert {name: run.tags["sweep.outcome"] for name, run in by_name.items()} == ends
    assert {name: run.status for name, run in by_name.items()} == dict.fromkeys(
        ends, "FINISHED"
    ) | {D: "FAILED"}
    assert {name for name, run in by_name.items() if "sweep.reason" in run.tags} == {D}
    assert by_name[SWEEP].tags["sweep.changes"] == "code"
    assert by_name[A].tags["micro_batch"] == "16"
    for run in runs:
        assert len(run.datasets) == 1
        trained = params_it(lr=0.1, seed=1)
        assert run.params == ({"seed": "0"} if run.name == SWEEP else trained)
        assert run.name == SWEEP or run.tags["mlflow.parentRunId"] == sweep_id
    for name, last in {A: 3, B: 3, C: 4, D: 0}.items():
        points = [
            (key, step)
            for key, step, _, _ in by_name[name].metrics
            if key not in TrialEnded.numbers
        ]
        assert points == [
            (key, step) for step in range(1, last + 1) for key in ("val/accuracy", "val/loss")
        ]
    for name, ended in {A: 1, B: 2, C: 1, D: 1}.items():  # MLflow takes the same point once
        assert (
            len({point for point in by_name[name].metrics if point[0] == "wall_seconds"}) == ended
        )
    assert store.artifacts == {"results.csv"}


def carry_it(folder: Path, uri: str = URI) -> Courier:
    carrier = Courier(folder / "trials.jsonl", uri, folder.parents[1])
    while carrier.carry():
        pass
    return carrier


def kill_at_it(last: int, after: bool) -> Any:
    def fault(call: str, number: int, done: bool) -> None:
        if number > last or (number == last and done == after):
            raise Killed

    return fault


def counted_it(method: Any, tick: Any) -> Any:
    def call(*arguments: Any, **more: Any) -> Any:
        tick()
        return method(*arguments, **more)

    return call


def params_it(**recipe: Any) -> dict[str, str]:
    """Return a recipe's params in MLflow: with the fields that the journal's version lacked."""
    return {name: str(value) for name, value in completed(recipe).items()}


def open_tracker(folder: Path, uri: str = URI) -> Tracker:
    tracker = Tracker(uri, folder.parents[1], Journal(folder / "trials.jsonl"))
    tracker.tell(
        SweepStarted(
            study="study",
            sweep_name=SWEEP,
            tags={},
            params={},
            dataset=DATA,
            description="Does it?",
        )
    )
    return tracker


def start_trial(tracker: Tracker, trial_id: str) -> None:
    number = int(trial_id[-3:])
    tracker.tell(TrialStarted(trial_id=trial_id, arm="arm", number=number, recipe={"lr": 0.1}))


def report_it(tracker: Tracker, trial_id: str, epoch: int = 1, **metrics: float) -> None:
    done = {"epoch": epoch, "score": 0.1, **(metrics or {"val/loss": 1.0})}
    tracker.tell(EpochsReported(trial_id=trial_id, epochs=[done]))


def complete_it(tracker: Tracker, trial_id: str, score: float | None = None) -> None:
    tracker.tell(TrialEnded(trial_id=trial_id, outcome=Outcome.COMPLETED, score=score))


def wait_until(get: Any, seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := get()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def statuses_in(store: tuple[str, Path]) -> dict[str, str]:
    with sqlite3.connect(store[1] / "mlflow.db") as database:
        return dict(database.execute("select name, status from runs").fetchall())
