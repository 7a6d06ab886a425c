"""MLflow ends up with every run once and every epoch once, however often it was away and wherever the driver was killed."""

import random
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED, TEMPORARILY_UNAVAILABLE, ErrorCode

from sweeps.runner import courier, delivery
from sweeps.runner.courier import Courier
from sweeps.runner.delivery import sync
from sweeps.runner.journal import Journal
from sweeps.runner.mlflow_runs import SUMMARY, TrackedData
from sweeps.runner.mlflow_store import is_refusal, one_line
from sweeps.runner.tracking import Tracker, TrackingError

DATA = TrackedData(name="digits", digest="5f3a", source="sklearn", num_images={"train": 500})
SWEEP, A, B, C, D = "s1", "arm/000", "arm/001", "arm/002", "arm/003"
URI, OTHER = "fake://one", "fake://two"


class Killed(BaseException):
    """The driver's process ends."""


class FakeMlflow:
    """MLflow's client and store in memory. `fault(call, number, done)` is asked before and after each call."""

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

    def do_search_runs(self, experiments: list[str], which: str, page_token: str | None = None) -> Any:
        wanted = re.findall(r"tags\.`([^`]+)` = '([^']*)'", which)
        status = re.findall(r"attributes\.status = '(\w+)'", which)
        found = [
            SimpleNamespace(
                info=SimpleNamespace(run_id=run.run_id, status=run.status),
                data=SimpleNamespace(
                    tags=dict(run.tags), params=dict(run.params), metrics={point[0]: point[3] for point in run.metrics}
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
        run = SimpleNamespace(run_id=f"run{len(self.runs)}", name=name, status="RUNNING", tags=dict(tags), params={})
        run.metrics, run.datasets, run.deleted = [], [], False
        self.runs[run.run_id] = run
        return SimpleNamespace(info=SimpleNamespace(run_id=run.run_id))

    def do_log_inputs(self, run_id: str, datasets: list[Any]) -> None:
        self.runs[run_id].datasets = datasets

    def do_log_batch(self, run_id: str, metrics: Any, params: Any, tags: Any, synchronous: bool) -> None:
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
        return [SimpleNamespace(step=point[1]) for point in self.runs[run_id].metrics if point[0] == name]

    def do_log_artifact(self, run_id: str, path: str, folder: str | None) -> None:
        self.artifacts.add(f"{folder}/{Path(path).name}" if folder else Path(path).name)


class Page(list[Any]):
    token: str | None


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeMlflow]:
    """A store for each URI."""
    known = {URI: FakeMlflow(), OTHER: FakeMlflow()}
    monkeypatch.setattr("sweeps.runner.mlflow_runs.MlflowClient", known.__getitem__)
    monkeypatch.setattr("sweeps.runner.mlflow_runs.resolve_tags", dict)
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
    """The folder of a sweep that was interrupted, killed and resumed: trials that ended, were left open, and went on."""
    journal = Journal(folder / "trials.jsonl")
    for event in _story(folder):
        journal.append(event)
    journal.close()
    return folder


def _story(folder: Path) -> Iterator[dict[str, Any]]:
    moment = iter(range(1_700_000_000_000, 1_800_000_000_000, 1000))

    def told(kind: str, **content: Any) -> dict[str, Any]:
        return {"event": kind, "time": next(moment), **content}

    def trial(trial_id: str) -> dict[str, Any]:
        recipe = {"lr": 0.1, "seed": 1}
        return told("trial", trial_id=trial_id, arm="arm", number=int(trial_id[-3:]), role="trial", sample={}, recipe=recipe)

    def epochs(trial_id: str, *numbers: int) -> dict[str, Any]:
        done = [{"epoch": n, "score": 0.5, "val/accuracy": n / 10, "val/loss": 1 / n} for n in numbers]
        return told("epochs", trial_id=trial_id, epochs=done)

    def end(trial_id: str, outcome: str, reason: str | None = None) -> dict[str, Any]:
        totals = {"wall_seconds": 2.0, "device_seconds": 1.0, "score": 0.5, "best_epoch": 1}
        return told("end", trial_id=trial_id, outcome=outcome, reason=reason, **totals)

    def finish(outcome: str) -> dict[str, Any]:
        files = {"results.csv": str(folder / "results.csv")}
        return told("finish", outcome=outcome, artifacts=files, metrics={"score": 0.9}, tags={"sweep.partial": "true"})

    data = {"name": DATA.name, "digest": DATA.digest, "source": DATA.source, "num_images": dict(DATA.num_images)}
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
    yield from (end(A, "completed"), trial(C), epochs(C, 1, 2), end(B, "interrupted", "Ctrl-C"), finish("interrupted"))
    yield from (told("sweep", **sweep), told("resumed", changes=["code"], trials_per_arm=4))
    yield from (trial(B), epochs(B, 2), trial(D), epochs(B, 3), trial(C), epochs(C, 2, 3), end(B, "completed"))
    yield from (end(D, "diverged", "the loss is not finite"), trial(C), epochs(C, 4), end(C, "pruned"), finish("completed"))


def _check(store: FakeMlflow) -> None:
    """What MLflow must hold of the story, whatever happened on the way."""
    runs = [run for run in store.runs.values() if not run.deleted]
    assert Counter(run.name for run in runs) == Counter([SWEEP, A, B, C, D])
    by_name = {run.name: run for run in runs}
    sweep_id = by_name[SWEEP].run_id
    ends = {SWEEP: "completed", A: "completed", B: "completed", C: "pruned", D: "diverged"}
    assert {name: run.tags["sweep.outcome"] for name, run in by_name.items()} == ends
    assert {name: run.status for name, run in by_name.items()} == dict.fromkeys(ends, "FINISHED") | {D: "FAILED"}
    assert {name for name, run in by_name.items() if "sweep.reason" in run.tags} == {D}
    assert by_name[SWEEP].tags["sweep.changes"] == "code"
    assert by_name[A].tags["micro_batch"] == "16"
    for run in runs:
        assert len(run.datasets) == 1
        assert run.params == ({"seed": "0"} if run.name == SWEEP else {"lr": "0.1", "seed": "1"})
        assert run.name == SWEEP or run.tags["mlflow.parentRunId"] == sweep_id
    for name, last in {A: 3, B: 3, C: 4, D: 0}.items():
        points = [(key, step) for key, step, _, _ in by_name[name].metrics if key not in SUMMARY]
        assert points == [(key, step) for step in range(1, last + 1) for key in ("val/accuracy", "val/loss")]
    for name, ended in {A: 1, B: 2, C: 1, D: 1}.items():  # MLflow takes the same point once
        assert len({point for point in by_name[name].metrics if point[0] == "wall_seconds"}) == ended
    assert store.artifacts == {"results.csv"}


def _carry(folder: Path, uri: str = URI) -> Courier:
    carrier = Courier(folder / "trials.jsonl", uri, folder.parents[1])
    while carrier.carry():
        pass
    return carrier


def _kill_at(last: int, after: bool) -> Any:
    def fault(call: str, number: int, done: bool) -> None:
        if number > last or (number == last and done == after):
            raise Killed

    return fault


def test_an_undisturbed_delivery_is_whole(whole: Path, stores: dict[str, FakeMlflow]) -> None:
    carrier = _carry(whole)
    _check(stores[URI])
    assert carrier.refused == 0
    assert carrier.offset == (whole / "trials.jsonl").stat().st_size
    calls = stores[URI].calls
    assert not _carry(whole).refused
    assert stores[URI].calls == calls  # all is there: MLflow is not even asked


@pytest.mark.parametrize("at_once", [1, 3, 500])
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_and_started_again_it_is_whole(
    whole: Path, stores: dict[str, FakeMlflow], monkeypatch: pytest.MonkeyPatch, at_once: int, after: bool
) -> None:
    monkeypatch.setattr(courier, "_AT_ONCE", at_once)
    number = 0
    while True:
        number += 1
        store = stores[URI] = FakeMlflow()
        (whole / "mlflow.offset").unlink(missing_ok=True)
        store.fault = _kill_at(number, after)
        try:
            _carry(whole)
        except Killed:
            store.fault = lambda *_: None
            carrier = _carry(whole)
            assert carrier.refused == 0
            _check(store)
        else:
            break
    assert number > 30


@pytest.mark.parametrize("seed", range(12))
def test_failing_and_killed_at_random_it_is_whole(
    whole: Path, stores: dict[str, FakeMlflow], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(courier, "_AT_ONCE", chance.choice([1, 2, 5, 500]))

    def fault(call: str, number: int, done: bool) -> None:
        luck = chance.random()
        if luck < 0.02:
            raise Killed
        if luck < 0.1:
            raise MlflowException("503", TEMPORARILY_UNAVAILABLE)
        if luck < 0.12:
            raise ConnectionRefusedError("no answer")

    stores[URI].fault = fault
    carrier = Courier(whole / "trials.jsonl", URI, whole.parents[1])
    for attempt in range(5000):
        if attempt == 4000:
            stores[URI].fault = lambda *_: None
        try:
            if not carrier.carry():
                break
        except Killed:
            carrier = Courier(whole / "trials.jsonl", URI, whole.parents[1])
        except (MlflowException, ConnectionRefusedError):
            continue
    assert carrier.refused == 0
    _check(stores[URI])


def test_a_run_that_was_made_twice_is_there_once(whole: Path, stores: dict[str, FakeMlflow]) -> None:
    store = stores[URI]

    def twice(call: str, number: int, done: bool) -> None:  # the client asks again, and both requests arrive
        if call == "create_run" and done and len(store.runs) in (2, 4, 6):
            first = list(store.runs.values())[-1]
            store.do_create_run("study", 0, first.tags, first.name)

    store.fault = twice
    _carry(whole)
    assert len(store.runs) == 8
    _check(store)


def test_two_stores_get_the_same_one_after_the_other(whole: Path, stores: dict[str, FakeMlflow]) -> None:
    for uri in (URI, OTHER, URI, OTHER):
        assert _carry(whole, uri).refused == 0
        _check(stores[uri])


def test_a_store_that_was_emptied_gets_all_again(whole: Path, stores: dict[str, FakeMlflow]) -> None:
    _carry(whole)
    stores[URI] = FakeMlflow()
    journal = Journal(whole / "trials.jsonl")
    journal.append({"event": "tags", "trial_id": A, "tags": {"late": "yes"}})
    assert _carry(whole).refused == 0
    _check(stores[URI])


@pytest.mark.parametrize(
    "content", ["", "{}", "no json", '{"uri": "fake://one", "offset": 3}', '{"uri": "fake://one", "offset": 99999999}']
)
def test_an_offset_that_is_damaged_starts_over(whole: Path, stores: dict[str, FakeMlflow], content: str) -> None:
    _carry(whole)
    (whole / "mlflow.offset").write_text(content)
    assert Courier(whole / "trials.jsonl", URI, whole.parents[1]).offset == 0
    assert _carry(whole).refused == 0
    _check(stores[URI])


def test_the_offset_holds_no_password(whole: Path, stores: dict[str, FakeMlflow]) -> None:
    secret = "fake://anna:secret@host"
    stores[secret] = FakeMlflow()
    _carry(whole, secret)
    assert "secret" not in (whole / "mlflow.offset").read_text()
    assert Courier(whole / "trials.jsonl", secret, whole.parents[1]).offset == (whole / "trials.jsonl").stat().st_size


def test_what_is_refused_for_good_blocks_nothing(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    tracker = _tracker(folder)
    _start(tracker, A)
    tracker.trial_reported(A, [{"epoch": 1, "score": 0.1, "val/loss": 1.0}])
    tracker.trial_reported(A, [{"epoch": 2, "score": 0.1, "bad": 1.0}])
    tracker.trial_reported(A, [{"epoch": 3, "score": 0.1, "val/loss": 0.5}])
    tracker.trial_ended(A, "completed", score=0.1)
    tracker.trial_reported("nobody/000", [{"epoch": 1, "score": 0.1}])
    tracker.finish_sweep("completed", artifacts={"gone.csv": folder / "gone.csv", "results.csv": folder / "results.csv"})
    assert tracker.close() == "MLflow refused 3 events: MlflowException: Invalid metric name"
    run = next(run for run in stores[URI].runs.values() if run.name == A)
    assert [step for key, step, _, _ in run.metrics if key == "val/loss"] == [1, 3]
    assert {run.status for run in stores[URI].runs.values()} == {"FINISHED"}
    assert stores[URI].artifacts == {"results.csv"}


def test_a_refused_login_is_waited_for(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    def expired(*_: Any) -> None:
        raise MlflowException("the token has expired", PERMISSION_DENIED)

    stores[URI].fault = expired
    tracker = _tracker(folder)
    _start(tracker, A)
    _until(tracker.problem)
    stores[URI].fault = lambda *_: None
    assert tracker.close() is None
    assert {run.name for run in stores[URI].runs.values()} == {SWEEP, A}


def test_an_outage_is_one_line_and_then_forgotten(
    folder: Path, stores: dict[str, FakeMlflow], capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = _tracker(folder)
    assert tracker.flush()
    assert tracker.problem() is None

    def down(*_: Any) -> None:
        raise MlflowException("connection refused\nand a traceback")

    stores[URI].fault = down
    for number in range(3):
        _start(tracker, f"arm/{number:03}")
    line = _until(tracker.problem)
    assert re.fullmatch(
        r"MLflow has not answered for \d+ s \(connection refused\); [123] events? waits? in trials\.jsonl\.", line
    ), line
    assert not tracker.flush(0.2)
    stores[URI].fault = lambda *_: None
    assert tracker.flush(10)
    assert tracker.problem() is None
    assert tracker.close() is None
    assert Counter(run.name for run in stores[URI].runs.values()) == Counter([SWEEP, "arm/000", "arm/001", "arm/002"])
    assert capfd.readouterr() == ("", "")


def test_a_store_that_stays_away_is_one_line_at_the_end_and_gets_all_later(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    def down(*_: Any) -> None:
        raise MlflowException("connection refused")

    stores[URI].fault = down
    tracker = _tracker(folder)
    _start(tracker, A)
    assert tracker.close(0.3) == "2 events are not in MLflow yet (connection refused): `dvt sync s1` delivers them."
    with pytest.raises(TrackingError, match=r"2 events are not in MLflow yet \(connection refused\): `dvt sync s1`"):
        sync(folder, URI, folder.parents[1])
    stores[URI].fault = lambda *_: None
    assert sync(folder, URI, folder.parents[1]) == "2 events were delivered: MLflow has all of s1."
    assert sync(folder, URI, folder.parents[1]) == "MLflow has all of s1 already."
    assert Counter(run.name for run in stores[URI].runs.values()) == Counter([SWEEP, A])


def test_a_sweep_that_goes_on_delivers_what_was_left(whole: Path, stores: dict[str, FakeMlflow]) -> None:
    tracker = Tracker(URI, whole.parents[1], Journal(whole / "trials.jsonl"))
    assert tracker.close() is None
    _check(stores[URI])


def test_an_event_that_another_hand_appended_is_delivered(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    tracker = _tracker(folder)
    assert tracker.flush()
    tracker._journal.append({"event": "resumed", "changes": [], "trials_per_arm": 7})
    sweep = next(iter(stores[URI].runs.values()))
    _until(lambda: sweep.tags.get("sweep.trials_per_arm") == "7")
    assert tracker.close() is None


def test_sync_stands_back_while_the_driver_delivers(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    tracker = _tracker(folder)
    assert tracker.flush()
    assert sync(folder, URI, folder.parents[1]) == "s1 is being delivered by another process: nothing to do."
    assert tracker.close() is None
    assert sync(folder, URI, folder.parents[1]) == "MLflow has all of s1 already."


def test_the_driver_waits_while_sync_delivers(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    with FileLock(folder / "mlflow.lock"):
        tracker = _tracker(folder)
        assert "another process delivers" in _until(tracker.problem)
        assert not stores[URI].runs
    assert tracker.close() is None
    assert {run.name for run in stores[URI].runs.values()} == {SWEEP}


def test_a_slow_store_delays_nobody(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    stores[URI].seconds = 2.0
    tracker = _tracker(folder)
    started = time.perf_counter()
    for number in range(50):
        _start(tracker, f"arm/{number:03}")
        tracker.trial_reported(f"arm/{number:03}", [{"epoch": 1, "score": 0.1, "val/loss": 1.0}])
        tracker.trial_ended(f"arm/{number:03}", "completed")
    assert tracker.problem() is None
    assert time.perf_counter() - started < 1
    line = tracker.close(0.2)
    assert line is not None
    assert re.fullmatch(r"\d+ events are not in MLflow yet: `dvt sync s1` delivers them\.", line)


def test_a_store_that_hangs_keeps_nobody_waiting_and_loses_nothing(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    go_on = threading.Event()
    stores[URI].fault = lambda *_: go_on.wait(20) and None
    tracker = _tracker(folder)
    assert not tracker.flush(timeout=0.3)
    assert tracker.close(timeout=0.3) == "1 event is not in MLflow yet: `dvt sync s1` delivers them."
    go_on.set()


def test_a_damaged_journal_is_said(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    tracker = _tracker(folder)
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
    tracker = _tracker(folder)
    for number in range(200):
        trial_id = f"arm/{number:03}"
        _start(tracker, trial_id)
        tracker.trial_reported(trial_id, [{"epoch": 1, "score": 0.1, "val/loss": 1.0}])
        tracker.trial_ended(trial_id, "completed")
    assert tracker.flush()
    writer = tracker._delivery._courier._writer
    assert writer is not None
    assert list(writer._runs._runs) == [""]
    assert not writer._runs._known
    tracker.trial_tagged("arm/007", {"late": "yes"})  # found again
    assert tracker.close() is None
    assert next(run for run in stores[URI].runs.values() if run.name == "arm/007").tags["late"] == "yes"


@pytest.mark.parametrize("code", ["INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST", "NOT_IMPLEMENTED"])
def test_refusals_are_told_from_outages(code: str) -> None:
    assert is_refusal(MlflowException("no", ErrorCode.Value(code)))
    assert not is_refusal(
        MlflowException("(psycopg2.InterfaceError) connection already closed", ErrorCode.Value("BAD_REQUEST"))
    )
    for passing in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "PERMISSION_DENIED"):
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
        ("cannot reach http://anna:secret@host/x", "cannot reach http://***@host/x"),
        (
            "API request to http://h:5000/api/2.0/mlflow/x failed with exception HTTPConnectionPool(host='h', port=5000): "
            "Max retries exceeded with url: /api (Caused by NewConnectionError('Failed: [Errno 111] Connection refused'))",
            "Connection refused",
        ),
    ],
)
def test_a_reason_is_one_short_line_without_a_password(said: str, line: str) -> None:
    assert one_line(MlflowException(said)) == line


def test_a_real_database_that_loses_a_table_is_waited_for(store: tuple[str, Path], folder: Path) -> None:
    tracker = _tracker(folder, store[0])
    assert tracker.flush()
    with sqlite3.connect(store[1] / "mlflow.db") as database:
        database.execute("alter table metrics rename to away")
    _start(tracker, A)
    tracker.trial_reported(A, [{"epoch": 1, "score": 0.1, "val/loss": 1.0}])
    tracker.trial_ended(A, "completed")
    assert "no such table: metrics" in _until(tracker.problem)
    with sqlite3.connect(store[1] / "mlflow.db") as database:
        database.execute("alter table away rename to metrics")
    assert tracker.close() is None
    assert _statuses(store) == {SWEEP: "RUNNING", A: "FINISHED"}


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
            patched.setattr(MlflowClient, name, _counted(getattr(MlflowClient, name), tick))
        with pytest.raises(Killed):
            _carry(whole, store[0])
    assert _carry(whole, store[0]).refused == 0
    client = MlflowClient(store[0])
    runs = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    assert Counter(run.info.run_name for run in runs) == Counter([SWEEP, A, B, C, D])
    for run in runs:
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "val/accuracy")]
        assert steps == list(range(1, {A: 3, B: 3, C: 4}.get(run.info.run_name, 0) + 1))
        assert len(client.get_metric_history(run.info.run_id, "wall_seconds")) == {SWEEP: 0, B: 2}.get(run.info.run_name, 1)
    assert _statuses(store) == {SWEEP: "FINISHED", A: "FINISHED", B: "FINISHED", C: "FINISHED", D: "FAILED"}


def _counted(method: Any, tick: Any) -> Any:
    def call(*arguments: Any, **more: Any) -> Any:
        tick()
        return method(*arguments, **more)

    return call


def _tracker(folder: Path, uri: str = URI) -> Tracker:
    tracker = Tracker(uri, folder.parents[1], Journal(folder / "trials.jsonl"))
    tracker.start_sweep(study="study", sweep_name=SWEEP, tags={}, params={}, dataset=DATA, description="Does it?")
    return tracker


def _start(tracker: Tracker, trial_id: str) -> None:
    tracker.trial_started(trial_id, "arm", int(trial_id[-3:]), {"lr": 0.1}, sample={})


def _until(get: Any, seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := get()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def _statuses(store: tuple[str, Path]) -> dict[str, str]:
    with sqlite3.connect(store[1] / "mlflow.db") as database:
        return dict(database.execute("select name, status from runs").fetchall())
