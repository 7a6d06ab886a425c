"""The audit itself: it finds nothing in a sweep that is whole, and every loss that is planted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.audit import audit
from sweeps.records.events import (
    DataRecord,
    EpochsReported,
    FinalistsChosen,
    SweepFinished,
    SweepStarted,
    TrialEnded,
    TrialStarted,
)
from sweeps.records.journal import Journal
from sweeps.records.results import Finalist, Outcome
from sweeps.tracking.store import prepare_store
from sweeps.tracking.tracker import Tracker

EPOCHS = 3
TRIALS = ("plain/000", "plain/001")
FINALIST = "plain/000/s0"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage of a sweep of two trials, as a driver leaves it."""
    storage = tmp_path_factory.mktemp("audited")
    folder = storage / "sweeps" / "made"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(
        json.dumps({"study": "audited", "arms": ["plain"], "trials_per_arm": len(TRIALS)})
    )
    tracker = Tracker(prepare_store(None, storage), storage, Journal(folder / "trials.jsonl"))
    data = DataRecord(name="digits", digest="0" * 16, source="digits", num_images={"train": 1})
    tracker.tell(
        SweepStarted(
            study="audited", sweep_name="made", tags={}, params={}, dataset=data, description=""
        )
    )
    for number, trial_id in enumerate(TRIALS):
        recipe = {"epochs": EPOCHS}
        tracker.tell(TrialStarted(trial_id=trial_id, arm="plain", number=number, recipe=recipe))
        for epoch in range(1, EPOCHS + 1):
            tracker.tell(EpochsReported(trial_id=trial_id, epochs=[_epoch(epoch)]))
        tracker.tell(TrialEnded(trial_id=trial_id, outcome=Outcome.COMPLETED, score=0.5))
    tracker.tell(FinalistsChosen(trial_ids=[FINALIST]))
    tracker.tell(
        TrialStarted(
            trial_id=FINALIST,
            arm="plain",
            number=0,
            recipe={"epochs": 1},
            finalist=Finalist(TRIALS[0]),
        )
    )
    tracker.tell(EpochsReported(trial_id=FINALIST, epochs=[_epoch(1)]))
    test = {"test/accuracy": 0.4}
    end = TrialEnded(trial_id=FINALIST, outcome=Outcome.COMPLETED, score=0.5, test=test)
    tracker.tell(end)
    tracker.tell(SweepFinished(outcome=Outcome.COMPLETED))
    assert tracker.close() is None
    return storage


def _epoch(number: int) -> dict[str, float]:
    return {"epoch": number, "score": 0.5, "val/accuracy": 0.5}


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_a_whole_sweep_has_lost_nothing(copied: Path) -> None:
    found = _audited(copied)
    assert (found["lost"], found["ended"], found["epochs"]) == (0, {"completed": 2}, 7)
    assert found["finalists"] == {"completed": 1}


def _is(kind: str, trial_id: str, epoch: int = 0) -> Callable[[dict[str, Any]], bool]:
    def is_it(event: dict[str, Any]) -> bool:
        here = event["event"] == kind and event["trial_id"] == trial_id
        return here and (not epoch or event["epochs"][0]["epoch"] == epoch)

    return is_it


@pytest.mark.parametrize(
    ("gone", "kinds"),
    [
        (_is("end", TRIALS[1]), {"trials lost", "outcomes that differ"}),
        (
            _is("epochs", TRIALS[0], 2),
            {"epochs missing or repeated in the journal", "epochs only in MLflow"},
        ),
        (
            _is("epochs", TRIALS[0], 3),
            {"completed trials that are too short", "epochs only in MLflow"},
        ),
        (
            lambda event: event.get("trial_id") == TRIALS[1],
            {"trials lost", "epochs only in MLflow", "outcomes that differ"},
        ),
    ],
    ids=["an end", "an epoch", "the last epoch", "a trial"],
)
def test_what_is_missing_in_the_journal_is_found(
    copied: Path, gone: Callable[[dict[str, Any]], bool], kinds: set[str]
) -> None:
    _change(copied, lambda event: [] if gone(event) else [event])
    _finds(copied, kinds)


def test_a_finalist_that_is_missing_or_was_not_tested_is_found(copied: Path) -> None:
    _change(copied, lambda event: [{**event, "test": {}}] if event.get("test") else [event])
    _finds(copied, {"finalists without a test"})
    _change(copied, lambda event: [] if event.get("trial_id") == FINALIST else [event])
    _finds(copied, {"trials lost", "epochs only in MLflow"})


def test_an_epoch_that_is_in_the_journal_twice_is_found(copied: Path) -> None:
    twice = _is("epochs", TRIALS[0], 2)
    _change(copied, lambda event: [event, event] if twice(event) else [event])
    _finds(copied, {"epochs missing or repeated in the journal"})


def test_a_finished_trial_that_is_run_again_is_found(copied: Path) -> None:
    end, start = _is("end", TRIALS[0]), _is("trial", TRIALS[0])
    again: list[dict[str, Any]] = []
    _change(copied, lambda event: again.append(event) or [event] if start(event) else [event])
    _change(copied, lambda event: [event, *again] if end(event) else [event])
    _finds(copied, {"finished trials run again"})


def test_a_trial_and_an_epoch_that_mlflow_lacks_are_found(copied: Path) -> None:
    path = copied / "sweeps" / "made" / "sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"trials_per_arm": 3}))
    _finds(copied, {"trials lost", "trials not in MLflow"})
    path.write_text(json.dumps(json.loads(path.read_text()) | {"trials_per_arm": 2}))
    last = _is("epochs", TRIALS[0], EPOCHS)
    more = [_epoch(EPOCHS + 1)]
    _change(copied, lambda event: [event, {**event, "epochs": more}] if last(event) else [event])
    _finds(copied, {"epochs missing in MLflow", "completed trials that are too short"})


def _finds(storage: Path, kinds: set[str]) -> None:
    found = _audited(storage)
    assert found["lost"] > 0
    assert kinds <= found["examples"].keys(), found


def _audited(storage: Path) -> dict[str, Any]:
    return audit(storage / "sweeps" / "made", f"sqlite:///{storage / 'mlflow.db'}")


def _change(storage: Path, change: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> None:
    """Replace each event of the journal by some others."""
    path = storage / "sweeps" / "made" / "trials.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(new) + "\n" for event in events for new in change(event)))
