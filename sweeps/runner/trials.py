"""Trials on Ray: one Tuner from its start to its end, be it for the search or for the finalists."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.execution import class_cache
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from rich.console import Console

from sweeps.runner import winner
from sweeps.runner.interrupt import Interrupt
from sweeps.runner.mlflow_store import one_line
from sweeps.runner.plan import Materials, Plan
from sweeps.runner.progress import Progress
from sweeps.runner.results import Outcome, Results, TrialRecord
from sweeps.runner.resume import Past, PastTrial
from sweeps.runner.room import Room
from sweeps.runner.speed import cuts
from sweeps.runner.stuck import StuckTrials
from sweeps.runner.tracking import Tracker
from sweeps.runner.watcher import Watcher
from trainables.metrics import SCORE
from trainables.ray_trial import TrialConfig, train
from trainables.recipe import Recipe

MAX_FAILURES = 5
"""Restarts of a trial whose worker died; it continues from its last checkpoint. What raises in training is not restarted."""

RAY_FOLDER = "ray"  # in the sweep's folder; Tune's own files, which nothing reads


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What the parts of a running sweep have in common."""

    plan: Plan
    materials: Materials
    tracker: Tracker
    interrupt: Interrupt
    console: Console
    room: Room
    past: Past | None
    deadline: float  # by the monotonic clock; no trial starts after it

    def over(self) -> bool:
        """Whether no more trials are to start."""
        return self.interrupt.requested or time.monotonic() > self.deadline

    def earlier(self, role: str) -> tuple[PastTrial, ...]:
        """What an earlier run of the sweep left of the search, or of the finalists."""
        return self.past.of(role) if self.past else ()


def run_trials(
    run: Run,
    results: Results,
    progress: Progress,
    searcher: Searcher,
    scheduler: TrialScheduler | None,
    *,
    hopeless: set[str],
    peers: Callable[[TrialRecord], list[TrialRecord]],
    log: Callable[[TrialRecord, Mapping[str, Any]], None] = lambda record, epoch: None,
) -> Outcome:
    """Run what a searcher hands out.

    Args:
        run: The sweep.
        results: Takes in what comes of it.
        progress: Shows it.
        searcher: Hands out trials, as many as are left.
        scheduler: Stops trials early.
        hopeless: Arms that get no more trials; grows here.
        peers: Trials of which, with the one given, only the best one's checkpoint is kept.
        log: Shows each epoch.

    Returns:
        `completed` where all came to its end, `interrupted` by the user, `failed` where it could not go on.
    """
    plan, interrupt = run.plan, run.interrupt
    watcher = Watcher(
        results,
        run.tracker,
        plan.slots,
        say=progress.say,
        interrupted=lambda: interrupt.requested,
        tidy=lambda record: winner.tidy(plan, peers(record), record),
        broken=interrupt.stop,
        stuck=StuckTrials(plan.options.stuck_after),
        hopeless=hopeless,
        log=log,
    )
    shutil.rmtree(plan.folder / RAY_FOLDER, ignore_errors=True)  # of an earlier run
    winner.tidy_left(plan, results.records(), peers)
    try:
        _tuner(run, searcher, scheduler, watcher, results.total).fit()
        if interrupt.reason:
            progress.say(f"The sweep stopped: {interrupt.reason}.")
            return Outcome.FAILED
        return Outcome.INTERRUPTED if interrupt.requested else Outcome.COMPLETED
    except Exception as error:  # noqa: BLE001  Whatever Ray raises, hours of finished trials are still reported.
        progress.say(f"Ray broke off the sweep: {one_line(error)}")
        if plan.options.verbose:
            traceback.print_exc()
        return Outcome.FAILED
    finally:
        watcher.close()
        shutil.rmtree(plan.folder / RAY_FOLDER, ignore_errors=True)


def _tuner(
    run: Run, searcher: Searcher, scheduler: TrialScheduler | None, watcher: Watcher, total: int
) -> tune.Tuner:
    plan = run.plan
    # Tune gives trials an environment variable of PyTorch Lightning's. Ray then starts processes of their own for them, and
    # the workers that have imported torch stay idle: 5 to 10 s at the start of a sweep.
    class_cache.DEFAULT_ENV_VARS.clear()
    resources = {"cpu": plan.slots.cpus, "gpu": plan.slots.gpus}
    return tune.Tuner(
        tune.with_resources(train, resources),
        tune_config=tune.TuneConfig(
            metric=SCORE,
            mode="max",
            num_samples=total,
            search_alg=run.room.limit(searcher),
            scheduler=scheduler,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=RAY_FOLDER,
            storage_path=str(plan.folder),
            callbacks=[watcher, run.room],
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            verbose=0,
        ),
    )


def trial_config(
    run: Run, done: Mapping[str, PastTrial], trial_id: str, arm: str, number: int, recipe: Recipe
) -> TrialConfig:
    """What a worker is sent of a trial of the search; a finalist's differs in a few fields."""
    plan, materials = run.plan, run.materials
    pair = recipe.weights, recipe.backbone
    weights = materials.weights[pair]
    return {
        "trial_id": trial_id,
        "arm": arm,
        "number": number,
        "finalist": None,
        "recipe": recipe.as_dict(),
        "done": done[trial_id].epochs if trial_id in done else [],
        "data": {
            "path": str(materials.data.path),
            "cache": str(plan.cache),
            **plan.origin(materials.data),
        },
        "weights": {
            "path": str(weights.path) if weights.path else None,
            "digest": weights.digest,
            "name": recipe.weights,
            "backbone": recipe.backbone,
            "cache": str(plan.cache),
        },
        "checkpoints": str(winner.checkpoint_folder(plan, trial_id)),
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
