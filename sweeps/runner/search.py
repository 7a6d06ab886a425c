"""The search: one searcher and one scheduler for all arms that have something to tune."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from search_spaces.space import Arm
from sweeps.records.events import TrialEnded
from sweeps.records.history import Trial
from sweeps.records.results import Outcome, Results
from sweeps.runner.callbacks import FailureBudget
from sweeps.runner.driver import Run
from sweeps.runner.finalists.ahead import after_search, of_search
from sweeps.runner.scheduler import ArmScheduler
from sweeps.runner.screening import screening_of
from sweeps.runner.searcher import ArmSearcher
from sweeps.runner.trials import Batch, Place, run_trials, trial_config
from trainables.recipe import Recipe


def search(run: Run, results: Results) -> Outcome:
    """Run the trials that are left.

    Returns:
        `completed` where all of it ran, `interrupted` by the user, `failed` where it could not go
        on.
    """
    plan = run.plan
    past = run.earlier("trial")
    arms = [arm for arm in plan.arms if arm.tuned]
    if not results.left:
        return Outcome.COMPLETED

    # A trial of an earlier run continues from its checkpoint.
    earlier = {trial.trial_id: trial for trial in past}

    def config(trial_id: str, arm: Arm, number: int, recipe: Recipe) -> Mapping[str, Any]:
        place = Place(trial_id=trial_id, arm=arm.name, number=number)
        return dict(trial_config(run, earlier, place, recipe, run.materials.data))

    # Finalists that an earlier run of the sweep has had do not come again.
    done = sum(trial.outcome is not None for trial in run.earlier("finalist"))
    ahead = of_search(plan).without(done)
    run.progress.searches(results, ahead, after_search(plan))
    budget = FailureBudget(results, run.say)
    searcher = ArmSearcher(
        arms,
        plan.trials_per_arm,
        plan.options.seed,
        config,
        stop=run.over,
        skip=budget.spent,
        past=past,
    )
    screening = screening_of(plan)
    scheduler = ArmScheduler(arms, plan.epochs, past, screening) if screening else None
    batch = Batch(searcher=searcher, scheduler=scheduler, results=results, budget=budget)
    return run_trials(run, batch)


def enter_past(run: Run, results: Results) -> None:
    """Enter what an earlier run's search left, and the ends that it did not come to write."""
    past = run.earlier("trial")
    replay(results, past)
    for trial in past:
        if trial.outcome is None or trial.told or trial.arm not in results.arms:
            continue
        # It had all its epochs, and the driver was killed just then.
        record = results[trial.trial_id]
        run.tell(
            TrialEnded(
                trial_id=trial.trial_id,
                outcome=trial.outcome,
                score=record.score,
                best_epoch=record.best_epoch,
                image_passes=record.image_passes or None,
            )
        )


def replay(results: Results, past: tuple[Trial, ...]) -> None:
    """Enter the trials that ended in an earlier run; the others enter when they start again."""
    for trial in past:
        if trial.outcome is None or trial.arm not in results.arms:
            continue
        recipe = Recipe.from_sample(trial.recipe)
        record = results.start(trial.trial_id, trial.arm, trial.number, recipe, trial.finalist)
        for epoch in trial.epochs:
            results.report(trial.trial_id, epoch)
        record.outcome = trial.outcome
        # There is no end where the driver was killed just then.
        if trial.end:
            record.reason = trial.end.reason
            record.wall_seconds = trial.end.wall_seconds or 0.0
            record.device_seconds = trial.end.device_seconds or 0.0
            record.test = trial.end.test
        record.started = time.monotonic() - record.wall_seconds
