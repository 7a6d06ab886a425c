"""One sweep from its plan to its end: what it needs is made ready, it runs, and everything is recorded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from cluster.probes import blind_nodes, of_gpu_nodes
from cluster.session import Nodes, SessionError, nodes, session
from sweeps.records.journal import Journal
from sweeps.records.results import Outcome, Results
from sweeps.records.score import decide
from sweeps.runner import description
from sweeps.runner.capacity import Room
from sweeps.runner.ending import NOTHING_COMPLETED, finish
from sweeps.runner.finalists import finalists
from sweeps.runner.interrupt import Interrupt
from sweeps.runner.options import Refused
from sweeps.runner.plan import Materials, Plan, gather, slots_on
from sweeps.runner.resume import JOURNAL, LOCK, Past, changes
from sweeps.runner.search import replay, search
from sweeps.runner.trials import Run
from sweeps.tracking import tracker as tracking
from sweeps.tracking.experiment import sweep_exists
from trainables.compute import Compute, gpu_precision
from trainables.data.understood import said_of_data

PRELOADED_AT_MOST = 8
"""Workers that import torch ahead of time. Ray starts one a CPU, and each takes 0.4 GB."""


def launch(plan: Plan, console: Console, past: Past | None = None) -> int:
    """Run a plan; the exit status.

    Args:
        plan: What to run.
        console: Where to show it.
        past: What an earlier run of the sweep left, which is resumed.

    Raises:
        Refused: Data, weights, MLflow or Ray cannot be had, or the sweep is no longer what it was; nothing was run.
    """
    with ExitStack() as stack:
        compute = Compute.from_dict(past.description["compute"]) if past else None
        if past:
            _lock(stack, plan)
        asked = set[str]()  # nodes
        if plan.options.address != "local":
            plan = _joined(plan, stack)
            asked = set(nodes())
            _check_shared(plan)
            compute = compute or _common_compute(plan)
        say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
        for note in plan.notes:
            say(note)
        uri = (
            _prepare_store(plan) if plan.options.tracking_uri else ""
        )  # before data and weights, which may take minutes
        had = (
            [(trial.recipe["weights"], trial.recipe["backbone"]) for trial in past.trials]
            if past
            else []
        )
        materials = gather(plan, say, compute, had)
        val = materials.data.counts["val"]
        decision = decide(plan.options.score, plan.study.score, val, resumed=past is not None)
        plan = replace(plan, score=decision.score, score_line=decision.line)
        described = description.describe(plan, materials)
        changed = changes(past.description, described) if past else []
        if changed and not plan.options.accept_changes:
            lines = [f"--resume {plan.name!r}: {line}." for line in changed]
            raise Refused(
                *lines,
                "The sweep is no longer what it was: pass --accept-changes to go on all the same.",
            )
        if (
            plan.options.address == "local"
        ):  # before MLflow makes its tables, so that the workers' imports run beside that
            cpus = plan.slots.count * plan.slots.cpus
            preload = "trainables.preload" if cpus <= PRELOADED_AT_MOST else ""
            _enter(stack, plan, cpus=cpus, gpus=plan.slots.whole_gpus, preload=preload)
        uri = uri or _prepare_store(plan)
        for line in (
            *said_of_data(materials.data, every_class=plan.options.verbose),
            plan.score_line,
        ):
            say(line)
        say(_headline(plan, materials))
        for line in changed:
            say(f"Changed since it began: {line}.")
        interrupt = stack.enter_context(Interrupt())
        if past:
            described = description.resumed(past.description, described, changed)
        else:
            _check_name(plan, uri)  # others may have taken it meanwhile
            _make_folder(plan)
            _lock(stack, plan)
            description.write(plan, described)
        return _run(plan, materials, uri, interrupt, console, past, changed, described, asked)


def _run(
    plan: Plan,
    materials: Materials,
    uri: str,
    interrupt: Interrupt,
    console: Console,
    past: Past | None,
    changed: list[str],
    described: Mapping[str, Any],
    asked: set[str],
) -> int:
    results = Results(
        {arm.name: plan.trials_per_arm if arm.tuned else 0 for arm in plan.arms}, plan.score
    )
    searched = past.of("trial") if past else ()
    replay(results, searched)
    journal = Journal(plan.folder / JOURNAL)
    tracker = tracking.Tracker(uri, plan.storage, journal)
    tracker.start_sweep(
        study=plan.study.name,
        sweep_name=plan.name,
        tags={
            "sweep.preset": plan.preset_name,
            "sweep.device": plan.slots.device,
            "sweep.command": description.command(),
        }
        | {"sweep.score": plan.score},
        params={
            "arms": ", ".join(results.arms),
            "trials_per_arm": plan.trials_per_arm,
            "seed": plan.options.seed,
        }
        | {"data": plan.data, "weights": plan.weights, "slots": plan.slots.describe()},
        dataset=tracking.TrackedData(
            name=materials.data.name,
            digest=materials.data.digest,
            source=materials.data.source,
            num_images={
                split: sum(counts.values()) for split, counts in materials.data.counts.items()
            },
        ),
        description=plan.study.question,
    )
    for trial in searched:
        if (
            trial.outcome is not None and not trial.told
        ):  # the earlier run ended between its last epoch and its end
            record = results[trial.trial_id]
            tracker.trial_ended(
                trial.trial_id,
                trial.outcome.value,
                score=record.score,
                best_epoch=record.best_epoch,
            )
    if past:
        tracker.sweep_resumed(changed, plan.trials_per_arm)
        description.write(
            plan, described
        )  # after the event: a sweep that asks for more is not finished
    deadline = time.monotonic() + (plan.options.time_limit or float("inf"))
    joined = plan.options.address != "local"
    room = Room(
        plan.slots,
        plan.options.gpus,
        nodes if joined else None,
        asked,
        partial(_fit, plan, materials.compute, interrupt),
        partial(console.print, markup=False, highlight=False),
    )
    run = Run(
        room=room,
        plan=plan,
        materials=materials,
        tracker=tracker,
        interrupt=interrupt,
        console=console,
        past=past,
        deadline=deadline,
    )
    try:
        ended, finals = search(run, results), Results({})
        if ended is Outcome.COMPLETED:
            ended, finals = finalists(run, results)
        if ended is Outcome.COMPLETED and interrupt.requested:  # after the last one
            ended = Outcome.INTERRUPTED
        return finish(run, results, finals, ended)
    except OSError as error:
        say = partial(
            console.print, markup=False, highlight=False, soft_wrap=True
        )  # commands are to be copied
        say(
            f"The sweep stopped: {error.strerror or error}. It stays as it is in {plan.folder}; to go on:"
        )
        say(f"  {description.resume_command(plan)}")
        tracker.close(timeout=2)
        return NOTHING_COMPLETED
    except BaseException:  # a second Ctrl-C: what MLflow has not been told yet stays in the journal
        tracker.close(timeout=2)
        raise


def _make_folder(plan: Plan) -> None:
    try:
        plan.folder.mkdir(parents=True)
    except FileExistsError as error:
        raise Refused(
            f"--name must be new, but {plan.folder} exists: choose another name."
        ) from error


def _lock(stack: ExitStack, plan: Plan) -> None:
    """One driver for a sweep. The lock is the process's: a dead one does not hold it."""
    try:
        stack.enter_context(FileLock(plan.folder / LOCK, timeout=0))
    except Timeout as error:
        raise Refused(
            f"{plan.name} is being run by another process: wait for it, or stop it first."
        ) from error


def _joined(plan: Plan, stack: ExitStack) -> Plan:
    slots = slots_on(plan, _enter(stack, plan, cpus=0, gpus=0))
    hoped = slots.device == "cpu" and plan.options.gpus is None
    note = ("No GPU found in the cluster: training on its CPUs.",) if hoped else ()
    return replace(plan, slots=slots, notes=(*note, *plan.notes))


def _check_shared(plan: Plan) -> None:
    try:
        plan.storage.mkdir(parents=True, exist_ok=True)
        blind = blind_nodes(plan.storage)
    except OSError as error:  # TimeoutError too
        raise Refused(f"--storage must be a folder that every node sees, but {error}.") from error
    if blind:
        seen = f"{', '.join(blind)} {'does' if len(blind) == 1 else 'do'} not see {plan.storage}"
        raise Refused(
            f"--storage must be a folder that all nodes share, but {seen}: mount it there, or pass one that is."
        )


def _common_compute(plan: Plan) -> Compute | None:
    """What all GPU nodes can compute in, since trials of one sweep must compute alike; None where trials train on CPUs."""
    if plan.slots.device == "cpu":
        return None
    try:
        found = of_gpu_nodes(gpu_precision)
    except TimeoutError as error:
        raise Refused(
            f"--address must be a cluster whose nodes answer, but {error}: `ray status` there says why."
        ) from error
    return Compute(precision="bf16" if set(found) == {"bf16"} else "fp32")


def _fit(plan: Plan, compute: Compute, interrupt: Interrupt, added: set[str]) -> bool:
    """Ask nodes that came later what the others were asked; one that would lose or change a trial's numbers ends the sweep."""
    try:
        blind = blind_nodes(plan.storage, added)
        bf16 = plan.slots.device == "cuda" and compute.precision == "bf16"
        lesser = bf16 and "fp32" in of_gpu_nodes(gpu_precision, added)
    except OSError:  # TimeoutError too: they are asked again
        return False
    if blind:
        interrupt.stop(
            f"{', '.join(blind)} joined the cluster, but does not see {plan.storage}: mount it there, or take it out"
        )
    elif lesser:
        interrupt.stop(
            "a node joined whose GPU has no bf16, in which this sweep computes: take it out"
        )
    return True


def _enter(stack: ExitStack, plan: Plan, **resources: Any) -> Nodes:
    try:
        return stack.enter_context(session(plan.options.address, **resources))
    except SessionError as error:
        raise Refused(str(error)) from error


def _prepare_store(plan: Plan) -> str:
    plan.storage.mkdir(parents=True, exist_ok=True)
    try:
        uri = tracking.prepare_store(plan.options.tracking_uri, plan.storage)
    except tracking.TrackingError as error:
        raise Refused(str(error)) from error
    _check_name(plan, uri)
    return uri


def _check_name(plan: Plan, uri: str) -> None:
    try:
        if (
            plan.options.name
            and not plan.options.resume
            and sweep_exists(uri, plan.study.name, plan.name)
        ):
            raise Refused(
                f"--name must be new, but MLflow has a sweep {plan.name!r}: choose another name."
            )
    except tracking.TrackingError as error:
        raise Refused(str(error)) from error


def _headline(plan: Plan, materials: Materials) -> str:
    images = {split: sum(counts.values()) for split, counts in materials.data.counts.items()}
    counted = ", ".join(f"{number} {split}" for split, number in images.items())
    tuned = sum(bool(arm.tuned) for arm in plan.arms)
    arms = "1 arm" if len(plan.arms) == 1 else f"{len(plan.arms)} arms"
    trials = f"{arms} x {plan.trials_per_arm} trials" if tuned else arms
    trials += (
        f" ({tuned} of them; the others have nothing to tune)" if 0 < tuned < len(plan.arms) else ""
    )
    return (
        f"{plan.study.question}\n"
        f"{trials}, {plan.epochs} epochs each, on {plan.slots.describe()}. "
        f"{materials.data.name}: {len(materials.data.classes)} classes, {counted} images.\n"
        f"{_finals(plan)}"
        f"Sweep {plan.name}"
    )


def _finals(plan: Plan) -> str:
    if not (seeds := len(plan.finalist_seeds)):
        return ""
    which = (
        "the best and the default recipe" if any(arm.tuned for arm in plan.arms) else "the recipe"
    )
    return f"Then {which} of each arm again over {seeds} new seed{'s' if seeds > 1 else ''}; only these see the test images.\n"
