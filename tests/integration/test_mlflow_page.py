"""What MLflow shows beside a sweep's numbers: views, colors, what the machine did."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from search_spaces.depth_vs_tricks import SPACE
from sweeps.records.events import DataRecord, SweepStarted, TrialEnded, TrialStarted
from sweeps.records.journal import Journal
from sweeps.records.manifest import definition
from sweeps.records.palette import PALETTE
from sweeps.records.results import Finalist, Outcome
from sweeps.records.variation import shared_fields
from sweeps.tracking.experiment import ensure_experiment, show_views
from sweeps.tracking.machine import MachineMetrics
from sweeps.tracking.tracker import Tracker
from sweeps.tracking.views import views

STUDY = "depth_vs_tricks"
DATA = DataRecord(name="digits", digest="5f3a", source="sklearn", num_images={"train": 500})
ARM = SPACE.matching("resnet34/tricks")[0]
SHARED = shared_fields(definition(SPACE.grid()))
RECIPE = ARM.default_recipe().as_dict()
TRIAL = f"{ARM.name}/000"
FINALIST = f"{TRIAL}/s0"


def opened(store: tuple[str, Path], *, told: bool = True, **changes: object) -> Tracker:
    folder = store[1] / "sweeps" / "s1"
    folder.mkdir(parents=True, exist_ok=True)
    tracker = Tracker(*store, Journal(folder / "trials.jsonl"))
    # Earlier versions did not tell what trials share.
    shared = {**SHARED, **changes} if told else {}
    tracker.tell(
        SweepStarted(
            study=STUDY,
            sweep_name="s1",
            tags={},
            params={**shared, "arms": ", ".join(arm.name for arm in SPACE.grid())},
            dataset=DATA,
            description="Does depth pay?",
            shared=shared,
        )
    )
    return tracker


def started(tracker: Tracker, trial_id: str = TRIAL, **changes: object) -> None:
    finalist = Finalist(TRIAL) if trial_id == FINALIST else None
    recipe = RECIPE | changes
    tracker.tell(
        TrialStarted(trial_id=trial_id, arm=ARM.name, number=0, recipe=recipe, finalist=finalist)
    )


def runs(store: tuple[str, Path]) -> dict[str, object]:
    found = MlflowClient(store[0])
    experiment = found.get_experiment_by_name(STUDY)
    return {run.info.run_name: run for run in found.search_runs([experiment.experiment_id])}


def test_a_trial_has_what_varies_and_the_sweep_what_all_share(store: tuple[str, Path]) -> None:
    tracker = opened(store)
    started(tracker)
    started(tracker, FINALIST, seed=77)
    assert tracker.close() is None
    found = runs(store)
    trial = found[TRIAL].data
    assert not trial.params.keys() & SHARED.keys()
    assert trial.params["backbone"] == "resnet34"
    assert trial.params.keys() | SHARED.keys() == RECIPE.keys()
    sweep = found["s1"].data.params
    assert {name: sweep[name] for name in SHARED} == {n: str(v) for n, v in SHARED.items()}
    # A seed of its own is what a finalist has besides.
    assert found[FINALIST].data.params == trial.params | {"seed": "77"}


def test_all_runs_of_an_arm_have_the_color_of_the_report(store: tuple[str, Path]) -> None:
    tracker = opened(store)
    started(tracker)
    started(tracker, FINALIST, seed=77)
    assert tracker.close() is None
    place = [arm.name for arm in SPACE.grid()].index(ARM.name)
    for name in (TRIAL, FINALIST):
        assert runs(store)[name].data.tags["mlflow.runColor"] == PALETTE[place]


@pytest.mark.parametrize("told", [True, False])
def test_what_was_changed_and_accepted_is_a_param_of_the_trials_after(
    store: tuple[str, Path], told: bool
) -> None:
    first = opened(store, told=told)
    started(first)
    started(first, FINALIST, seed=77)
    first.tell(TrialEnded(trial_id=FINALIST, outcome=Outcome.COMPLETED, score=0.5))
    assert first.close() is None
    before = runs(store)[FINALIST].info.run_id

    # The image size is fixed for all arms, and now it is another.
    second = opened(store, told=told, image_size=64)
    started(second, f"{ARM.name}/001", image_size=64)
    started(second, FINALIST, seed=77, image_size=64)
    assert second.close() is None
    found = runs(store)
    assert found[f"{ARM.name}/001"].data.params["image_size"] == "64"
    # What an earlier version delivered has all fields, and a run that is resumed keeps them.
    assert ("image_size" in found[TRIAL].data.params) != told
    assert found[FINALIST].info.run_id != before
    assert found[FINALIST].data.params["image_size"] == "64"
    assert "score" not in found[FINALIST].data.metrics


def test_a_finalist_that_goes_on_unchanged_keeps_its_run(store: tuple[str, Path]) -> None:
    for _ in range(2):
        tracker = opened(store)
        started(tracker, FINALIST, seed=77)
        tracker.tell(TrialEnded(trial_id=FINALIST, outcome=Outcome.INTERRUPTED))
        assert tracker.close() is None
    assert len(runs(store)) == 2
    client = MlflowClient(store[0])
    experiment = client.get_experiment_by_name(STUDY)
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_views_are_written_once_and_again_where_something_changed(
    store: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(store[0])
    ensure_experiment(client, STUDY, None, "Does depth pay?")
    written: list[str] = []
    set_tag = MlflowClient.set_experiment_tag

    def noted(self: MlflowClient, experiment_id: str, key: str, value: str) -> None:
        written.append(key)
        set_tag(self, experiment_id, key, value)

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", noted)
    manifest = {"definition": definition(SPACE.grid())}
    number = show_views(store[0], STUDY, views("s1", manifest))
    assert len(written) == 4
    show_views(store[0], STUDY, views("s1", manifest))
    assert len(written) == 4

    # What a person has changed stays; what a person has deleted comes back.
    assert number
    set_tag(client, number, "mlflow.sharedViewState.sweeps", "mine")
    assert show_views(store[0], STUDY, views("s1", manifest)) == number
    tags = client.get_experiment(number).tags
    assert tags["mlflow.sharedViewState.sweeps"] == "mine"
    client.delete_experiment_tag(number, "mlflow.sharedViewState.trials")
    show_views(store[0], STUDY, views("s1", manifest))
    assert written[4:] == ["mlflow.sharedViewState.trials"]

    # Another sweep's trials are another view; the one on all sweeps is the same.
    show_views(store[0], STUDY, views("s2", manifest))
    assert [key.rpartition(".")[2] for key in written[5:]] == ["trials", "finalists", "views"]


def test_a_study_that_mlflow_does_not_know_has_no_views(store: tuple[str, Path]) -> None:
    assert show_views(store[0], STUDY, views("s1", {})) is None


def test_the_machine_is_measured_on_the_sweeps_run_and_a_resume_repeats_no_step(
    store: tuple[str, Path],
) -> None:
    for _ in range(2):
        tracker = opened(store)
        machine = MachineMetrics(store[0], tracker.sweep_run_id, every=1.1)
        assert tracker.flush()
        time.sleep(5)
        machine.close()
        assert tracker.close() is None
    run = runs(store)["s1"]
    history = MlflowClient(store[0]).get_metric_history
    points = history(run.info.run_id, "system/cpu_utilization_percentage")
    assert len(points) > 3
    assert len({point.step for point in points}) == len(points)
    assert run.data.metrics["system/system_memory_usage_percentage"] > 0
    assert not [name for name in run.data.metrics if not name.startswith("system/")]


def test_a_machine_that_cannot_be_told_of_hurts_nothing(store: tuple[str, Path]) -> None:
    asked: list[float] = []

    def run_id() -> str:
        asked.append(time.monotonic())
        return "no such run"

    machine = MachineMetrics(store[0], run_id, every=0.1)
    deadline = time.monotonic() + 20
    while len(asked) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    machine.close()
    assert len(asked) >= 3
