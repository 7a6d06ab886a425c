"""The search: one searcher and one scheduler for all arms that have something to tune, and for a sweep that is resumed too."""

from __future__ import annotations

import time

from sweeps.records.results import Outcome, Results
from sweeps.runner.progress import Progress
from sweeps.runner.resume import PastTrial
from sweeps.runner.scheduler import ArmScheduler
from sweeps.runner.searcher import ArmSearcher
from sweeps.runner.trials import Run, run_trials, trial_config
from trainables.recipe import Recipe


def search(run: Run, results: Results) -> Outcome:
    """Run the trials that are left.

    Returns:
        `completed` where the search came to its end, `interrupted` by the user, `failed` where it could not go on.
    """
    plan, past = run.plan, run.earlier("trial")
    arms = [arm for arm in plan.arms if arm.tuned]
    if not results.left:
        return Outcome.COMPLETED
    hopeless: set[str] = set()
    done = {trial.trial_id: trial for trial in past}
    with Progress(results, run.room, plan.name, run.console, run.tracker.problem) as progress:
        searcher = ArmSearcher(
            arms,
            plan.trials_per_arm,
            plan.options.seed,
            lambda name, arm, number, recipe: dict(
                trial_config(run, done, name, arm.name, number, recipe)
            ),
            stop=run.over,
            skip=hopeless.__contains__,
            past=past,
        )
        scheduler = ArmScheduler(arms, plan.epochs, past) if plan.study.asha else None
        return run_trials(
            run,
            results,
            progress,
            searcher,
            scheduler,
            hopeless=hopeless,
            peers=lambda record: results.ended(record.arm),
        )


def replay(results: Results, past: tuple[PastTrial, ...]) -> None:
    """Enter the trials that ended in an earlier run; the others enter when they start again."""
    for trial in past:
        if trial.outcome is not None and trial.arm in results.arms:
            record = results.start(
                trial.trial_id,
                trial.arm,
                trial.number,
                Recipe.from_sample(trial.recipe),
                trial.group,
                trial.without,
            )
            for epoch in trial.epochs:
                results.report(trial.trial_id, epoch)
            record.outcome, record.reason = trial.outcome, trial.end.get("reason") or ""
            record.wall_seconds = trial.end.get("wall_seconds") or 0.0
            record.device_seconds = trial.end.get("device_seconds") or 0.0
            record.test = trial.end.get("test") or {}
            record.started = time.monotonic() - record.wall_seconds
