"""One sweep from its plan to its end: one Tuner, one searcher, one scheduler, and everything recorded."""

from __future__ import annotations

import json
import shlex
import sys
import time
import traceback
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

from ray import tune
from ray.tune.execution import class_cache
from rich.console import Console

from cluster.session import Nodes, SessionError, session
from search_spaces.space import Arm
from sweeps.runner import tracking, winner
from sweeps.runner.background import one_line
from sweeps.runner.ending import finish
from sweeps.runner.interrupt import Interrupt
from sweeps.runner.mlflow_runs import sweep_exists
from sweeps.runner.mlflow_store import without_password
from sweeps.runner.options import Refused
from sweeps.runner.plan import Materials, Plan, gather, slots_on
from sweeps.runner.progress import Progress
from sweeps.runner.results import Outcome, Results
from sweeps.runner.scheduler import ArmScheduler
from sweeps.runner.searcher import ArmSearcher
from sweeps.runner.speed import cuts
from sweeps.runner.watcher import Watcher
from trainables.ray_trial import TrialConfig, train
from trainables.recipe import SCORE, Recipe

MAX_FAILURES = 2
"""Retries of a trial whose worker died; it continues from its last epoch."""

PRELOADED_AT_MOST = 8
"""Workers that import torch ahead of time. Ray starts one a CPU, and each takes 0.4 GB."""


def launch(plan: Plan, console: Console) -> int:
    """Run a plan; the exit status.

    Raises:
        Refused: Data, weights, MLflow or Ray cannot be had; nothing was run and no folder was made.
    """
    with ExitStack() as stack:
        if plan.options.address != "local":
            plan = _joined(plan, stack)
        say = partial(console.print, markup=False, highlight=False)
        for note in plan.notes:
            say(note)
        materials = gather(plan, say)
        uri = _prepare_store(plan) if plan.options.tracking_uri else ""
        if plan.options.address == "local":  # before MLflow makes its tables, so that the workers' imports run beside that
            cpus = plan.slots.count * plan.slots.cpus
            preload = "trainables.ray_trial" if cpus <= PRELOADED_AT_MOST else ""
            _enter(stack, plan, cpus=cpus, gpus=plan.slots.whole_gpus, preload=preload)
        uri = uri or _prepare_store(plan)
        for note in materials.data.notes:
            say(note)
        say(_headline(plan, materials))
        return _run(plan, materials, uri, console)


def _run(plan: Plan, materials: Materials, uri: str, console: Console) -> int:
    with Interrupt() as interrupt:
        try:
            plan.folder.mkdir(parents=True)
        except FileExistsError as error:
            raise Refused([f"--name must be new, but {plan.folder} exists: choose another name."]) from error
        _write_description(plan, materials)
        results = Results([arm.name for arm in plan.arms], plan.trials_per_arm)
        tracker = tracking.Tracker(uri, plan.storage)
        tracker.start_sweep(
            study=plan.study.name,
            sweep_name=plan.name,
            tags={"sweep.preset": plan.preset_name, "sweep.device": plan.slots.device, "sweep.command": _command()},
            params={"arms": ", ".join(results.arms), "trials_per_arm": plan.trials_per_arm, "seed": plan.options.seed}
            | {"data": plan.data, "weights": plan.weights, "slots": plan.slots.describe()},
            dataset=tracking.TrackedData(
                name=materials.data.name,
                digest=materials.data.digest,
                source=materials.data.source,
                num_images={split: sum(counts.values()) for split, counts in materials.data.counts.items()},
            ),
            description=plan.study.question,
        )
        try:
            ended = _search(plan, materials, results, tracker, interrupt, console)
            return finish(plan, materials, results, tracker, console, ended)
        except BaseException:  # a second Ctrl-C, a full disk: MLflow must not show the sweep as running for ever
            tracker.finish_sweep(Outcome.INTERRUPTED.value)
            tracker.close(timeout=5)
            raise


def _search(
    plan: Plan, materials: Materials, results: Results, tracker: tracking.Tracker, interrupt: Interrupt, console: Console
) -> Outcome:
    """Run the trials; `completed` where the search came to its end, `interrupted` by the user, or `failed` by Ray."""
    with Progress(results, plan.slots, plan.name, console) as progress:
        watcher = Watcher(results, tracker, plan.slots, progress.say, lambda: interrupt.requested)
        deadline = time.monotonic() + (plan.options.time_limit or float("inf"))
        searcher = ArmSearcher(
            plan.arms,
            plan.trials_per_arm,
            plan.options.seed,
            partial(_trial_config, plan, materials),
            stop=lambda: interrupt.requested or time.monotonic() > deadline,
        )
        try:
            _tuner(plan, searcher, watcher, results.total).fit()
            return Outcome.INTERRUPTED if interrupt.requested else Outcome.COMPLETED
        except Exception as error:  # noqa: BLE001  Whatever Ray raises, hours of finished trials are still reported.
            console.print(f"Ray broke off the sweep: {one_line(error)}", markup=False, highlight=False)
            if plan.options.verbose:
                traceback.print_exc()
            return Outcome.FAILED
        finally:
            watcher.close()


def _tuner(plan: Plan, searcher: ArmSearcher, watcher: Watcher, total: int) -> tune.Tuner:
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
            scheduler=ArmScheduler(plan.arms, plan.epochs) if plan.study.asha else None,
            max_concurrent_trials=plan.slots.count,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="ray",
            storage_path=str(plan.folder),
            callbacks=[watcher],
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            verbose=0,
        ),
    )


def _trial_config(plan: Plan, materials: Materials, trial_id: str, arm: Arm, number: int, recipe: Recipe) -> TrialConfig:
    pair = recipe.weights, recipe.backbone
    weights = materials.weights[pair]
    return {
        "trial_id": trial_id,
        "arm": arm.name,
        "number": number,
        "recipe": recipe.as_dict(),
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
    }


def _joined(plan: Plan, stack: ExitStack) -> Plan:
    slots = slots_on(plan, _enter(stack, plan, cpus=0, gpus=0))
    hoped = slots.device == "cpu" and plan.options.gpus is None
    note = ("No GPU found in the cluster: training on its CPUs.",) if hoped else ()
    return replace(plan, slots=slots, notes=(*note, *plan.notes))


def _enter(stack: ExitStack, plan: Plan, *, cpus: int, gpus: int, preload: str = "") -> Nodes:
    try:
        return stack.enter_context(session(plan.options.address, cpus=cpus, gpus=gpus, preload=preload))
    except SessionError as error:
        raise Refused([str(error)]) from error


def _prepare_store(plan: Plan) -> str:
    plan.storage.mkdir(parents=True, exist_ok=True)
    try:
        uri = tracking.prepare_store(plan.options.tracking_uri, plan.storage)
        if plan.options.name and sweep_exists(uri, plan.study.name, plan.name):
            raise Refused([f"--name must be new, but MLflow has a sweep {plan.name!r}: choose another name."])
        return uri
    except tracking.TrackingError as error:
        raise Refused([str(error)]) from error


def _headline(plan: Plan, materials: Materials) -> str:
    images = {split: sum(counts.values()) for split, counts in materials.data.counts.items()}
    counted = ", ".join(f"{number} {split}" for split, number in images.items())
    arms = "1 arm" if len(plan.arms) == 1 else f"{len(plan.arms)} arms"
    return (
        f"{plan.study.question}\n"
        f"{arms} x {plan.trials_per_arm} trials, {plan.epochs} epochs each, on {plan.slots.describe()}. "
        f"{materials.data.name}: {len(materials.data.classes)} classes, {counted} images (test is not touched).\n"
        f"Sweep {plan.name}"
    )


def _command() -> str:
    return " ".join(["python", *(shlex.quote(without_password(word)) for word in sys.argv)])


def _write_description(plan: Plan, materials: Materials) -> None:
    """`sweep.json`: what was asked for, so that the sweep can be told apart from every other one later."""
    described = {
        "study": plan.study.name,
        "question": plan.study.question,
        "command": _command(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "preset": plan.preset_name,
        "seed": plan.options.seed,
        "arms": [arm.name for arm in plan.arms],
        "trials_per_arm": plan.trials_per_arm,
        "data": {"source": plan.data, "digest": materials.data.digest, "caps": asdict(plan.caps)},
        "weights": [
            {"weights": pair[0], "backbone": pair[1], "file": str(path) if path else None, "digest": materials.digests[pair]}
            for pair, path in materials.weights.items()
        ],
        "slots": asdict(plan.slots),
        "compute": materials.compute.as_dict(),
        "versions": {name: version(name) for name in ("depth-vs-tricks", "torch", "torchvision", "ray", "optuna", "mlflow")},
    }
    (plan.folder / "sweep.json").write_text(json.dumps(described, indent=2) + "\n")
