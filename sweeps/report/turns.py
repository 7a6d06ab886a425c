"""Which recipes stand for an arm, in the order of their turns."""

from __future__ import annotations

from sweeps.records.results import best, trial_name
from sweeps.report.runs import Run


def in_turn(run: Run, arm: str) -> tuple[str, ...]:
    """Return the names of the arm's trials whose recipes are compared, in the order of their turns.

    Sweeps of earlier versions compared the best alone; there is none where no trial completed.
    """
    chosen = run.history.recipes.get(arm)
    if chosen:
        return tuple(chosen)
    if not run.tuned.get(arm):
        return (trial_name(arm, 0),)
    top = best(trial for trial in run.history.of("trial") if trial.arm == arm)
    return (top.trial_id,) if top else ()
