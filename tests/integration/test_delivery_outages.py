"""MLflow is away, slow, refuses or is shared, while a sweep's journal is delivered."""

import re
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, ErrorCode

from sweeps.records.events import EpochsReported, SweepFinished, TrialStarted, TrialTagged
from sweeps.records.journal import Journal
from sweeps.records.results import Finalist, Outcome
from sweeps.tracking.delivery import sync
from sweeps.tracking.store import TrackingError, is_refusal, one_line
from sweeps.tracking.tracker import Tracker
from tests.integration import fake_mlflow
from tests.integration.fake_mlflow import (
    SWEEP,
    URI,
    A,
    B,
    C,
    D,
    FakeMlflow,
    Killed,
    carry_it,
    check_store,
    complete_it,
    counted_it,
    open_tracker,
    params_it,
    report_it,
    start_trial,
    statuses_in,
    wait_until,
)

stores = fake_mlflow.stores
folder = fake_mlflow.folder
whole = fake_mlflow.whole


def test_an_outage_is_one_line_and_then_forgotten(
    folder: Path, stores: dict[str, FakeMlflow], capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = open_tracker(folder)
    assert tracker.flush()
    assert tracker.problem() is None

    def down(*_: Any) -> None:
        raise MlflowException("connection refused\nand a traceback")

    stores[URI].fault = down
    for number in range(3):
        start_trial(tracker, f"arm/{number:03}")
    line = wait_until(tracker.problem)
    assert re.fullmatch(
        r"MLflow has not answered for \d+ s \(connection refused\); [123] events? waits? in "
        r"trials\.jsonl\.",
        line,
    ), line
    assert not tracker.flush(0.2)
    stores[URI].fault = lambda *_: None
    assert tracker.flush(10)
    assert tracker.problem() is None
    assert tracker.close() is None
    assert Counter(run.name for run in stores[URI].runs.values()) == Counter(
        [SWEEP, "arm/000", "arm/001", "arm/002"]
    )
    assert capfd.readouterr() == ("", "")


def test_a_store_that_stays_away_is_one_line_at_the_end_and_gets_all_later(
    folder: Path, stores: dict[str, FakeMlflow]
) -> None:
    def down(*_: Any) -> None:
        raise MlflowException("connection refused")

    stores[URI].fault = down
    tracker = open_tracker(folder)
    start_trial(tracker, A)
    line = (
        "2 events are not in MLflow yet (connection refused): "
        f"`dvt sync s1 --storage {folder.parents[1]}` delivers them."
    )
    assert tracker.close(0.3) == line
    with pytest.raises(TrackingError) as error:
        sync(folder, URI, folder.parents[1])
    assert str(error.value) == line.replace(": `", ": once that is mended, `")
    stores[URI].fault = lambda *_: None
    assert (
        sync(folder, URI, folder.parents[1]).line
        == "2 events were delivered: MLflow has all of s1."
    )
    assert sync(folder, URI, folder.parents[1]).line == "MLflow has all of s1 already."
    assert Counter(run.name for run in stores[URI].runs.values()) == Counter([SWEEP, A])


def test_a_sweep_that_goes_on_delivers_what_was_left(
    whole: Path, stores: dict[str, FakeMlflow]
) -> None:
    tracker = Tracker(URI, whole.parents[1], Journal(whole / "trials.jsonl"))
    assert tracker.close() is None
    check_store(stores[URI])


def test_an_event_that_another_hand_appended_is_delivered(
    folder: Path, stores: dict[str, FakeMlflow]
) -> None:
    tracker = open_tracker(folder)
    assert tracker.flush()
    tracker._journal.append({"event": "resumed", "changes": [], "trials_per_arm": 7})
    sweep = next(iter(stores[URI].runs.values()))
    wait_until(lambda: sweep.tags.get("sweep.trials_per_arm") == "7")
    assert tracker.close() is None


def test_a_finalist_whose_recipe_was_changed_has_a_run_of_its_own(
    folder: Path, stores: dict[str, FakeMlflow]
) -> None:
    name = f"{A}/s0"
    for rate, score in ((0.1, 0.9), (0.2, 0.7)):
        tracker = (
            open_tracker(folder)
            if rate == 0.1
            else Tracker(URI, folder.parents[1], Journal(folder / "trials.jsonl"))
        )
        tracker.tell(
            TrialStarted(
                trial_id=name, arm="arm", number=0, recipe={"lr": rate}, finalist=Finalist(A)
            )
        )
        tracker.tell(EpochsReported(trial_id=name, epochs=[{"epoch": 1, "score": score}]))
        complete_it(tracker, name, score=score)
        assert tracker.close() is None
    (run,) = [run for run in stores[URI].runs.values() if run.name == name and not run.deleted]
    assert run.params == params_it(lr=0.2)
    assert {point[3] for point in run.metrics if point[0] == "score"} == {0.7}
    (folder / "mlflow.offset").unlink()
    assert "were delivered" in sync(folder, URI, folder.parents[1]).line
    (run,) = [run for run in stores[URI].runs.values() if run.name == name and not run.deleted]
    assert (run.params, run.status) == (params_it(lr=0.2), "FINISHED")


def test_sync_stands_back_while_the_driver_delivers(
    folder: Path, stores: dict[str, FakeMlflow]
) -> None:
    tracker = open_tracker(folder)
    assert tracker.flush()
    assert (
        sync(folder, URI, folder.parents[1]).line
        == "s1 is being delivered by another process: nothing to do."
    )
    assert tracker.close() is None
    assert sync(folder, URI, folder.parents[1]).line == "MLflow has all of s1 already."


def test_the_driver_waits_while_sync_delivers(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    with FileLock(folder / "mlflow.lock"):
        tracker = open_tracker(folder)
        assert "another process delivers" in wait_until(tracker.problem)
        assert not stores[URI].runs
    assert tracker.close() is None
    assert {run.name for run in stores[URI].runs.values()} == {SWEEP}


def test_a_slow_store_delays_nobody(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    stores[URI].seconds = 2.0
    tracker = open_tracker(folder)
    started = time.perf_counter()
    for number in range(50):
        start_trial(tracker, f"arm/{number:03}")
        report_it(tracker, f"arm/{number:03}")
        complete_it(tracker, f"arm/{number:03}")
    assert tracker.problem() is None
    assert time.perf_counter() - started < 1
    line = tracker.close(0.2)
    assert line is not None
    command = re.escape(f"`dvt sync s1 --storage {folder.parents[1]}`")
    assert re.fullmatch(rf"\d+ events are not in MLflow yet: {command} delivers them\.", line)


def test_a_store_that_hangs_keeps_nobody_waiting_and_loses_nothing(
    folder: Path, stores: dict[str, FakeMlflow]
) -> None:
    go_on = threading.Event()
    stores[URI].fault = lambda *_: go_on.wait(20) and None
    tracker = open_tracker(folder)
    assert not tracker.flush(timeout=0.3)
    assert tracker.close(timeout=0.3) == (
        f"1 event is not in MLflow yet: `dvt sync s1 --storage {folder.parents[1]}` delivers them."
    )
    go_on.set()


def test_a_damaged_journal_is_said(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    tracker = open_tracker(folder)
    assert tracker.flush()
    path = folder / "trials.jsonl"
    with path.open("ab") as file:
        file.write(b"no event\n")
    tracker.close()
    with path.open("ab") as file:
        file.write(b'{"event": "tags", "time": 1, "trial_id": "x", "tags": {}}\n')
    with pytest.raises(TrackingError, match="line 2 does not"):
        sync(folder, URI, folder.parents[1])


def test_ended_trials_take_no_memory(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    tracker = open_tracker(folder)
    for number in range(200):
        trial_id = f"arm/{number:03}"
        start_trial(tracker, trial_id)
        report_it(tracker, trial_id)
        complete_it(tracker, trial_id)
    assert tracker.flush()
    writer = tracker._delivery._courier._writer
    assert writer is not None
    assert list(writer._runs._runs) == [""]
    assert not writer._runs._known
    tracker.tell(TrialTagged(trial_id="arm/007", tags={"late": "yes"}))  # found again
    assert tracker.close() is None
    assert (
        next(run for run in stores[URI].runs.values() if run.name == "arm/007").tags["late"]
        == "yes"
    )


@pytest.mark.parametrize(
    "code", ["INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST", "NOT_IMPLEMENTED"]
)
def test_refusals_are_told_from_outages(code: str) -> None:
    assert is_refusal(MlflowException("no", ErrorCode.Value(code)))
    assert not is_refusal(
        MlflowException(
            "(psycopg2.InterfaceError) connection already closed", ErrorCode.Value("BAD_REQUEST")
        )
    )
    for passing in (
        "INTERNAL_ERROR",
        "TEMPORARILY_UNAVAILABLE",
        "REQUEST_LIMIT_EXCEEDED",
        "PERMISSION_DENIED",
    ):
        assert not is_refusal(MlflowException("later", ErrorCode.Value(passing)))
    assert is_refusal(FileNotFoundError("best.pt"))
    assert is_refusal(TypeError("a bug"))
    assert not is_refusal(TimeoutError("no answer"))


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("disk full\nand a traceback", "disk full"),
        (
            "(raised as a result of Query-invoked autoflush)\n(sqlite3.OperationalError) locked",
            "(sqlite3.OperationalError) locked",
        ),
        ("cannot reach http://anna:secret@host/x", "cannot reach http://anna:***@host/x"),
        (
            "API request to http://h:5000/api/2.0/mlflow/x failed with exception "
            "HTTPConnectionPool(host='h', port=5000): "
            "Max retries exceeded with url: /api (Caused by NewConnectionError('Failed: [Errno "
            "111] Connection refused'))",
            "Connection refused",
        ),
    ],
)
def test_a_reason_is_one_short_line_without_a_password(said: str, line: str) -> None:
    assert one_line(MlflowException(said)) == line


def test_a_real_database_that_loses_a_table_is_waited_for(
    store: tuple[str, Path], folder: Path
) -> None:
    tracker = open_tracker(folder, store[0])
    assert tracker.flush()
    with sqlite3.connect(store[1] / "mlflow.db") as database:
        database.execute("alter table metrics rename to away")
    start_trial(tracker, A)
    report_it(tracker, A)
    complete_it(tracker, A)
    assert "no such table: metrics" in wait_until(tracker.problem)
    with sqlite3.connect(store[1] / "mlflow.db") as database:
        database.execute("alter table away rename to metrics")
    assert tracker.close() is None
    assert statuses_in(store) == {SWEEP: "RUNNING", A: "FINISHED"}


@pytest.mark.parametrize("number", range(3, 45, 8))
def test_a_real_database_after_a_kill(
    store: tuple[str, Path], whole: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    calls, names = 0, [name[3:] for name in vars(FakeMlflow) if name.startswith("do_")]
    with monkeypatch.context() as patched:

        def tick() -> None:
            nonlocal calls
            calls += 1
            if calls >= number:
                raise Killed

        for name in names:
            patched.setattr(MlflowClient, name, counted_it(getattr(MlflowClient, name), tick))
        with pytest.raises(Killed):
            carry_it(whole, store[0])
    assert carry_it(whole, store[0]).refusals == {}
    client = MlflowClient(store[0])
    runs = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    assert Counter(run.info.run_name for run in runs) == Counter([SWEEP, A, B, C, D])
    for run in runs:
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "val/accuracy")]
        assert steps == list(range(1, {A: 3, B: 3, C: 4}.get(run.info.run_name, 0) + 1))
        assert len(client.get_metric_history(run.info.run_id, "wall_seconds")) == {
            SWEEP: 0,
            B: 2,
        }.get(run.info.run_name, 1)
    assert statuses_in(store) == {
        SWEEP: "FINISHED",
        A: "FINISHED",
        B: "FINISHED",
        C: "FINISHED",
        D: "FAILED",
    }


def test_a_sweep_that_ended_stays_open_nowhere_though_its_artifacts_find_no_place(
    folder: Path, stores: dict[str, FakeMlflow]
) -> None:
    def closed(call: str, number: int, done: bool) -> None:
        if call == "log_artifact":
            raise PermissionError(13, "Permission denied")

    stores[URI].fault = closed
    tracker = open_tracker(folder)
    start_trial(tracker, A)
    report = folder / "results.csv"
    report.write_text("trial\n")
    tracker.tell(SweepFinished(outcome=Outcome.COMPLETED, artifacts={"results.csv": str(report)}))
    line = tracker.close(0.5)
    assert line is not None
    assert "not in MLflow yet ([Errno 13] Permission denied): `dvt sync s1" in line
    assert {run.name: run.status for run in stores[URI].runs.values()} == {
        SWEEP: "FINISHED",
        A: "KILLED",
    }
    assert not stores[URI].artifacts

    # What waits is delivered once the reason is gone.
    stores[URI].fault = lambda *_: None
    assert sync(folder, URI, folder.parents[1]).whole
    assert stores[URI].artifacts


def test_what_mlflow_refused_is_pending_until_it_takes_it(
    folder: Path, stores: dict[str, FakeMlflow]
) -> None:
    def odd(call: str, number: int, done: bool) -> None:
        if call == "log_batch" and not done and refuse:
            raise MlflowException("Odd", INVALID_PARAMETER_VALUE)

    refuse = False
    stores[URI].fault = odd
    tracker = open_tracker(folder)
    start_trial(tracker, A)
    assert tracker.flush()
    refuse = True
    report_it(tracker, A, 1, **{"val/loss": 1.0})
    assert tracker.flush()
    refuse = False
    report_it(tracker, A, 2, **{"val/loss": 0.5})
    complete_it(tracker, A, score=0.1)
    line = tracker.close()
    assert line is not None
    assert line.startswith("MLflow refused 1 event (MlflowException: Odd): `dvt sync s1")

    # Asked again while the reason is there, and after it.
    refuse = True
    again = sync(folder, URI, folder.parents[1])
    assert "MLflow refused" in again.line
    assert not again.whole
    refuse = False
    assert sync(folder, URI, folder.parents[1]).whole
    assert sync(folder, URI, folder.parents[1]).line == "MLflow has all of s1 already."
    run = next(run for run in stores[URI].runs.values() if run.name == A)
    assert sorted({step for key, step, _, _ in run.metrics if key == "val/loss"}) == [1, 2]
    assert run.status == "FINISHED"
