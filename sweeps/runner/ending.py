"""The end of a sweep, however it came: tables, champion, report, what MLflow keeps of the sweep as a whole, the exit status."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeps.report.page import Report

from sweeps.records.results import Outcome, Results, TrialRecord, best
from sweeps.runner import champion as winner
from sweeps.runner.description import resume_command
from sweeps.runner.finalists import champion, mean_score
from sweeps.runner.trials import Run
from sweeps.tracking.store import one_line
from trainables.metrics import TEST_SCORES

DONE, NOTHING_COMPLETED, INTERRUPTED = 0, 1, 130
STOPPED_WITHIN_S = (
    5.0  # that MLflow may take where a sweep is to stop; the rest waits in the journal
)


def finish(run: Run, results: Results, finals: Results, ended: Outcome) -> int:
    """Tables, champion, artifacts; the exit status.

    Args:
        run: The sweep; its tracker is closed here.
        results: What came of the search.
        finals: What came of the finalists.
        ended: `completed` where all came to its end, `interrupted` by the user, or `failed` by Ray.
    """
    plan, tracker = run.plan, run.tracker
    say = partial(run.console.print, markup=False, highlight=False, soft_wrap=True)
    seeds = champion(finals)
    top = seeds[0] if seeds else best(results.records())
    shipped = top if ended is Outcome.COMPLETED else None
    whole = (
        bool(shipped)
        and bool(seeds or not plan.finalist_seeds)
        and not results.left
        and not finals.left
    )
    artifacts = {"sweep.json": plan.folder / "sweep.json"}
    if shipped:
        artifacts |= winner.keep(plan, run.materials, shipped)
    report = None if ended is Outcome.INTERRUPTED else _report(run, ended, say)
    if report:
        artifacts |= {
            "report.html": report.page,
            "results.csv": report.results,
            "suspects.csv": report.suspects,
        }
    registered = (
        winner.register(plan, run.materials, tracker, shipped, seeds, move_alias=whole)
        if shipped
        else None
    )
    outcome = Outcome.FAILED if top is None and ended is Outcome.COMPLETED else ended
    tracker.finish_sweep(
        outcome.value,
        artifacts=artifacts,
        metrics=_metrics(results, seeds, shipped),
        tags={"sweep.partial": str(not whole).lower()}
        | ({"sweep.champion": shipped.trial_id} if shipped else {}),
    )
    if report:
        from sweeps.report.terminal import show

        run.console.print()
        show(run.console, report.findings)
    if registered:
        say(registered())
    hopeful = (
        ended is Outcome.COMPLETED and not tracker.problem()
    )  # where MLflow is away, `register` has waited already
    if problem := tracker.close(timeout=60.0 if hopeful else STOPPED_WITHIN_S):
        say(problem)
    counts = {"trials": results, "finalists": finals}
    done = " and ".join(
        f"{c.total - c.left} of {c.total} {what}" for what, c in counts.items() if c.total
    )
    if ended is Outcome.INTERRUPTED:
        say(
            f"Interrupted: {done} ended; `dvt report {plan.name}` shows them. To go on:\n  {resume_command(plan)}"
        )
        return INTERRUPTED
    if ended is Outcome.FAILED:
        say(f"The sweep broke off after {done}. To go on:\n  {resume_command(plan)}")
        return NOTHING_COMPLETED
    if not shipped:
        say(f"No trial completed: {plan.folder}")
        return NOTHING_COMPLETED
    if plan.finalist_seeds and not seeds and finals.total and not finals.left:
        say("No finalist completed: the best trial of the search is shipped, untested.")
    elif not whole:
        why = "The time limit was reached: " if time.monotonic() > run.deadline else ""
        say(f"{why}{done} ran. For the others:\n  {resume_command(plan)}")
    say(f"Report: {plan.folder / 'report.html'}" if report else f"Results: {plan.folder}")
    return DONE


def _report(run: Run, ended: Outcome, say: Callable[[str], None]) -> Report | None:
    """Build the report. OSError ends the sweep in order; whatever else goes wrong, what was measured is told all the same."""
    from sweeps.report.page import write  # pandas, SciPy and Plotly take seconds

    try:
        return write(run.plan.folder, ended.value)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001
        if run.plan.options.verbose:
            traceback.print_exc()
        reason = f"{type(error).__name__}: {one_line(error)}"
        say(f"The report could not be built ({reason}); `dvt report {run.plan.name}` tries again.")
        return None


def _metrics(
    results: Results, seeds: list[TrialRecord], shipped: TrialRecord | None
) -> dict[str, float]:
    """Of the sweep's own run: each arm's best of the search, and what the champion's seeds have in the mean."""
    arms = {
        f"best/{name}": arm.score or 0.0
        for name in results.arms
        if (arm := best(results.records(name)))
    }
    if not shipped:
        return arms
    if not seeds:
        return arms | {"score": shipped.score or 0.0}
    known = [
        name for name in TEST_SCORES.values() if all(name in record.test for record in seeds)
    ]  # earlier versions had one
    tested = {name: fmean(record.test[name] for record in seeds) for name in known}
    return arms | {"score": mean_score(seeds)} | tested
