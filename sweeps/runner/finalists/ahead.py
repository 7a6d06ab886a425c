"""The finalists that are to come, before they are chosen: how many at most, and which, in words."""

from __future__ import annotations

from collections.abc import Iterable

from search_spaces.space import Arm
from sweeps.records.design import Design
from sweeps.runner.course import Ahead
from sweeps.runner.finalists.candidates import Field, best_of
from sweeps.runner.finalists.contenders import MOST, MOST_OF_ARM, MOST_OF_ONLY_ARM
from sweeps.runner.plan import Plan
from sweeps.runner.study import compares
from trainables.problems import counted
from trainables.recipe import NEUTRAL

LIKELY = "likely champions"
ABLATIONS = "the champion without each of its tricks"


def of_search(plan: Plan) -> Ahead:
    """Return what may follow the search."""
    seeds = len(plan.finalist_seeds)
    if not seeds:
        return Ahead()
    design = design_of(plan)
    exact = plan.options.exact
    first = sum(first_of(plan, arm) for arm in plan.arms)
    all_rounds = sum(runs_of(plan, arm)[1] for arm in plan.arms)
    after = of_champion(plan)
    least = (all_rounds if exact else first) + after.least
    most = all_rounds + after.most
    if not (exact or compares(plan.study.contrasts, plan.arms)):
        most = first + _more_likely(design, len(plan.arms))
    # Which tricks the champion has is not known yet.
    if plan.options.ablate:
        most += ablations_at_most(plan)
    return Ahead(least=least, most=most)


def design_of(plan: Plan) -> Design:
    """Return how arms are compared, as far as it is known before the search."""
    seeds = len(plan.finalist_seeds)
    trials = max((_trials(plan, arm) for arm in plan.arms), default=0)
    recipes = min(best_of(trials, plan.finalist_recipes), seeds)
    return Design(recipes=max(1, recipes), seeds=seeds, worth=plan.study.worth / 100)


def of_round(
    design: Design, field: Field, live: Iterable[str], trained: int, *, exact: bool = False
) -> Ahead:
    """Return what may follow a round.

    Args:
        design: Says how many seeds there are at most.
        field: The recipes.
        live: Arms that may get more seeds.
        trained: How many they have then.
        exact: Whether they get all seeds, whatever is decided, and their defaults, too.
    """
    alive = list(live)
    per_seed = len(alive)
    if exact:
        for arm in alive:
            alone = len(field.best[arm]) == 1 and field.default.get(arm) == field.best[arm][0]
            per_seed += not alone and arm in field.default
    after = _of_contenders(design, len(field.best), few_defaults=not exact and bool(field.default))
    most = per_seed * (design.seeds - trained) + after.most
    # Of arms that get no more seeds, likely champions lack those.
    if len(alive) < len(field.best):
        most = per_seed * (design.seeds - trained) + _more_likely(design, len(field.best))
    least = after.least
    if exact:
        least += per_seed * (design.seeds - trained)
    return Ahead(least=least, most=most)


def of_champion(plan: Plan) -> Ahead:
    """Return what recipes that may become the champion get when the arms are compared."""
    apart = any(_recipes(plan, arm) > 1 for arm in plan.arms)
    few_defaults = apart and not plan.options.exact
    return _of_contenders(design_of(plan), len(plan.arms), few_defaults=few_defaults)


def _of_contenders(design: Design, arms: int, *, few_defaults: bool) -> Ahead:
    """Return what recipes that may become the champion get of the seeds that they have not had.

    Args:
        design: Says how many seeds there are.
        arms: Their number.
        few_defaults: Whether defaults had the seeds of the first round alone.
    """
    # A recipe has had one seed of so many. One recipe alone gets those of the first round.
    first = len(design.rounds[0]) if design.seeds else 0
    lacks = design.seeds - design.seeds // design.recipes
    if few_defaults:
        lacks = max(lacks, design.seeds - design.default_seeds)
    return Ahead(least=first - first // design.recipes, most=_likely(arms) * lacks)


def _more_likely(design: Design, arms: int) -> int:
    """Return what likely champions get at most where their arms had the first round alone."""
    if design.recipes < 2:
        return _likely(arms) * max(0, design.seeds - len(design.rounds[0]))
    return _likely(arms) * (design.seeds - len(design.rounds[0]) // design.recipes)


def _likely(arms: int) -> int:
    """Return how many recipes get seeds as likely champions, at most."""
    return MOST_OF_ONLY_ARM if arms == 1 else min(MOST, MOST_OF_ARM * arms)


def of_later_seeds(recipes: int, seeds: int) -> Ahead:
    """Return what so many likely champions may get of so many seeds."""
    # Where one is left, it gets no more.
    return Ahead(least=0, most=recipes * max(0, seeds) if recipes > 1 else 0)


def ablations_at_most(plan: Plan) -> int:
    """Return how many runs the champion's ablations are at most."""
    return len(plan.finalist_seeds) * len(NEUTRAL)


def runs_of(plan: Plan, arm: Arm) -> tuple[int, int]:
    """Return how many trials and finalists of an arm run at most."""
    seeds = len(plan.finalist_seeds)
    defaults = 0
    if _recipes(plan, arm) > 1:
        defaults = seeds if plan.options.exact else design_of(plan).default_seeds
    return _trials(plan, arm), seeds + defaults


def _trials(plan: Plan, arm: Arm) -> int:
    return plan.trials_per_arm if arm.tuned else 0


def first_of(plan: Plan, arm: Arm) -> int:
    """Return how many finalists of an arm the first round has."""
    rounds = design_of(plan).rounds
    return _recipes(plan, arm) * len(rounds[0]) if rounds else 0


def _recipes(plan: Plan, arm: Arm) -> int:
    """Return how many runs of an arm a seed of the first round has.

    One of the best in turn and the default, which are one where there is one trial or none.
    """
    return 2 if _trials(plan, arm) > 1 else 1


def retrained(plan: Plan) -> str:
    """Return which recipes are retrained: `the 3 best recipes in turn and the default of each arm`."""
    if not any(arm.tuned for arm in plan.arms):
        return "the recipe of each arm"
    most = min(best_of(plan.trials_per_arm, plan.finalist_recipes), len(plan.finalist_seeds))
    best = "best recipe" if most == 1 else f"{most} best recipes in turn"
    return f"the {best} and the default of each arm"


def new_seeds(plan: Plan) -> str:
    """Return over how many seeds they are retrained: `up to 6 new seeds`."""
    seeds = counted(len(plan.finalist_seeds), "new seed")
    return seeds if plan.options.exact else f"up to {seeds}"


def after_search(plan: Plan) -> tuple[str, ...]:
    """Return what follows the search, in words, a line each."""
    if not plan.finalist_seeds:
        return ("next: the report",)
    which = f"{retrained(plan)}, with {new_seeds(plan)}"
    return (f"next: {which}, on the test split", "then: the report")


def round_in_words(
    design: Design, seeds: range, *, compared: bool, exact: bool = False
) -> tuple[str, tuple[str, ...]]:
    """Return which round of the comparisons it is, and what comes next, a line each."""
    further = f"more seeds for the {LIKELY}, then the report"
    if not (compared or exact):
        return "first seeds", (f"next: {further}",)
    number = design.rounds.index(seeds) + 1
    last = len(design.rounds)
    fixed = exact or number == last
    what = f"round {number} of {last}" if fixed else f"round {number} of up to {last}"
    if number == last:
        return what, (f"next: {further}",)
    if exact:
        return what, (f"next: round {number + 1} of {last}", f"then: {further}")
    return what, (
        f"next: a look at the comparisons; arms that are still open get round {number + 1}",
        f"then: {further}",
    )


def later_in_words(*, ablate: bool) -> tuple[str, tuple[str, ...]]:
    """Return which round it is where the arms are done, and what comes next."""
    coming = ABLATIONS if ablate else "the report"
    return LIKELY, (f"next: {coming}",)


def before_search(plan: Plan) -> tuple[str, ...]:
    """Return what follows the preparation, in words, a line each."""
    tuned = sum(bool(arm.tuned) for arm in plan.arms)
    if not tuned:
        return after_search(plan)
    trials = counted(plan.trials_per_arm, "trial")
    first = f"next: the search, {counted(tuned, 'arm')} x {trials}"
    return (first, *(line.replace("next:", "then:") for line in after_search(plan)[:1]))
