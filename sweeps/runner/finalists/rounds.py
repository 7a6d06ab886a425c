"""The order of the finalists: rounds that compare arms until they are decided, then the champion's.

In a round each arm trains with a few new seeds, its best recipes in turn, and in the first round
its default, too. After it, comparisons are looked at: arms of which every comparison is decided get
no more. Then the recipes that may become the champion are trained with the seeds that they have not
had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sweeps.records.champion import Bounds
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What is trained after what, whoever trains it.

    Attributes:
        field: The recipes that are compared.
        design: How they are compared.
        seeds: What each number of a seed stands for.
        defaults: Over how many of them each arm's default is trained.
        compared: Whether any arms are compared, or seeds are for the champion alone.
        bounds: What a champion may cost.
        ablate: Whether it is trained without each of its tricks, too.
        train: Trains what is chosen, enters it into the results, and returns how that ended.
        look: Returns the arms that more seeds may tell apart, after so many; None gives all arms
            all seeds.
        say: Shows a line.
    """

    field: Field
    design: Design
    seeds: Sequence[int]
    defaults: int
    compared: bool
    bounds: Bounds
    ablate: bool
    train: Callable[[Chosen, Results], Outcome]
    look: Callable[[Design, int], set[str]] | None
    say: Callable[[str], None]

    def steps(self, finals: Results) -> Iterator[Outcome]:
        """Train round after round, and yield how each ended."""
        field = self.field
        design = self.design
        live = set(field.best)
        trained = 0
        turns: dict[str, int] = {}
        for each in design.rounds:
            arms = [arm for arm in field.best if arm in live]
            turns |= dict.fromkeys(arms, each.stop)
            entries = field.round(design, arms, each, self.seeds, self.defaults)
            alive = arms if self.compared or self.look is None else []
            exact = self.look is None
            follows = ahead.of_round(design, field, alive, each.stop, exact=exact)
            what, coming = ahead.round_in_words(design, each, compared=self.compared, exact=exact)
            yield self.train(Chosen(entries, field.names, turns, what, follows, coming), finals)
            trained = each.stop
            # An arm that failed too often is left alone.
            live -= finals.lacking()
            if self.look:
                live &= self.look(design, trained)
            if not live:
                break

        # The champion's seeds, of which those that the arms had are done; where no arms are
        # compared, it alone is what seeds are for.
        if not self.compared:
            trained = design.seeds
        able: list[str] | None = None
        for each in design.rounds:
            if each.start >= trained:
                break
            able = [recipe.group for recipe in contenders(retrained(finals), self.bounds, able)]
            again = [field.all[group] for group in able if group in field.all]
            if len(again) < 2 and each.start:
                break
            entries = seeded(again, each, self.seeds)
            follows = ahead.of_later_seeds(len(again), trained - each.stop)
            what, coming = ahead.later_in_words(ablate=self.ablate)
            yield self.train(Chosen(entries, field.names, turns, what, follows, coming), finals)

        choice = champion(finals, self.bounds)
        if self.ablate and choice:
            chosen = Chosen({}, field.names, turns, what=ahead.ABLATIONS)
            yield self._ablated(choice.champion, chosen, finals)

    def _ablated(self, top: Retrained, chosen: Chosen, finals: Results) -> Outcome:
        """Train the champion without each of its tricks, with the seeds that it had."""
        candidates = ablations(top.seeds[0])
        if not candidates:
            self.say(f"--ablate: {top.group} has no trick that could be taken away.")
        entries = seeded(candidates, sorted(top.by_seed), self.seeds)
        return self.train(replace(chosen, entries=entries), finals)


def finalists(run: Run, searched: Results) -> tuple[Outcome, Results]:
    """Train the finalists that are left, and for `--ablate` the champion without each trick.

    Args:
        run: The sweep.
        searched: Results of the search.

    Returns:
        `completed` where all have ended, `interrupted` or `failed`; and the results of all
        finalists.
    """
    plan = run.plan
    finals = Results(dict.fromkeys(searched.arms, 0), searched.score)
    most = min(plan.finalist_recipes, max(1, len(plan.finalist_seeds)))
    field = field_of(plan.arms, searched, most, plan.options.seed)
    design = field.design(len(plan.finalist_seeds), plan.study.worth)
    order = Order(
        field=field,
        design=design,
        seeds=plan.finalist_seeds,
        defaults=design.seeds if plan.options.exact else design.default_seeds,
        compared=compares(plan.study.contrasts, plan.arms),
        bounds=plan.options.bounds,
        ablate=plan.options.ablate,
        train=partial(train, run),
        look=None if plan.options.exact else partial(_undecided, run),
        say=run.say,
    )
    try:
        for ended in order.steps(finals):
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
