"""The end of a sweep, however it came: table, champion, what MLflow keeps of the sweep as a whole, and the exit status."""

from __future__ import annotations

from functools import partial

from rich.console import Console

from sweeps.runner import tracking, winner
from sweeps.runner.description import resume_command
from sweeps.runner.plan import Materials, Plan
from sweeps.runner.results import Outcome, Results, best
from sweeps.runner.table import arm_table

DONE, NOTHING_COMPLETED, INTERRUPTED = 0, 1, 130
STOPPED_WITHIN_S = 5.0  # that MLflow may take where a sweep is to stop; the rest waits in the journal


def finish(
    plan: Plan, materials: Materials, results: Results, tracker: tracking.Tracker, console: Console, ended: Outcome
) -> int:
    """Table, champion, artifacts; the exit status.

    Args:
        plan: What was to run.
        materials: What it ran on.
        results: What came of it.
        tracker: Is closed here.
        console: Shows the table.
        ended: `completed` where the search came to its end, `interrupted` by the user, or `failed` by Ray.
    """
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    csv = plan.folder / "results.csv"
    results.frame().to_csv(csv, index=False)
    artifacts = {"results.csv": csv, "sweep.json": plan.folder / "sweep.json"}
    top = best(results.records())
    shipped = top if ended is Outcome.COMPLETED else None
    whole = shipped is not None and len(results.ended()) == results.total
    if shipped:
        artifacts |= winner.keep(plan, materials, shipped)
    arms = {name: arm for name in results.arms if (arm := best(results.records(name)))}
    tracker.finish_sweep(
        (Outcome.FAILED if top is None and ended is Outcome.COMPLETED else ended).value,
        artifacts=artifacts,
        metrics={f"best/{name}": arm.score or 0.0 for name, arm in arms.items()} | ({"score": top.score or 0.0} if top else {}),
        tags={"sweep.partial": str(not whole).lower()} | ({"sweep.champion": top.trial_id} if top else {}),
    )
    console.print()
    console.print(arm_table(results, plan.arms, plan.slots))
    if shipped:
        say(winner.register(plan, materials, tracker, shipped, move_alias=whole))
    hopeful = ended is Outcome.COMPLETED and not tracker.problem()  # where MLflow is away, `register` has waited already
    if problem := tracker.close(timeout=60.0 if hopeful else STOPPED_WITHIN_S):
        say(problem)
    done = f"{sum(r.outcome is not Outcome.INTERRUPTED for r in results.ended())} of {results.total} trials"
    if ended is Outcome.INTERRUPTED:
        say(f"Interrupted: {done} ended; they are recorded in {plan.folder}. To go on:\n  {resume_command(plan)}")
        return INTERRUPTED
    if ended is Outcome.FAILED:
        say(f"The sweep broke off after {done}. To go on:\n  {resume_command(plan)}")
        return NOTHING_COMPLETED
    if not shipped:
        say(f"No trial completed: {plan.folder / 'results.csv'}")
        return NOTHING_COMPLETED
    if len(results.ended()) < results.total:
        why = "The time limit was reached: " if plan.options.time_limit else ""
        say(f"{why}{done} ran. For the others:\n  {resume_command(plan)}")
    say(f"Results: {plan.folder}")
    return DONE
