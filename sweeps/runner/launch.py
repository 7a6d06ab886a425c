"""One sweep from its plan to its end: check, gather, run the search and the finalists, finish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from socket import gaierror
from typing import Any
from urllib.error import URLError

from cluster.probes import blind_nodes, of_gpu_nodes
from cluster.refused import FAILED, INTERRUPTED, Refused
from cluster.resources import SWEEP_BYTES, TRIAL_BYTES
from cluster.session import Nodes, SessionError, nodes, session
from sweeps.records import manifest
from sweeps.records.champion import RULE
from sweeps.records.results import Outcome, Results
from sweeps.records.score import decide
from sweeps.runner.champion import registered_name
from sweeps.runner.description import describe, resume_command
from sweeps.runner.driver import Ready, driver, gone, is_gone
from sweeps.runner.ending import broken_off, finish
from sweeps.runner.finalists.ahead import before_search, new_seeds, retrained
from sweeps.runner.finalists.rounds import finalists
from sweeps.runner.interrupt import Interrupt
from sweeps.runner.notify import Ending, send
from sweeps.runner.plan import Materials, Plan, gather, slots_on
from sweeps.runner.progress import Progress
from sweeps.runner.resume import Past, held
from sweeps.runner.search import enter_past, search
from sweeps.runner.study import compares
from sweeps.tracking.experiment import sweep_exists
from sweeps.tracking.store import TrackingError, prepare_store
from trainables.compute import Compute, gpu_precision
from trainables.data.understood import said_of_data
from trainables.memory import available_memory, give_memory_back
from trainables.problems import counted, reason

# Workers that import torch ahead of time. Ray starts one per CPU, and each takes 0.4 GB, which must
# be there beside what trials take.
PRELOADED_AT_MOST = 8


def launch(plan: Plan, progress: Progress, past: Past | None = None) -> int:
    """Run a plan.

    Args:
        plan: What to run.
        progress: Shows it.
        past: What an earlier run of the sweep left; the caller holds that sweep's lock.

    Returns:
        The exit status.

    Raises:
        Refused: Data, weights, MLflow or Ray cannot be had, or the sweep is no longer what it was;
            nothing was run.
    """
    progress.plans(plan.name, before_search(plan))
    with ExitStack() as stack:
        ready = _prepare(plan, progress, past, stack)
        # From here on, Ctrl-C stops the sweep cleanly.
        interrupt = stack.enter_context(Interrupt(progress.announce))
        if past is None:
            _claim(ready, stack)

        # An arm with nothing to tune has finalists alone.
        planned = {}
        for arm in plan.arms:
            planned[arm.name] = ready.plan.trials_per_arm if arm.tuned else 0
        searched = Results(planned, ready.plan.score)
        # Whatever the end, who asked for it is told once.
        ending = Ending(status=FAILED)
        try:
            ending = _run(ready, progress, interrupt, searched)
        except OSError as error:
            ending = _broken_off(ready.plan, progress, searched, error)
        except KeyboardInterrupt:
            ending = Ending(status=INTERRUPTED)
            raise
        finally:
            _tell(ready.plan, progress, ending)
        return ending.status


def _tell(plan: Plan, progress: Progress, ending: Ending) -> None:
    """Send the message that `--notify` asks for; where that fails, a line says so."""
    if plan.options.notify is None:
        return
    with progress.doing("Sending the message of --notify"):
        problem = send(plan.options.notify, plan.name, ending)
    if problem:
        progress.say(problem)


def _broken_off(plan: Plan, progress: Progress, searched: Results, error: OSError) -> Ending:
    """Say why a sweep could not go on."""
    if plan.options.verbose:
        progress.console.print_exception()
    if is_gone(plan):
        progress.say(f"The sweep stopped: {gone(plan)}.")
        return Ending(status=FAILED, said=f"{gone(plan)}.")
    reason = _reason(error)
    progress.say(f"The sweep stopped: {reason}. It stays as it is in {plan.folder}.")
    progress.say(f"To continue:\n  {resume_command(plan)}")
    return Ending(status=broken_off(searched), said=f"{reason}.")


def _run(ready: Ready, progress: Progress, interrupt: Interrupt, searched: Results) -> Ending:
    """Search, train the finalists, and finish."""
    with driver(ready, progress, interrupt) as run:
        enter_past(run, searched)
        finals = Results({})

        def last_resort() -> int:
            ending = finish(run, searched, finals, Outcome.INTERRUPTED)
            _tell(run.plan, progress, ending)
            progress.close()
            return ending.status

        interrupt.last_resort = last_resort
        ended = search(run, searched)
        if ended is Outcome.COMPLETED:
            ended, finals = finalists(run, searched)
        # Ctrl-C came after the last one.
        if ended is Outcome.COMPLETED and interrupt.requested:
            ended = Outcome.INTERRUPTED
        return finish(run, searched, finals, ended)


def _prepare(plan: Plan, progress: Progress, past: Past | None, stack: ExitStack) -> Ready:
    """Check and gather all that a sweep needs, cheap before expensive, and start or join Ray.

    Raises:
        Refused: Something cannot be had.
    """

    # The cluster first: it says which slots there are, and what all nodes can compute in.
    local = plan.options.address == "local"
    compute = None
    if past:
        compute = Compute.from_dict(past.manifest["compute"])
    asked: frozenset[str] = frozenset()
    if not local:
        with progress.doing("Joining the cluster"):
            plan = _joined(plan, stack)
            asked = frozenset(nodes())
            _check_shared(plan)
            compute = compute or _common_compute(plan)
    for note in plan.notes:
        progress.say(note)

    # Data and weights, which may take minutes; a store that was named is asked before.
    uri = ""
    if plan.options.tracking_uri:
        uri = _prepare_store(plan, progress)
    materials = gather(plan, progress, compute, _weights_had(past))
    plan = _with_score(plan, materials, resumed=past is not None)

    # A sweep that is resumed must still be what it was.
    described = describe(plan, materials)
    changed: list[str] = []
    if past:
        changed = manifest.changes(past.manifest, described)
        _check_changes(plan, changed)
        described = manifest.resumed(past.manifest, described, changed)

    # What decoding and timing took is for the trials now.
    give_memory_back()

    # Ray comes before MLflow makes its tables, so that the workers' imports run beside that.
    if local:
        cpus = plan.slots.count * plan.slots.cpus
        held = SWEEP_BYTES + cpus * TRIAL_BYTES
        preloaded = cpus <= PRELOADED_AT_MOST and held <= available_memory()
        preload = "trainables.preload" if preloaded else ""
        with progress.doing("Starting Ray"):
            _enter(stack, plan, cpus=cpus, gpus=plan.slots.whole_gpus, preload=preload)
    uri = uri or _prepare_store(plan, progress)

    # Last of all, the lines that say what was understood.
    for line in _understood(plan, materials, changed):
        progress.say(line)
    return Ready(
        plan=plan,
        materials=materials,
        manifest=described,
        store=uri,
        past=past,
        changed=changed,
        nodes=asked,
    )


def _with_score(plan: Plan, materials: Materials, *, resumed: bool) -> Plan:
    """Return the plan with the score that decides, now that copies are known."""
    val = materials.data.counts["val"]
    decision = decide(plan.options.score, plan.study.score, val, resumed=resumed)
    return replace(plan, score=decision.score, score_line=decision.line)


def _understood(plan: Plan, materials: Materials, changed: Sequence[str]) -> Iterator[str]:
    """Yield what was understood of the data and the sweep, and what has changed."""
    yield from said_of_data(materials.data, every_class=plan.options.verbose)
    yield plan.score_line
    yield _headline(plan, materials)
    for line in changed:
        yield f"Changed since it began: {line}."


def _claim(ready: Ready, stack: ExitStack) -> None:
    """Make a new sweep's folder, hold it, and write down what the sweep is."""
    plan = ready.plan
    # Another sweep may have taken the name meanwhile.
    _check_name(plan, ready.store)
    try:
        plan.folder.mkdir(parents=True)
        stack.enter_context(held(plan.folder))
        manifest.write_manifest(plan.folder, ready.manifest)
    except FileExistsError as error:
        raise Refused(
            f"--name must be new, but {plan.folder} exists: choose another name."
        ) from error
    except OSError as error:
        raise Refused(
            f"--storage must be a folder that can be written to, but {plan.folder} cannot "
            f"({error.strerror}): make room, or choose another."
        ) from error


def _check_changes(plan: Plan, changed: list[str]) -> None:
    """Refuse a sweep that is no longer what it was, unless that is accepted."""
    if not changed or plan.options.accept_changes:
        return
    lines = [f"--resume {plan.name!r}: {line}." for line in changed]
    raise Refused(
        *lines,
        "The sweep is no longer what it was: pass --accept-changes to continue all the same.",
    )


def _weights_had(past: Past | None) -> list[tuple[str, str]]:
    """Return weights and backbones of the earlier trials; the study may not have them any more."""
    if past is None:
        return []
    recipes = [trial.recipe for trial in past.history.trials.values()]
    return [(recipe["weights"], recipe["backbone"]) for recipe in recipes]


def _joined(plan: Plan, stack: ExitStack) -> Plan:
    """Join the cluster, and return the plan with its slots."""
    slots = slots_on(plan, _enter(stack, plan, cpus=0, gpus=0))
    if slots.device == "cpu" and plan.options.gpus is None:
        note = "No GPU found in the cluster: training on its CPUs."
        return replace(plan, slots=slots, notes=(note, *plan.notes))
    return replace(plan, slots=slots)


def _check_shared(plan: Plan) -> None:
    """Refuse a storage that not every node sees."""
    try:
        plan.storage.mkdir(parents=True, exist_ok=True)
        blind = blind_nodes(plan.storage)
    # No answer in time is an OSError too.
    except OSError as error:
        raise Refused(f"--storage must be a folder that every node sees, but {error}.") from error
    if blind:
        verb = "does" if len(blind) == 1 else "do"
        raise Refused(
            "--storage must be a folder that all nodes share, but "
            f"{', '.join(blind)} {verb} not see {plan.storage}: "
            "mount it there, or pass one that is."
        )


def _common_compute(plan: Plan) -> Compute | None:
    """Return what all GPU nodes can compute in, since trials of one sweep must compute alike.

    Returns:
        None where trials train on CPUs.
    """
    if plan.slots.device == "cpu":
        return None
    try:
        precisions = of_gpu_nodes(gpu_precision)
    except TimeoutError as error:
        raise Refused(
            f"--address must be a cluster whose nodes answer, but {error}: "
            "`ray status` there says why."
        ) from error
    if set(precisions) == {"bf16"}:
        return Compute(precision="bf16")
    return Compute(precision="fp32")


def _enter(stack: ExitStack, plan: Plan, **resources: Any) -> Nodes:
    """Start or join Ray until the stack is closed."""
    try:
        return stack.enter_context(session(plan.options.address, **resources))
    except SessionError as error:
        raise Refused(str(error)) from error


def _prepare_store(plan: Plan, progress: Progress) -> str:
    """Open MLflow's store, try all that the sweep will ask of it, and return its URI."""
    study = plan.study
    plan.storage.mkdir(parents=True, exist_ok=True)
    try:
        with progress.doing("Preparing MLflow"):
            # Here, since MLflow takes two seconds to import.
            from sweeps.tracking.rehearsal import rehearse

            uri = prepare_store(plan.options.tracking_uri, plan.storage, progress.say)
            _check_name(plan, uri)
            model = registered_name(study.name, plan.summary.name, plan.preset_name)
            notes = rehearse(uri, plan.storage, study.name, model, study.question)
    except TrackingError as error:
        raise Refused(str(error)) from error
    for note in notes:
        progress.say(note)
    return uri


def _check_name(plan: Plan, uri: str) -> None:
    """Refuse a name of a new sweep that MLflow knows already."""
    if not plan.options.name or plan.options.resume:
        return
    try:
        taken = sweep_exists(uri, plan.study.name, plan.name)
    except TrackingError as error:
        raise Refused(str(error)) from error
    if taken:
        raise Refused(
            f"--name must be new, but MLflow has a sweep {plan.name!r}: choose another name."
        )


def _reason(error: OSError) -> str:
    """Return what failed, in words: a connection, a file, or the disk."""
    if isinstance(error, ConnectionError | TimeoutError | URLError | gaierror):
        return f"a connection failed ({reason(error)})"
    why = error.strerror or reason(error)
    if error.filename:
        return f"{error.filename}: {why}"
    return why


def _headline(plan: Plan, materials: Materials) -> str:
    """Return what the sweep is, in three or four lines."""
    # Images by split, and trials by arm.
    data = materials.data
    images = [f"{sum(counts.values())} {split}" for split, counts in data.counts.items()]
    tuned = sum(bool(arm.tuned) for arm in plan.arms)
    trials = counted(len(plan.arms), "arm")
    if tuned:
        trials += f" x {counted(plan.trials_per_arm, 'trial')}"
    if 0 < tuned < len(plan.arms):
        trials += f" ({tuned} of them; the others have nothing to tune)"
    return (
        f"{plan.study.question}\n"
        f"{trials}, {counted(plan.epochs, 'epoch')} each, on {plan.slots.describe()}. "
        f"{data.name}: {counted(len(data.classes), 'class')}, {', '.join(images)} images.\n"
        f"{_finals(plan)}"
        f"Sweep {plan.name}"
    )


def _finals(plan: Plan) -> str:
    """Return the line on finalists; empty where there are none."""
    if not plan.finalist_seeds:
        return ""
    tuned = any(arm.tuned for arm in plan.arms)
    which = f"{retrained(plan)} {'are' if tuned else 'is'}"
    images = "" if plan.options.draws == "fixed" else ", each on train and val images of its own"
    until = ""
    if compares(plan.study.contrasts, plan.arms) and not plan.options.exact:
        until = (
            f", until each comparison is decided to {plan.study.worth:g} "
            f"{_points(plan.study.worth)}"
        )
    return (
        f"Then {which} retrained with {new_seeds(plan)}{images}{until}; only those "
        f"runs see the test images.\n{RULE}.\n"
    )


def _points(worth: float) -> str:
    return "point" if worth == 1 else "points"
