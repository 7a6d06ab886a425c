"""The end of a sweep, however it came: champion, report, MLflow's run of the sweep, exit status."""

from __future__ import annotations

import math
import re
import shutil
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from cluster.refused import BROKEN_OFF, DONE, FAILED, INTERRUPTED
from sweeps.records.champion import Cost
from sweeps.records.events import SweepFinished
from sweeps.records.folder import CHAMPION, MANIFEST
from sweeps.records.results import Outcome, Results, TrialRecord, best
from sweeps.runner import shown
from sweeps.runner.champion import Shipped, keep, register, registered_name
from sweeps.runner.description import resume_command
from sweeps.runner.driver import Run, gone, is_gone
from sweeps.runner.finalists.contenders import Retrained, champion, retrained
from sweeps.runner.keeping import settle
from sweeps.runner.notify import Ending
from sweeps.runner.retraining import ensure_weights
from sweeps.tracking.store import one_line
from trainables.backbones import count_parameters
from trainables.metrics import TEST_SCORES

if TYPE_CHECKING:
    from sweeps.report.page import Report

# How long MLflow may take at the end of a sweep, and where it is to stop; the rest waits in the
# journal.
CLOSED_WITHIN_S = 60.0
STOPPED_WITHIN_S = 5.0


def finish(run: Run, searched: Results, finals: Results, ended: Outcome) -> Ending:
    """Keep the champion, build the report, tell MLflow and show the results.

    Args:
        run: The sweep; its tracker is closed here.
        searched: Results of the search.
        finals: Results of the finalists.
        ended: `completed` where all of it ran, `interrupted` by the user, or `failed` by Ray.

    Returns:
        The exit status, and what came of it.
    """
    plan = run.plan
    tracker = run.tracker
    run.progress.finishes()
    if is_gone(plan):
        # Where Tune was stopped for that, it was said.
        if not run.interrupt.reason:
            run.say(f"The sweep stopped: {gone(plan)}.")
        tracker.close(timeout=STOPPED_WITHIN_S)
        return Ending(status=FAILED, said=f"{gone(plan)}.")
    shipped = None
    if ended is Outcome.COMPLETED:
        shipped = _shipped(run, searched, finals)
    if shipped:
        ensure_weights(run, shipped.record)
    # Ctrl-C came while they were trained again.
    if shipped and run.interrupt.requested:
        shipped = None
        ended = Outcome.INTERRUPTED

    # Files: the champion's, and the report's. Who interrupts a sweep does not wait for a report.
    artifacts = {MANIFEST: plan.folder / MANIFEST}
    if shipped:
        artifacts |= keep(run, shipped.record)
    elif ended is Outcome.COMPLETED and retrained(finals):
        # The bounds leave nothing, also of what an earlier run of the sweep kept.
        shutil.rmtree(plan.folder / CHAMPION, ignore_errors=True)
    report = None
    if ended is not Outcome.INTERRUPTED:
        report = _report(run, ended)
    if report:
        artifacts["report.html"] = report.page
        artifacts["results.csv"] = report.results
        artifacts["comparisons.csv"] = report.comparisons
        artifacts["suspects.csv"] = report.suspects
        with run.doing("Drawing pictures for MLflow"):
            artifacts |= shown.pictures(plan, report.findings, run.say)

    # MLflow: the champion comes before the end.
    registered = register(run, shipped) if shipped else None
    run.tell(_finished(run, searched, finals, shipped, artifacts, ended, report))

    # The terminal, while MLflow takes in all that.
    if report:
        from sweeps.report.terminal import show

        run.progress.console.print()
        show(run.progress.console, report.findings)
    if registered:
        with run.doing("Registering the model"):
            line = registered()
        run.say(line)
    # Where MLflow is down, `registered` has waited already.
    patience = STOPPED_WITHIN_S
    if ended is Outcome.COMPLETED and not tracker.problem():
        patience = CLOSED_WITHIN_S
    with run.doing("Waiting for MLflow to take the rest"):
        problem = tracker.close(timeout=patience)
    if problem:
        run.say(problem)
    status = _last_lines(run, searched, finals, ended, shipped)
    if status == DONE:
        run.say(settle(plan, whole=shipped is not None and shipped.whole))
    if status == DONE and report:
        run.say(f"Report: {report.page}")
    elif status == DONE:
        run.say(f"Results: {plan.folder}")
    said = _verdict(report) if report and status == DONE else ""
    return Ending(
        status=status,
        said=said or f"{_ended(searched, finals)} ended.",
        report=report.page if report else None,
    )


def _verdict(report: Report) -> str:
    """Return the first sentence of what a sweep comes to."""
    # It loaded pandas for the report.
    from sweeps.report.headline import headline

    return re.split(r"(?<=[.!?])\s", headline(report.findings)[0])[0]


def broken_off(searched: Results) -> int:
    """Return the exit status of a sweep that could not go on."""
    if best(searched.records()):
        return BROKEN_OFF
    return FAILED


def _shipped(run: Run, searched: Results, finals: Results) -> Shipped | None:
    """Return what the sweep ships: the champion's best seed, or the best trial of the search."""
    complete = not searched.left and not finals.left
    choice = champion(finals, run.plan.options.bounds)
    if choice:
        top = choice.champion
        return Shipped(record=top.seeds[0], seeds=top.seeds, whole=complete)
    # All are too large or too slow: none is shipped.
    if retrained(finals):
        return None
    record = best(_small_enough(run, searched.records()))
    if record is None:
        return None
    # Where finalists were asked for, the test is missing.
    return Shipped(record=record, seeds=(), whole=complete and not run.plan.finalist_seeds)


def _small_enough(run: Run, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials whose network is within the bound on size; none of them was timed."""
    bounds = run.plan.options.bounds
    if bounds.mb is None:
        return list(trials)
    classes = len(run.materials.data.classes)
    kept = []
    for trial in trials:
        parameters = count_parameters(trial.recipe, classes)
        if bounds.hold(Cost(float(parameters), math.nan)):
            kept.append(trial)
    return kept


def _finished(
    run: Run,
    searched: Results,
    finals: Results,
    shipped: Shipped | None,
    artifacts: dict[str, Path],
    ended: Outcome,
    report: Report | None,
) -> SweepFinished:
    """Return the event of the sweep's end."""
    outcome = ended
    # Where the bounds leave no champion, the sweep is as whole as any.
    too_dear = shipped is None and bool(retrained(finals))
    if shipped is None and not too_dear and ended is Outcome.COMPLETED:
        outcome = Outcome.FAILED
    whole = shipped is not None and shipped.whole
    if too_dear:
        whole = not searched.left and not finals.left
    tags = {"sweep.partial": str(not whole).lower()}
    if shipped:
        tags["sweep.champion"] = shipped.record.trial_id
    metrics = _metrics(searched, shipped)
    if report:
        # They loaded pandas and SciPy for the report.
        from sweeps.report.told import metrics_of, tags_of

        metrics |= metrics_of(report.findings)
        tags |= tags_of(report.findings)
        tags |= shown.note(run.plan, report.findings, _model(run, shipped), run.say)
    return SweepFinished(
        outcome=outcome,
        artifacts={name: str(path.absolute()) for name, path in artifacts.items()},
        metrics=metrics,
        tags=tags,
    )


def _model(run: Run, shipped: Shipped | None) -> str:
    """Return the URI by which the model that is shipped can be called; empty where none is.

    The alias comes to whole sweeps alone; until MLflow has the others, their number is not known.
    """
    if shipped is None:
        return ""
    plan = run.plan
    name = registered_name(plan.study.name, run.materials.data.name, plan.preset_name)
    return f"models:/{name}@champion" if shipped.whole else f"models:/{name}/latest"


def _last_lines(
    run: Run, searched: Results, finals: Results, ended: Outcome, shipped: Shipped | None
) -> int:
    """Say how the sweep ended and how to continue it; return the exit status."""
    plan = run.plan
    resume = f"  {resume_command(plan)}"
    done = _ended(searched, finals)

    # It did not come to its end.
    if ended is Outcome.INTERRUPTED:
        run.say(f"Interrupted: {done} ended; `dvt report {plan.name}` shows them. To continue:")
        run.say(resume)
        return INTERRUPTED
    if ended is Outcome.FAILED:
        run.say(f"The sweep broke off after {done}. To continue:\n{resume}")
        return broken_off(searched)
    known = retrained(finals)
    partial = bool(searched.left or finals.left)
    if shipped:
        partial = not shipped.whole
    elif known:
        run.say(_too_dear(known))
    else:
        run.say(f"No trial completed: {plan.folder}")
        return FAILED

    # It did, though perhaps not with all trials.
    untested = bool(plan.finalist_seeds) and shipped is not None and not shipped.seeds
    if untested and finals.total and not finals.left:
        run.say("No finalist completed: the best trial of the search is shipped, untested.")
    elif partial:
        why = "The time limit was reached: " if time.monotonic() > run.deadline else ""
        run.say(f"{why}{done} ran. To run the others:\n{resume}")
    return DONE


def _too_dear(recipes: Sequence[Retrained]) -> str:
    """Return why no finalist is the champion, with the bound that would leave one."""
    fastest = min(recipe.cost.ms for recipe in recipes)
    smallest = min(recipe.cost.megabytes for recipe in recipes)
    return (
        "No finalist is within --max-ms and --max-mb, so none is the champion: the fastest takes "
        f"{fastest:.2f} ms per image, the smallest has {smallest:.1f} MB."
    )


def _ended(searched: Results, finals: Results) -> str:
    """Return how many trials and finalists have ended, in words."""
    return " and ".join(filter(None, (_done(searched, "trials"), _done(finals, "finalists"))))


def _done(results: Results, what: str) -> str:
    """Return how many trials have ended, in words; empty where none were planned."""
    if not results.total:
        return ""
    return f"{results.total - results.left} of {results.total} {what}"


def _report(run: Run, ended: Outcome) -> Report | None:
    """Build the report.

    An OSError stops the sweep cleanly. Whatever else goes wrong, MLflow is told of the results.
    """
    try:
        with run.doing("Building the report"):
            # It imports pandas and SciPy, which take seconds.
            from sweeps.report.page import write

            return write(run.plan.folder, ended.value)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001
        if run.plan.options.verbose:
            traceback.print_exc()
        reason = f"{type(error).__name__}: {one_line(error)}"
        again = f"`dvt report {run.plan.name}` tries again"
        run.say(f"The report could not be built ({reason}); {again}.")
        return None


def _metrics(searched: Results, shipped: Shipped | None) -> dict[str, float]:
    """Return the metrics of the sweep's run: the best of each arm, and the champion's means."""
    metrics = {}
    for name in searched.arms:
        top = best(searched.records(name))
        if top:
            metrics[f"best/{name}"] = top.score or 0.0

    # One trial has a score, seeds have means.
    if shipped and not shipped.seeds:
        metrics["score"] = shipped.record.score or 0.0
    if shipped and shipped.seeds:
        metrics["score"] = fmean(record.score or 0.0 for record in shipped.seeds)
        metrics |= _tested(shipped.seeds)
    return metrics


def _tested(seeds: Sequence[TrialRecord]) -> dict[str, float]:
    """Return the means of the scores on test; seeds of earlier versions have one metric alone."""
    tested = {}
    for name in TEST_SCORES.values():
        values = [record.test[name] for record in seeds if name in record.test]
        if len(values) == len(seeds):
            tested[name] = fmean(values)
    return tested
