"""`dvt sync` of a sweep whose driver was killed.

MLflow does not go on showing it as running, and a resume opens it again.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run

from sweeps.commands import sync
from sweeps.records.journal import Journal, read
from sweeps.tracking.tracker import Tracker
from trainables.recipe import Recipe

ONE, TWO, THREE = (f"resnet18/plain/{number:03d}" for number in range(3))
DATA = TrackedData(name="digits", digest="5f3a", source="sklearn", num_images={"train": 500})


@pytest.fixture
def killed(store: tuple[str, Path]) -> Path:
    """The folder of a sweep that was killed.

    Of its trials one had ended, one was running, one had only begun.
    """
    folder = store[1] / "sweeps" / "s1"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(json.dumps({"options": {"tracking_uri": None}}))
    tracker = _driver(store, folder)
    for trial_id in (ONE, TWO, THREE):
        tracker.trial_started(
            trial_id, "resnet18/plain", int(trial_id[-3:]), Recipe().as_dict(), sample={}
        )
    tracker.trial_reported(ONE, [_epoch(1)])
    tracker.trial_ended(ONE, "completed", score=0.5)
    tracker.trial_reported(TWO, [_epoch(1)])
    assert tracker.close() is None
    assert _statuses(store) == {"s1": "RUNNING", ONE: "FINISHED", TWO: "RUNNING", THREE: "RUNNING"}
    return folder


def test_what_a_killed_driver_left_open_is_closed_as_interrupted(
    store: tuple[str, Path], killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = read(killed / "trials.jsonl")[-1]["time"]
    assert sync.main(["s1", "--storage", str(store[1])]) == 0
    assert (
        "s1 is being run by nobody: what is open of it is closed as interrupted."
        in capsys.readouterr().out
    )
    assert _statuses(store) == {"s1": "KILLED", ONE: "FINISHED", TWO: "KILLED", THREE: "KILLED"}
    runs = _runs(store)
    assert {run.data.tags["sweep.outcome"] for name, run in runs.items() if name != ONE} == {
        "interrupted"
    }
    assert {run.info.end_time for name, run in runs.items() if name != ONE} == {last}
    before = (killed / "trials.jsonl").read_bytes()
    assert sync.main(["s1", "--storage", str(store[1])]) == 0
    assert capsys.readouterr().out == "MLflow has all of s1 already.\n"
    assert (killed / "trials.jsonl").read_bytes() == before


def test_a_resume_opens_again_what_a_sync_closed(store: tuple[str, Path], killed: Path) -> None:
    assert sync.main(["s1", "--storage", str(store[1])]) == 0
    tracker = _driver(store, killed)
    tracker.sweep_resumed([], 3)
    tracker.trial_started(TWO, "resnet18/plain", 1, Recipe().as_dict(), sample={})
    assert tracker.flush()
    assert _statuses(store) == {"s1": "RUNNING", ONE: "FINISHED", TWO: "RUNNING", THREE: "KILLED"}
    assert not {"sweep.outcome", "sweep.reason"} & _runs(store)[TWO].data.tags.keys()
    tracker.trial_reported(TWO, [_epoch(1), _epoch(2)])
    tracker.trial_ended(TWO, "completed", score=0.5)
    tracker.finish_sweep("completed")
    assert tracker.close() is None
    client, run = MlflowClient(store[0]), _runs(store)[TWO]
    assert [point.step for point in client.get_metric_history(run.info.run_id, "val/accuracy")] == [
        1,
        2,
    ]
    assert _statuses(store) == {"s1": "FINISHED", ONE: "FINISHED", TWO: "FINISHED", THREE: "KILLED"}
    assert sync.main(["s1", "--storage", str(store[1])]) == 0
    assert _statuses(store)["s1"] == "FINISHED"


def test_a_sweep_that_is_being_run_stays_open(store: tuple[str, Path], killed: Path) -> None:
    before = (killed / "trials.jsonl").read_bytes()
    with FileLock(killed / "driver.lock"):
        assert sync.main(["s1", "--storage", str(store[1])]) == 0
    assert (killed / "trials.jsonl").read_bytes() == before
    assert set(_statuses(store).values()) == {"RUNNING", "FINISHED"}


def test_the_end_of_a_sweep_whose_last_line_was_torn_is_entered_after_the_whole_ones(
    store: tuple[str, Path], killed: Path
) -> None:
    with (killed / "trials.jsonl").open("a") as file:
        file.write('{"event":"epochs","trial_')
    assert sync.main(["s1", "--storage", str(store[1])]) == 0
    assert read(killed / "trials.jsonl")[-1]["event"] == "finish"
    assert _statuses(store)["s1"] == "KILLED"


def test_a_masked_uri_is_asked_for(
    store: tuple[str, Path], killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for uri in ("http://anna:***@host", "https://***@host", "postgresql://host/db?password=***"):
        (killed / "sweep.json").write_text(json.dumps({"options": {"tracking_uri": uri}}))
        assert sync.main(["s1", "--storage", str(store[1])]) == 2
        assert capsys.readouterr().err == (
            f"error: --tracking-uri must be given, since its password is not stored: {uri}.\n"
        )


def _driver(store: tuple[str, Path], folder: Path) -> Tracker:
    tracker = Tracker(*store, Journal(folder / "trials.jsonl"))
    tracker.start_sweep(
        study="study", sweep_name="s1", tags={}, params={}, dataset=DATA, description="Why?"
    )
    return tracker


def _epoch(number: int) -> dict[str, float]:
    return {"epoch": number, "score": 0.5, "val/accuracy": 0.5}


def _runs(store: tuple[str, Path]) -> dict[str, Run]:
    client = MlflowClient(store[0])
    runs = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    assert len(runs) == len({run.info.run_name for run in runs})
    return {run.info.run_name: run for run in runs}


def _statuses(store: tuple[str, Path]) -> dict[str, str]:
    return {name: run.info.status for name, run in _runs(store).items()}
