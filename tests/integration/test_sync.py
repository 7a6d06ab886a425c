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

from sweeps.commands import dvt
from sweeps.records.events import (
    DataRecord,
    EpochsReported,
    SweepFinished,
    SweepResumed,
    SweepStarted,
    TrialEnded,
    TrialStarted,
)
from sweeps.records.journal import Journal, read
from sweeps.records.results import Outcome
from sweeps.tracking.tracker import Tracker
from trainables.recipe import Recipe

ONE, TWO, THREE = (f"resnet18/plain/{number:03d}" for number in range(3))
DATA = DataRecord(name="digits", digest="5f3a", source="sklearn", num_images={"train": 500})


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
        tracker.tell(_start(trial_id))
    tracker.tell(EpochsReported(trial_id=ONE, epochs=[_epoch(1)]))
    tracker.tell(TrialEnded(trial_id=ONE, outcome=Outcome.COMPLETED, score=0.5))
    tracker.tell(EpochsReported(trial_id=TWO, epochs=[_epoch(1)]))
    assert tracker.close() is None
    assert _statuses(store) == {"s1": "RUNNING", ONE: "FINISHED", TWO: "RUNNING", THREE: "RUNNING"}
    return folder


def test_what_a_killed_driver_left_open_is_closed_as_interrupted(
    store: tuple[str, Path], killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = read(killed / "trials.jsonl")[-1]["time"]
    assert _sync(store) == 0
    assert (
        "No process runs s1: what it left open is closed as interrupted." in capsys.readouterr().out
    )
    assert _statuses(store) == {"s1": "KILLED", ONE: "FINISHED", TWO: "KILLED", THREE: "KILLED"}
    runs = _runs(store)
    assert {run.data.tags["sweep.outcome"] for name, run in runs.items() if name != ONE} == {
        "interrupted"
    }
    assert {run.info.end_time for name, run in runs.items() if name != ONE} == {last}
    before = (killed / "trials.jsonl").read_bytes()
    assert _sync(store) == 0
    assert capsys.readouterr().out == "MLflow has all of s1 already.\n"
    assert (killed / "trials.jsonl").read_bytes() == before


def test_a_resume_opens_again_what_a_sync_closed(store: tuple[str, Path], killed: Path) -> None:
    assert _sync(store) == 0
    tracker = _driver(store, killed)
    tracker.tell(SweepResumed(changes=(), trials_per_arm=3))
    tracker.tell(_start(TWO))
    assert tracker.flush()
    assert _statuses(store) == {"s1": "RUNNING", ONE: "FINISHED", TWO: "RUNNING", THREE: "KILLED"}
    assert not {"sweep.outcome", "sweep.reason"} & _runs(store)[TWO].data.tags.keys()
    tracker.tell(EpochsReported(trial_id=TWO, epochs=[_epoch(1), _epoch(2)]))
    tracker.tell(TrialEnded(trial_id=TWO, outcome=Outcome.COMPLETED, score=0.5))
    tracker.tell(SweepFinished(outcome=Outcome.COMPLETED))
    assert tracker.close() is None
    client, run = MlflowClient(store[0]), _runs(store)[TWO]
    assert [point.step for point in client.get_metric_history(run.info.run_id, "val/accuracy")] == [
        1,
        2,
    ]
    assert _statuses(store) == {"s1": "FINISHED", ONE: "FINISHED", TWO: "FINISHED", THREE: "KILLED"}
    assert _sync(store) == 0
    assert _statuses(store)["s1"] == "FINISHED"


def test_a_sweep_that_is_being_run_stays_open(store: tuple[str, Path], killed: Path) -> None:
    before = (killed / "trials.jsonl").read_bytes()
    with FileLock(killed / "driver.lock"):
        assert _sync(store) == 0
    assert (killed / "trials.jsonl").read_bytes() == before
    assert set(_statuses(store).values()) == {"RUNNING", "FINISHED"}


@pytest.mark.parametrize(
    "torn",
    [
        '{"event":"epochs","trial_',
        '{"event":"finish","outcome":"completed","time":5}',  # all but the end of its line
        "\0" * 40,  # what a machine that failed may leave of a block
        "\0" * 40 + "\n",
    ],
    ids=["half a line", "no newline", "zeros", "zeros and a newline"],
)
def test_the_end_of_a_sweep_whose_last_line_was_torn_is_entered_after_the_whole_ones(
    store: tuple[str, Path], killed: Path, torn: str
) -> None:
    with (killed / "trials.jsonl").open("a") as file:
        file.write(torn)
    assert _sync(store) == 0
    assert read(killed / "trials.jsonl")[-1]["event"] == "finish"
    assert _statuses(store)["s1"] == "KILLED"


@pytest.mark.parametrize(
    "ending", ["", '{"event":"tags","trial_id":"x","tags":{}}'], ids=["whole", "torn"]
)
def test_a_damaged_journal_is_left_as_it_is_and_the_damage_is_named(
    store: tuple[str, Path], killed: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    path = killed / "trials.jsonl"
    path.write_text(f"{path.read_text()}no event\n{path.read_text()}{ending}")
    before = path.read_bytes()
    assert _sync(store) == 2
    number = before.splitlines().index(b"no event") + 1
    assert f"line {number} does not" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert _statuses(store)["s1"] == "RUNNING"


def test_a_masked_uri_is_asked_for(
    store: tuple[str, Path], killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for uri in ("http://anna:***@host", "https://***@host", "postgresql://host/db?password=***"):
        (killed / "sweep.json").write_text(json.dumps({"options": {"tracking_uri": uri}}))
        assert _sync(store) == 2
        assert capsys.readouterr().err == (
            f"error: --tracking-uri must be given, since its password is not stored: {uri}.\n"
        )


def _driver(store: tuple[str, Path], folder: Path) -> Tracker:
    tracker = Tracker(*store, Journal(folder / "trials.jsonl"))
    tracker.tell(
        SweepStarted(
            study="study", sweep_name="s1", tags={}, params={}, dataset=DATA, description="Why?"
        )
    )
    return tracker


def _start(trial_id: str) -> TrialStarted:
    number = int(trial_id[-3:])
    recipe = Recipe().as_dict()
    return TrialStarted(trial_id=trial_id, arm="resnet18/plain", number=number, recipe=recipe)


def _sync(store: tuple[str, Path]) -> int:
    return dvt.run(["sync", "s1", "--storage", str(store[1])])


def _epoch(number: int) -> dict[str, float]:
    return {"epoch": number, "score": 0.5, "val/accuracy": 0.5}


def _runs(store: tuple[str, Path]) -> dict[str, Run]:
    client = MlflowClient(store[0])
    runs = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    assert len(runs) == len({run.info.run_name for run in runs})
    return {run.info.run_name: run for run in runs}


def _statuses(store: tuple[str, Path]) -> dict[str, str]:
    return {name: run.info.status for name, run in _runs(store).items()}
