"""The driver of a sweep while Ray is up: what its parts share, opened and closed in one place."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from cluster.probes import blind_nodes, of_gpu_nodes
from cluster.session import nodes
from sweeps.records.events import DataRecord, Event, SweepResumed, SweepStarted
from sweeps.records.folder import JOURNAL
from sweeps.records.history import Trial
from sweeps.records.journal import Journal
from sweeps.records.manifest import command, definition, write_manifest
from sweeps.records.variation import shared_fields
from sweeps.runner.capacity import Capacity
from sweeps.runner.finalists.draws import Draws
from sweeps.runner.interrupt import Interrupt
from sweeps.runner.plan import Materials, Plan
from sweeps.runner.progress import Progress
from sweeps.runner.resume import Past
from sweeps.runner.shown import set_views
from sweeps.tracking.machine import MachineMetrics
from sweeps.tracking.tracker import Tracker
from trainables.compute import gpu_precision

# How long MLflow may take where the driver breaks off; the rest waits in the journal.
STOPPED_WITHIN_S = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """A sweep that was checked and has all it needs.

    Attributes:
        plan: What to run.
        materials: Data and weights.
        manifest: The content of `sweep.json`.
        store: URI of MLflow's store.
        past: What an earlier run left; None for a new sweep.
        changed: One line per thing that is no longer as it was; that was accepted.
        nodes: Nodes of a cluster on which trials may run; empty on this machine alone.
    """

    plan: Plan
    materials: Materials
    manifest: Mapping[str, Any]
    store: str
    past: Past | None
    changed: Sequence[str]
    nodes: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A running sweep, as its parts share it."""

    plan: Plan
    materials: Materials
    draws: Draws
    tracker: Tracker
    interrupt: Interrupt
    progress: Progress
    capacity: Capacity
    past: Past | None
    # By the monotonic clock; no trial starts after it.
    deadline: float

    def over(self) -> bool:
        """Return whether no more trials are to start."""
        return self.interrupt.requested or time.monotonic() > self.deadline

    def earlier(self, role: str) -> tuple[Trial, ...]:
        """Return what an earlier run of the sweep left of the search, or of the finalists."""
        if self.past is None:
            return ()
        return self.past.history.of(role)

    def say(self, line: str) -> None:
        """Show a line; commands in it are to be copied, and stay whole."""
        self.progress.say(line)

    def doing(self, what: str) -> AbstractContextManager[None]:
        """Show what is done while no trial runs, for the time of a `with` block."""
        return self.progress.doing(what)

    def look(self) -> None:
        """Stop cleanly where the sweep's record is gone."""
        if is_gone(self.plan):
            self.interrupt.stop(gone(self.plan))

    def tell(self, event: Event) -> None:
        """Write an event down; a sweep whose record cannot be written stops cleanly."""
        try:
            self.tracker.tell(event)
        except OSError as error:
            reason = f"the sweep's record cannot be written: {error.strerror or error}"
            self.interrupt.stop(gone(self.plan) if is_gone(self.plan) else reason)


def is_gone(plan: Plan) -> bool:
    """Return whether a sweep's record was removed, or moved, while it ran."""
    return not (plan.folder / JOURNAL).is_file()


def gone(plan: Plan) -> str:
    """Return why a sweep stops whose record is gone."""
    return f"{plan.folder} was removed or moved while it ran; run it again"


@contextmanager
def driver(ready: Ready, progress: Progress, interrupt: Interrupt) -> Iterator[Run]:
    """Open a sweep's journal and what follows it, and enter its start; close them at the end.

    Raises:
        OSError: The journal cannot be written.
    """
    plan = ready.plan
    journal = Journal(plan.folder / JOURNAL)
    tracker = Tracker(ready.store, plan.storage, journal)
    machine = MachineMetrics(ready.store, tracker.sweep_run_id)
    try:
        # The record: its start, and where it goes on, its changes.
        tracker.tell(_started(ready))
        if ready.past:
            tracker.tell(SweepResumed(changes=ready.changed, trials_per_arm=plan.trials_per_arm))
            # After the event: a sweep that asks for more is not finished.
            write_manifest(plan.folder, ready.manifest)
        with progress.doing("Saving views in MLflow"):
            set_views(plan, ready.manifest, ready.store, progress.say)
        # The nodes of this machine alone stay as they are.
        local = plan.options.address == "local"
        capacity = Capacity(
            plan.slots,
            plan.options.gpus,
            None if local else nodes,
            ready.nodes,
            partial(_fit, plan, ready.materials.compute.precision, interrupt),
            progress.say,
        )
        deadline = time.monotonic() + (plan.options.time_limit or float("inf"))
        progress.runs_on(lambda: capacity.count, deadline, tracker.problem)
        yield Run(
            plan=plan,
            materials=ready.materials,
            draws=Draws(plan, ready.materials, ready.past.history.draws if ready.past else {}),
            tracker=tracker,
            interrupt=interrupt,
            progress=progress,
            capacity=capacity,
            past=ready.past,
            deadline=deadline,
        )
    finally:
        # `finish` has closed it already, and waited. After a second Ctrl-C, or where the disk
        # fails, what MLflow has not been told yet stays in the journal.
        machine.close()
        tracker.close(timeout=STOPPED_WITHIN_S)
        journal.close()


def _started(ready: Ready) -> SweepStarted:
    """Return the event of a sweep's start, which MLflow's run of the sweep is made from."""
    plan = ready.plan
    data = ready.materials.data
    images = {split: sum(counts.values()) for split, counts in data.counts.items()}
    shared = shared_fields(definition(plan.arms))
    dataset = DataRecord(name=data.name, digest=data.digest, source=data.source, num_images=images)
    return SweepStarted(
        study=plan.study.name,
        sweep_name=plan.name,
        tags={
            "sweep.preset": plan.preset_name,
            "sweep.device": plan.slots.device,
            "sweep.command": command(),
            "sweep.score": plan.score,
        },
        params={
            **shared,
            "arms": ", ".join(arm.name for arm in plan.arms),
            "trials_per_arm": plan.trials_per_arm,
            "seed": plan.options.seed,
            "data": plan.data,
            "weights": plan.weights,
            "slots": plan.slots.describe(),
        },
        dataset=dataset,
        description=plan.study.question,
        shared=shared,
    )


def _fit(plan: Plan, precision: str, interrupt: Interrupt, added: set[str]) -> bool:
    """Ask nodes that joined later what the others were asked.

    A node that would lose or change a trial's numbers ends the sweep.

    Returns:
        Whether they have answered; else they are asked again.
    """
    try:
        blind = blind_nodes(plan.storage, added)
        bf16 = plan.slots.device == "cuda" and precision == "bf16"
        lesser = bf16 and "fp32" in of_gpu_nodes(gpu_precision, added)
    # No answer in time is an OSError too.
    except OSError:
        return False
    if blind:
        interrupt.stop(
            f"{', '.join(blind)} joined the cluster, but does not see {plan.storage}: "
            "mount it there, or take it out"
        )
    elif lesser:
        interrupt.stop(
            "a node joined whose GPU has no bf16, in which this sweep computes: take it out"
        )
    return True
