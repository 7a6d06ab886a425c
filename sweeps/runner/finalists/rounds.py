"""The order of the finalists: rounds that compare arms until they are decided, then the champion's.

In a round each arm trains with a few new seeds, its best recipes in turn and its default. After it,
comparisons are looked at: arms of which every comparison is decided get no more. Then the recipes
that may become the champion are trained with the seeds that they have not had.
"""

from __future__ import annotations

from collections.abc import Iterator

from sweeps.records.design import Design
from sweeps.records.results import Outcome, Results
from sweeps.runner.driver import Run
from sweeps.runner.finalists.candidates import Field, ablations, field_of, seeded
from sweeps.runner.finalists.contenders import champion, contenders, retrained
from sweeps.runner.finalists.training import train
from trainables.data.problems import DataError


def finalists(run: Run, searched: Results) -> tuple[Outcome, Results]:
    """Train the finalists that are left, and for `--ablate` the champion without each trick.

    Args:
        run: The sweep.
        searched: Results of the search.

    Returns:
        `completed` where all have ended, `interrupted` or `failed`; and the results of all
        finalists.
    """
    finals = Results(dict.fromkeys(searched.arms, 0), searched.score)
    field = field_of(run.plan.arms, searched, run.plan.finalist_recipes, run.plan.options.seed)
    design = field.design(len(run.plan.finalist_seeds), run.plan.study.worth)
    try:
        for ended in _steps(run, field, design, finals):
            if ended is not Outcome.COMPLETED:
                return ended, finals
            if run.over():
                break
    except DataError as error:
        for problem in error.problems:
            run.say(f"The sweep stopped: {problem}")
        return Outcome.FAILED, finals
    return Outcome.COMPLETED, finals


def _steps(run: Run, field: Field, design: Design, finals: Results) -> Iterator[Outcome]:
    """Train round after round, and yield how each ended."""
    seeds = run.plan.finalist_seeds
    names = field.names
    live = set(field.best)
    trained = 0
    for each in design.rounds:
        arms = [arm for arm in field.best if arm in live]
        yield train(run, field.round(design, arms, each, seeds), names, finals)
        trained = each.stop
        # An arm that failed too often is left alone.
        live -= finals.lacking()
        live &= _undecided(run, design, trained)
        if not live:
            break

    # The champion's seeds, of which those that the arms had are done.
    bounds = run.plan.options.bounds
    chosen: list[str] | None = None
    for each in design.rounds:
        if each.start >= trained:
            break
        able = contenders(retrained(finals), bounds, chosen)
        chosen = [recipe.group for recipe in able]
        again = [field.all[group] for group in chosen if group in field.all]
        if len(again) < 2 and each.start:
            break
        yield train(run, seeded(again, each, seeds), names, finals)

    choice = champion(finals, bounds)
    if run.plan.options.ablate and choice:
        yield _ablated(run, choice.champion.seeds[0].trial_id, finals, trained, names)


def _undecided(run: Run, design: Design, seeds: int) -> set[str]:
    """Return the arms that more seeds may tell apart; say what is known by now."""
    if seeds >= design.seeds:
        return set()
    # They import pandas and SciPy, which take seconds.
    from sweeps.report.findings import compare, undecided
    from sweeps.report.runs import read_run
    from sweeps.report.ways import progress

    read = read_run(run.plan.folder, "running")
    found = compare(read, [], until=seeds)
    for line in progress(found, seeds):
        run.say(line)
    return undecided(found, read.described.get("contrasts"))


def _ablated(
    run: Run, top: str, finals: Results, trained: int, names: dict[str, tuple[str, ...]]
) -> Outcome:
    """Train the champion without each of its tricks."""
    record = finals[top]
    candidates = ablations(record)
    if not candidates:
        group = top.rpartition("/")[0]
        run.say(f"--ablate: {group} has no trick that could be taken away.")
    return train(run, seeded(candidates, range(trained), run.plan.finalist_seeds), names, finals)
