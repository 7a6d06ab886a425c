"""Trials on Ray: one run of a Tuner, for the search or for the finalists."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ray import tune
from ray.tune.execution import class_cache
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from sweeps.records import folder
from sweeps.records.history import Trial
from sweeps.records.results import Outcome, Results
from sweeps.runner import keeping
from sweeps.runner.callbacks import (
    CheckpointCleaner,
    FailureBudget,
    RecordCallback,
    TrialCallback,
    Watchdog,
)
from sweeps.runner.driver import Run
from sweeps.runner.speed import cuts
from sweeps.tracking.store import one_line
from trainables.data.dataset import Dataset
from trainables.metrics import SCORE
from trainables.ray_trial import TrialConfig, train
from trainables.recipe import Recipe

# Restarts of a trial whose worker died; it continues from its last checkpoint. What raises in
# training is not restarted.
MAX_FAILURES = 5

# Tune's own files, in the sweep's folder; nothing reads them.
RAY_FOLDER = "ray"


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """The trials that Tune is to run.

    Attributes:
        searcher: Hands out trials, as many as are left.
        scheduler: Stops trials early; None stops none.
        results: Takes in the results.
        budget: Says which arms get no more trials.
        callbacks: More of them, after those that every batch has.
    """

    searcher: Searcher
    scheduler: TrialScheduler | None
    results: Results
    budget: FailureBudget
    callbacks: tuple[TrialCallback, ...] = ()


def run_trials(run: Run, batch: Batch) -> Outcome:
    """Run what a searcher hands out.

    Returns:
        `completed` where all of it ran, `interrupted` by the user, `failed` where it could not go
        on.
    """
    plan = run.plan
    interrupt = run.interrupt

    # The record comes first: the other callbacks ask it.
    tidy = partial(keeping.tidy, plan)
    record = RecordCallback(run, batch.results)
    callbacks: list[tune.Callback] = [
        record,
        Watchdog(plan.options.stuck_after, run.tell, run.say, run.look),
        CheckpointCleaner(batch.results, tidy),
        batch.budget,
        *batch.callbacks,
        run.capacity,
    ]

    # What an earlier run has left.
    shutil.rmtree(plan.folder / RAY_FOLDER, ignore_errors=True)
    keeping.tidy_left(plan, batch.results)
    try:
        _tuner(run, batch, callbacks).fit()
        if interrupt.reason:
            run.say(f"The sweep stopped: {interrupt.reason}.")
            return Outcome.FAILED
        if interrupt.requested:
            return Outcome.INTERRUPTED
        return Outcome.COMPLETED
    except Exception as error:  # noqa: BLE001  Whatever Ray raises, hours of trials are reported.
        # The signal that interrupts a sweep may have ended its Ray too.
        if interrupt.requested and not interrupt.reason:
            return Outcome.INTERRUPTED
        run.say(f"Ray broke off the sweep: {one_line(error)}")
        if plan.options.verbose:
            traceback.print_exc()
        return Outcome.FAILED
    finally:
        interrupt.let_go()
        record.close()
        shutil.rmtree(plan.folder / RAY_FOLDER, ignore_errors=True)


def _tuner(run: Run, batch: Batch, callbacks: Sequence[tune.Callback]) -> tune.Tuner:
    """Return Ray's Tuner for a batch."""
    plan = run.plan
    # Tune gives trials an environment variable of PyTorch Lightning's. Ray then starts processes of
    # their own for them, and the workers that have imported torch stay idle: 5 to 10 s at the start
    # of a sweep. The name is private: pyproject.toml bounds Ray's version.
    class_cache.DEFAULT_ENV_VARS.clear()
    resources = {"cpu": plan.slots.cpus, "gpu": plan.slots.gpus}
    return tune.Tuner(
        tune.with_resources(train, resources),
        tune_config=tune.TuneConfig(
            metric=SCORE,
            mode="max",
            num_samples=batch.results.total,
            search_alg=run.capacity.limit(batch.searcher),
            scheduler=batch.scheduler,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=RAY_FOLDER,
            storage_path=str(plan.folder),
            callbacks=list(callbacks),
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            verbose=0,
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The place of a trial in a sweep: its name, its arm, and its number in the arm."""

    trial_id: str
    arm: str
    number: int


def trial_config(
    run: Run, earlier: Mapping[str, Trial], place: Place, recipe: Recipe, data: Dataset
) -> TrialConfig:
    """Return the config that a worker is sent for a trial of the search.

    A finalist's differs in a few fields.
    """
    plan = run.plan
    materials = run.materials
    weights = materials.weights[recipe.weights, recipe.backbone]

    # A trial of an earlier run goes on after its last epoch.
    done: list[dict[str, Any]] = []
    if place.trial_id in earlier:
        done = [dict(epoch) for epoch in earlier[place.trial_id].epochs]
    return {
        # Which trial it is, and what it trains.
        "trial_id": place.trial_id,
        "arm": place.arm,
        "number": place.number,
        "finalist": None,
        "recipe": recipe.as_dict(),
        "done": done,
        # The images and weights; a node that lacks them makes them.
        "data": {
            "path": str(data.path),
            "cache": str(plan.cache),
            **plan.origin(data),
        },
        "weights": {
            "path": str(weights.path) if weights.path else None,
            "digest": weights.digest,
            "name": recipe.weights,
            "backbone": recipe.backbone,
            "cache": str(plan.cache),
        },
        # Where it trains, and how.
        "checkpoints": str(folder.checkpoints(plan.folder, place.trial_id)),
        "device": plan.slots.device,
        "threads": plan.slots.cpus,
        "gpu_share": plan.slots.gpus,
        "compute": materials.compute.as_dict(),
        "shared": {
            "folder": str(plan.cache / "prefix"),
            "sweep": plan.name,
            "share": plan.cache_share,
            "cuts": cuts(plan.arms, recipe.backbone),
            "views": True,
        },
        "report_every": plan.report_every,
        "score": plan.score,
    }
