"""MLflow ends up with every run once and every epoch once.

It may be away often, and the driver may be killed anywhere.
"""

import random
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, TEMPORARILY_UNAVAILABLE

from sweeps.records.events import SweepFinished
from sweeps.records.journal import Journal
from sweeps.records.results import Outcome
from sweeps.tracking import courier
from sweeps.tracking.courier import Courier
from tests.integration import fake_mlflow
from tests.integration.fake_mlflow import (
    OTHER,
    SWEEP,
    URI,
    A,
    FakeMlflow,
    Killed,
    carry_it,
    check_store,
    complete_it,
    kill_at_it,
    open_tracker,
    report_it,
    start_trial,
    wait_until,
)

stores = fake_mlflow.stores
folder = fake_mlflow.folder
whole = fake_mlflow.whole


def test_an_undisturbed_delivery_is_whole(whole: Path, stores: dict[str, FakeMlflow]) -> None:
    carrier = carry_it(whole)
    check_store(stores[URI])
    assert carrier.refusals == {}
    assert carrier.offset == (whole / "trials.jsonl").stat().st_size
    calls = stores[URI].calls
    assert not carry_it(whole).refusals
    assert stores[URI].calls == calls  # all is there: MLflow is not even asked


@pytest.mark.parametrize("at_once", [1, 3, 500])
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_and_started_again_it_is_whole(
    whole: Path,
    stores: dict[str, FakeMlflow],
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    after: bool,
) -> None:
    monkeypatch.setattr(courier, "_AT_ONCE", at_once)
    number = 0
    while True:
        number += 1
        store = stores[URI] = FakeMlflow()
        (whole / "mlflow.offset").unlink(missing_ok=True)
        store.fault = kill_at_it(number, after)
        try:
            carry_it(whole)
        except Killed:
            store.fault = lambda *_: None
            carrier = carry_it(whole)
            assert carrier.refusals == {}
            check_store(store)
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
    assert carrier.refusals == {}
    check_store(stores[URI])


def test_a_run_that_was_made_twice_is_there_once(
    whole: Path, stores: dict[str, FakeMlflow]
) -> None:
    store = stores[URI]

    def twice(
        call: str, number: int, done: bool
    ) -> None:  # the client asks again, and both requests arrive
        if call == "create_run" and done and len(store.runs) in (2, 4, 6):
            first = list(store.runs.values())[-1]
            store.do_create_run("study", 0, first.tags, first.name)

    store.fault = twice
    carry_it(whole)
    assert len(store.runs) == 8
    check_store(store)


def test_two_stores_get_the_same_one_after_the_other(
    whole: Path, stores: dict[str, FakeMlflow]
) -> None:
    for uri in (URI, OTHER, URI, OTHER):
        assert carry_it(whole, uri).refusals == {}
        check_store(stores[uri])


def test_a_store_that_was_emptied_gets_all_again(
    whole: Path, stores: dict[str, FakeMlflow]
) -> None:
    carry_it(whole)
    stores[URI] = FakeMlflow()
    journal = Journal(whole / "trials.jsonl")
    journal.append({"event": "tags", "trial_id": A, "tags": {"late": "yes"}})
    courier = carry_it(whole)
    assert courier.refusals == {}
    assert courier.told_again
    check_store(stores[URI])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "no json",
        '{"uri": "fake://one", "offset": 3}',
        '{"uri": "fake://one", "offset": 99999999}',
        '{"uri": "fake://one", "offset": 1e30}',
        '{"uri": "fake://one", "offset": Infinity}',
    ],
)
def test_an_offset_that_is_damaged_starts_over(
    whole: Path, stores: dict[str, FakeMlflow], content: str
) -> None:
    carry_it(whole)
    (whole / "mlflow.offset").write_text(content)
    assert Courier(whole / "trials.jsonl", URI, whole.parents[1]).offset == 0
    assert carry_it(whole).refusals == {}
    check_store(stores[URI])


def test_the_offset_holds_no_password(whole: Path, stores: dict[str, FakeMlflow]) -> None:
    secret = "fake://anna:secret@host"
    stores[secret] = FakeMlflow()
    carry_it(whole, secret)
    assert "secret" not in (whole / "mlflow.offset").read_text()
    assert (
        Courier(whole / "trials.jsonl", secret, whole.parents[1]).offset
        == (whole / "trials.jsonl").stat().st_size
    )


def test_what_is_refused_for_good_blocks_nothing(
    folder: Path, stores: dict[str, FakeMlflow]
) -> None:
    tracker = open_tracker(folder)
    start_trial(tracker, A)
    report_it(tracker, A, 1, **{"val/loss": 1.0})
    report_it(tracker, A, 2, bad=1.0)
    report_it(tracker, A, 3, **{"val/loss": 0.5})
    complete_it(tracker, A, score=0.1)
    report_it(tracker, "nobody/000")
    files = {name: str(folder / name) for name in ("gone.csv", "results.csv")}
    tracker.tell(SweepFinished(outcome=Outcome.COMPLETED, artifacts=files))
    again = f"`dvt sync s1 --storage {folder.parents[1]}` tries again."
    why = "MlflowException: Invalid metric name"
    assert tracker.close() == f"MLflow refused 3 events ({why}): {again}"
    run = next(run for run in stores[URI].runs.values() if run.name == A)
    assert [step for key, step, _, _ in run.metrics if key == "val/loss"] == [1, 3]
    assert {run.status for run in stores[URI].runs.values()} == {"FINISHED"}
    assert stores[URI].artifacts == {"results.csv"}


def test_a_refused_login_is_waited_for(folder: Path, stores: dict[str, FakeMlflow]) -> None:
    def expired(*_: Any) -> None:
        raise MlflowException("the token has expired", PERMISSION_DENIED)

    stores[URI].fault = expired
    tracker = open_tracker(folder)
    start_trial(tracker, A)
    wait_until(tracker.problem)
    stores[URI].fault = lambda *_: None
    assert tracker.close() is None
    assert {run.name for run in stores[URI].runs.values()} == {SWEEP, A}
