"""What MLflow holds after a sweep, and how little the sweep notices of it."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from sweeps.records.events import (
    DataRecord,
    EpochsReported,
    SweepFinished,
    SweepStarted,
    TrialEnded,
    TrialStarted,
)
from sweeps.records.journal import Journal
from sweeps.records.results import Finalist, Outcome
from sweeps.tracking.store import prepare_store
from sweeps.tracking.tracker import Tracker
from trainables.recipe import Recipe

STUDY = "depth_vs_tricks"
QUESTION = "Does depth still pay once the tricks are on?"
DATA = DataRecord(
    name="digits",
    digest="5f3a" * 16,
    source="sklearn.datasets.load_digits",
    num_images={"train": 500, "val": 200},
)
RECIPE = Recipe().as_dict()
TRIAL = "resnet18/tricks/000"


def test_the_default_store_is_made_in_the_storage_folder_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    uri = prepare_store(None, tmp_path / "new" / "mlruns")
    assert uri == f"sqlite:///{tmp_path}/new/mlruns/mlflow.db"
    with sqlite3.connect(tmp_path / "new" / "mlruns" / "mlflow.db") as database:
        assert database.execute("select count(*) from runs").fetchone() == (0,)
    assert capfd.readouterr() == ("", "")


def test_a_sweep_is_one_run_with_its_trials_under_it(store: tuple[str, Path]) -> None:
    tracker = _started(store)
    _trial(tracker, TRIAL, epochs=3)
    tracker.tell(
        TrialEnded(
            trial_id=TRIAL,
            outcome=Outcome.COMPLETED,
            wall_seconds=12.5,
            device_seconds=11.0,
            score=0.83,
            best_epoch=2,
        )
    )
    report = store[1] / "report.html"
    report.write_text("<h1>Result</h1>")
    tracker.tell(
        SweepFinished(
            outcome=Outcome.COMPLETED,
            artifacts={"report.html": str(report), "tables/best.html": str(report)},
            metrics={"test/accuracy": 0.81},
        )
    )
    assert tracker.close() is None

    experiment = _client(store).get_experiment_by_name(STUDY)
    assert experiment.tags["mlflow.note.content"] == QUESTION
    runs = _runs(store)
    sweep, trial = runs["s1"], runs[TRIAL]
    assert sweep.data.tags["sweep.role"] == "sweep"
    assert sweep.data.tags["mlflow.note.content"] == QUESTION
    assert sweep.data.tags["launcher"] == "test"
    assert sweep.data.tags["mlflow.user"]
    assert sweep.data.params == {"trials_per_arm": "16"}
    assert sweep.data.metrics == {"test/accuracy": 0.81}
    assert sweep.info.status == "FINISHED"
    assert sorted(entry.path for entry in _client(store).list_artifacts(sweep.info.run_id)) == [
        "report.html",
        "tables",
    ]
    assert (
        store[1] / "artifacts" / STUDY / sweep.info.run_id / "artifacts" / "tables" / "best.html"
    ).is_file()
    assert trial.data.tags["mlflow.parentRunId"] == sweep.info.run_id
    assert {
        name: trial.data.tags[name]
        for name in ("sweep.name", "sweep.study", "sweep.role", "sweep.trial_id", "sweep.arm")
    } == {
        "sweep.name": "s1",
        "sweep.study": STUDY,
        "sweep.role": "trial",
        "sweep.trial_id": TRIAL,
        "sweep.arm": "resnet18/tricks",
    }
    assert trial.data.params == {name: str(value) for name, value in RECIPE.items()}
    assert {
        name: trial.data.metrics[name]
        for name in ("score", "best_epoch", "wall_seconds", "device_seconds")
    } == {
        "score": 0.83,
        "best_epoch": 2,
        "wall_seconds": 12.5,
        "device_seconds": 11.0,
    }
    assert _steps(store, trial) == [1, 2, 3]
    assert not {"epoch", "micro_batch"} & trial.data.metrics.keys()
    for run in (sweep, trial):
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("digits", DATA.digest[:36])
        assert '"num_train": 500' in used.dataset.profile


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.COMPLETED, "FINISHED"),
        (Outcome.PRUNED, "FINISHED"),
        (Outcome.DIVERGED, "FAILED"),
        (Outcome.FAILED, "FAILED"),
        (Outcome.INTERRUPTED, "KILLED"),
    ],
)
def test_an_outcome_is_a_status_and_a_tag(
    store: tuple[str, Path], outcome: Outcome, status: str
) -> None:
    tracker = _started(store)
    _trial(tracker, TRIAL, epochs=1)
    tracker.tell(TrialEnded(trial_id=TRIAL, outcome=outcome, reason="what happened"))
    tracker.tell(SweepFinished(outcome=outcome))
    assert tracker.close() is None
    for run in _runs(store).values():
        assert run.info.status == status
        assert run.data.tags["sweep.outcome"] == outcome.value
    assert _runs(store)[TRIAL].data.tags["sweep.reason"] == "what happened"


def test_a_resumed_sweep_continues_its_runs_and_logs_each_epoch_once(
    store: tuple[str, Path],
) -> None:
    first = _started(store)
    _trial(first, TRIAL, epochs=3)
    first.tell(TrialEnded(trial_id=TRIAL, outcome=Outcome.INTERRUPTED, reason="Ctrl-C"))
    _trial(first, "resnet18/tricks/001", epochs=2)
    _trial(first, "resnet18/tricks/002", epochs=2)
    assert first.close() is None  # and killed: no finish

    second = _started(store)
    _trial(second, TRIAL, epochs=5)
    _trial(second, TRIAL, epochs=5)  # told twice
    _trial(second, "resnet18/tricks/001", epochs=4)
    assert second.flush()
    taken_up = _runs(store)[TRIAL]
    assert taken_up.info.status == "RUNNING"
    assert not {"sweep.outcome", "sweep.reason"} & taken_up.data.tags.keys()
    second.tell(TrialEnded(trial_id=TRIAL, outcome=Outcome.COMPLETED, score=0.9))
    second.tell(SweepFinished(outcome=Outcome.INTERRUPTED))
    assert second.close() is None

    assert len(_client(store).search_runs(_experiments(store))) == 4
    runs = _runs(store)
    assert {name: run.info.status for name, run in runs.items()} == {
        "s1": "KILLED",
        TRIAL: "FINISHED",
        "resnet18/tricks/001": "KILLED",  # left open by this sweep
        "resnet18/tricks/002": "KILLED",  # left open by the one that was killed
    }
    assert _steps(store, runs[TRIAL]) == [1, 2, 3, 4, 5]
    assert _steps(store, runs["resnet18/tricks/001"]) == [1, 2, 3, 4]


def test_a_finalists_seed_is_a_run_of_its_own(store: tuple[str, Path]) -> None:
    tracker = _started(store)
    tracker.tell(
        TrialStarted(
            trial_id=f"{TRIAL}/seed-1",
            arm="resnet18/tricks",
            number=0,
            recipe=RECIPE | {"seed": 1},
            finalist=Finalist(TRIAL),
        )
    )
    tracker.tell(SweepFinished(outcome=Outcome.COMPLETED))
    assert tracker.close() is None
    assert _runs(store)[f"{TRIAL}/seed-1"].data.tags["sweep.role"] == "finalist"


def test_what_is_told_together_is_sent_together(
    store: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    log_batch = MlflowClient.log_batch

    def counted(
        self: MlflowClient,
        run_id: str,
        metrics: Any = (),
        params: Any = (),
        tags: Any = (),
        **more: Any,
    ) -> Any:
        calls.append(len(metrics))
        return log_batch(self, run_id, metrics, params, tags, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    tracker = _started(store)
    tracker.flush()
    calls.clear()
    started = time.perf_counter()
    for number in range(4):
        _trial(tracker, f"resnet18/tricks/{number:03}", epochs=20)
    assert time.perf_counter() - started < 0.1  # telling does not wait for MLflow
    assert tracker.close() is None
    assert sum(calls) == 160
    assert len(calls) <= 8  # 80 events


def test_a_sweep_without_a_run_is_said_to_have_none(store: tuple[str, Path]) -> None:
    tracker = _tracker(store)
    start = TrialStarted(trial_id=TRIAL, arm="resnet18/tricks", number=0, recipe=RECIPE)
    tracker.tell(start)
    assert tracker.flush()
    assert not _client(store).search_runs(_experiments(store))
    line = tracker.close()
    assert line is not None
    assert line.startswith(
        "MLflow refused 1 event (A journal must begin with its sweep, but it begins with 'trial'): "
    )


def test_sweeps_at_the_same_time_share_the_experiment(store: tuple[str, Path]) -> None:
    trackers = [_started(store, name=f"s{number}") for number in range(4)]
    for tracker in trackers:
        _trial(tracker, TRIAL, epochs=2)
        tracker.tell(SweepFinished(outcome=Outcome.COMPLETED))
    assert [tracker.close() for tracker in trackers] == [None] * 4
    runs = _client(store).search_runs(_experiments(store))
    assert len(_experiments(store)) == 1
    assert len(runs) == 8
    parents = {
        run.info.run_id: run.data.tags["sweep.name"]
        for run in runs
        if run.data.tags["sweep.role"] == "sweep"
    }
    children = [run for run in runs if run.data.tags["sweep.role"] == "trial"]
    assert sorted(parents.values()) == ["s0", "s1", "s2", "s3"]
    assert all(
        parents[run.data.tags["mlflow.parentRunId"]] == run.data.tags["sweep.name"]
        for run in children
    )


def _tracker(store: tuple[str, Path], name: str = "s1") -> Tracker:
    folder = store[1] / "sweeps" / name
    folder.mkdir(parents=True, exist_ok=True)
    return Tracker(*store, Journal(folder / "trials.jsonl"))


def _started(store: tuple[str, Path], name: str = "s1") -> Tracker:
    tracker = _tracker(store, name)
    tracker.tell(
        SweepStarted(
            study=STUDY,
            sweep_name=name,
            tags={"launcher": "test"},
            params={"trials_per_arm": 16},
            dataset=DATA,
            description=QUESTION,
        )
    )
    return tracker


def _trial(tracker: Tracker, trial_id: str, *, epochs: int) -> None:
    tracker.tell(
        TrialStarted(
            trial_id=trial_id,
            arm="resnet18/tricks",
            number=int(trial_id[-3:]),
            recipe=RECIPE,
            sample={"lr": 0.1},
        )
    )
    for epoch in range(1, epochs + 1):
        reported = {
            "epoch": epoch,
            "score": 0.5,
            "val/accuracy": epoch / 10,
            "val/loss": 1 / epoch,
            "micro_batch": 16,
        }
        tracker.tell(EpochsReported(trial_id=trial_id, epochs=[reported]))


def _client(store: tuple[str, Path]) -> MlflowClient:
    return MlflowClient(store[0])


def _experiments(store: tuple[str, Path]) -> list[str]:
    return [
        experiment.experiment_id
        for experiment in _client(store).search_experiments(filter_string=f"name = '{STUDY}'")
    ]


def _runs(store: tuple[str, Path]) -> dict[str, Run]:
    return {run.info.run_name: run for run in _client(store).search_runs(_experiments(store))}


def _steps(store: tuple[str, Path], run: Run) -> list[int]:
    return [
        point.step for point in _client(store).get_metric_history(run.info.run_id, "val/accuracy")
    ]
