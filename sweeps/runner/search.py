"""The search: one Tuner, one searcher, one scheduler, for all arms and for a sweep that is resumed too."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial

from ray import tune
from ray.tune.execution import class_cache
from rich.console import Console

from search_spaces.space import Arm
from sweeps.runner import tracking, winner
from sweeps.runner.interrupt import Interrupt
from sweeps.runner.mlflow_store import one_line
from sweeps.runner.plan import Materials, Plan, mend
from sweeps.runner.progress import Progress
from sweeps.runner.results import Outcome, Results
from sweeps.runner.resume import PastTrial
from sweeps.runner.scheduler import ArmScheduler
from sweeps.runner.searcher import ArmSearcher
from sweeps.runner.speed import cuts
from sweeps.runner.stuck import StuckTrials
from sweeps.runner.watcher import Watcher
from trainables.ray_trial import TrialConfig, train
from trainables.recipe import SCORE, Recipe

MAX_FAILURES = 5
"""Restarts of a trial whose worker died; it continues from its last checkpoint. What raises in training is not restarted."""

RAY_FOLDER = "ray"  # in the sweep's folder; Tune's own files, which nothing reads


def search(
    plan: Plan,
    materials: Materials,
    results: Results,
    tracker: tracking.Tracker,
    interrupt: Interrupt,
    console: Console,
    past: Sequence[PastTrial],
) -> Outcome:
    """Run the trials that are left.

    Returns:
        `completed` where the search came to its end, `interrupted` by the user, `failed` where it could not go on.
    """
    with Progress(results, plan.slots, plan.name, console, tracker.problem) as progress:
        watcher = Watcher(
            results,
            tracker,
            plan.slots,
            say=progress.say,
            interrupted=lambda: interrupt.requested,
            tidy=partial(winner.tidy, plan, results),
            broken=interrupt.stop,
            stuck=StuckTrials(plan.options.stuck_after),
        )
        deadline = time.monotonic() + (plan.options.time_limit or float("inf"))
        searcher = ArmSearcher(
            plan.arms,
            plan.trials_per_arm,
            plan.options.seed,
            partial(_trial_config, plan, materials, {trial.trial_id: trial for trial in past}, progress.say),
            stop=lambda: interrupt.requested or time.monotonic() > deadline,
            skip=watcher.hopeless.__contains__,
            past=past,
        )
        scheduler = ArmScheduler(plan.arms, plan.epochs, past) if plan.study.asha else None
        shutil.rmtree(plan.folder / RAY_FOLDER, ignore_errors=True)  # of an earlier run
        try:
            _tuner(plan, searcher, scheduler, watcher, results.total).fit()
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


def _tuner(plan: Plan, searcher: ArmSearcher, scheduler: ArmScheduler | None, watcher: Watcher, total: int) -> tune.Tuner:
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
            search_alg=searcher,
            scheduler=scheduler,
            max_concurrent_trials=plan.slots.count,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=RAY_FOLDER,
            storage_path=str(plan.folder),
            callbacks=[watcher],
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            verbose=0,
        ),
    )


def _trial_config(
    plan: Plan,
    materials: Materials,
    past: dict[str, PastTrial],
    say: Callable[[str], None],
    trial_id: str,
    arm: Arm,
    number: int,
    recipe: Recipe,
) -> TrialConfig:
    mend(plan, materials, say)
    pair = recipe.weights, recipe.backbone
    weights = materials.weights[pair]
    return {
        "trial_id": trial_id,
        "arm": arm.name,
        "number": number,
        "recipe": recipe.as_dict(),
        "done": past[trial_id].epochs if trial_id in past else [],
        "data": str(materials.data.path),
        "weights": str(weights) if weights else None,
        "checkpoints": str(winner.checkpoint_folder(plan, trial_id)),
        "device": plan.slots.device,
        "threads": plan.slots.cpus,
        "gpu_share": plan.slots.gpus,
        "compute": materials.compute.as_dict(),
        "shared": {
            "folder": str(plan.cache / "prefix"),
            "sweep": plan.name,
            "share": plan.cache_share,
            "weights": materials.digests[pair],
            "cuts": cuts(plan.arms, recipe.backbone),
        },
        "report_every": plan.report_every,
    }
