"""The order of the finalists: rounds that compare arms until they are decided, then the champion's.

In a round each arm trains with a few new seeds, its best recipes in turn and its default. After it,
comparisons are looked at: arms of which every comparison is decided get no more. Then the recipes
that may become the champion are trained with the seeds that they have not had.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sweeps.records.design import Design
from sweeps.records.results import Outcome, Results
from sweeps.runner.driver import Run
from sweeps.runner.finalists import ahead
from sweeps.runner.finalists.candidates import Field, ablations, field_of, seeded
from sweeps.runner.finalists.contenders import Retrained, champion, contenders, retrained
from sweeps.runner.finalists.training import Chosen, train
from sweeps.runner.study import compares
from sweeps.tracking.store import one_line
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
    most = min(run.plan.finalist_recipes, max(1, len(run.plan.finalist_seeds)))
    field = field_of(run.plan.arms, searched, most, run.plan.options.seed)
    design = field.design(len(run.plan.finalist_seeds), run.plan.study.worth)
    try:
        for ended in _steps(run, field, design, finals):
            if ended is not Outcome.COMPLETED:
                return ended, finals
            # Once the time is over, the next runs are planned and not begun: the sweep is not whole.
            if run.over() and finals.left:
                break
    except DataError as error:
        for problem in error.problems:
            run.say(f"The sweep stopped: {problem}")
        return Outcome.FAILED, finals
    return Outcome.COMPLETED, finals


def _steps(run: Run, field: Field, design: Design, finals: Results) -> Iterator[Outcome]:
    """Train round after round, and yield how each ended."""
    seeds = run.plan.finalist_seeds
    live = set(field.best)
    trained = 0
    turns: dict[str, int] = {}
    compared = compares(run.plan.study.contrasts, run.plan.arms)
    for each in design.rounds:
        arms = [arm for arm in field.best if arm in live]
        turns |= dict.fromkeys(arms, each.stop)
        entries = field.round(design, arms, each, seeds)
        follows = ahead.of_round(design, field, arms if compared else (), each.stop)
        what, coming = ahead.round_in_words(design, each, compared=compared)
        yield train(run, Chosen(entries, field.names, turns, what, follows, coming), finals)
        trained = each.stop
        # An arm that failed too often is left alone.
        live -= finals.lacking()
        live &= _undecided(run, design, trained)
        if not live:
            break

    # The champion's seeds, of which those that the arms had are done; where no arms are compared,
    # it alone is what seeds are for.
    if not compared:
        trained = design.seeds
    bounds = run.plan.options.bounds
    able: list[str] | None = None
    for each in design.rounds:
        if each.start >= trained:
            break
        able = [recipe.group for recipe in contenders(retrained(finals), bounds, able)]
        again = [field.all[group] for group in able if group in field.all]
        if len(again) < 2 and each.start:
            break
        entries = seeded(again, each, seeds)
        follows = ahead.of_later_seeds(len(again), trained - each.stop)
        what, coming = ahead.later_in_words(ablate=run.plan.options.ablate)
        yield train(run, Chosen(entries, field.names, turns, what, follows, coming), finals)

    choice = champion(finals, bounds)
    if run.plan.options.ablate and choice:
        chosen = Chosen({}, field.names, turns, what=ahead.ABLATIONS)
        yield _ablated(run, choice.champion, chosen, finals)


def _undecided(run: Run, design: Design, seeds: int) -> set[str]:
    """Return the arms that more seeds may tell apart; say what is known by now."""
    if seeds >= design.seeds:
        return set()
    try:
        with run.doing("Looking at the comparisons"):
            # They import pandas and SciPy, which take seconds.
            from sweeps.report.findings import compare, undecided
            from sweeps.report.runs import read_run
            from sweeps.report.ways import progress

            read = read_run(run.plan.folder, "running")
            found = compare(read, [], until=seeds)
            live = undecided(found, read.described.get("contrasts"))
        for line in progress(found, seeds):
            run.say(line)
        return live
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  Hours of trials are not lost for a look.
        reason = f"{type(error).__name__}: {one_line(error)}"
        run.say(f"Comparisons could not be looked at ({reason}): all of them go on.")
        return {arm.name for arm in run.plan.arms}


def _ablated(run: Run, top: Retrained, chosen: Chosen, finals: Results) -> Outcome:
    """Train the champion without each of its tricks, with the seeds that it had."""
    candidates = ablations(top.seeds[0])
    if not candidates:
        run.say(f"--ablate: {top.group} has no trick that could be taken away.")
    entries = seeded(candidates, sorted(top.by_seed), run.plan.finalist_seeds)
    return train(run, replace(chosen, entries=entries), finals)
