"""The headline: in sentences with their numbers, which model to ship, and what arms are worth."""

from __future__ import annotations

import math

from sweeps.records.results import Outcome, best
from sweeps.records.score import NAMES
from sweeps.report.finalists import Group, mean
from sweeps.report.findings import Findings
from sweeps.report.formats import fixed, in_words, listed, named, percent
from sweeps.report.runs import Run
from sweeps.report.shipping import shipped, unshipped
from sweeps.report.ways import ways
from trainables.problems import counted

TOY = "digits"
OF_TOY = "This is a toy data set: it shows how the product works, not which network to choose."


def headline(findings: Findings) -> list[str]:
    """Return sentences: the verdict, how sure it is, then what is known of the ways of training.

    Of a sweep without finalists, the best so far. The last says where the data are a toy.
    """
    champion = findings.champion
    if champion is None and findings.arms:
        said = [unshipped(findings), *ways(findings)]
    elif champion is None or not champion.test(findings.run.score):
        said = _search_alone(findings.run)
    else:
        said = [*shipped(findings, champion), *ways(findings)]
    if findings.run.text("data", "name") == TOY:
        said.append(OF_TOY)
    return said


def equal_trials(run: Run) -> str:
    """Return `Equal trials: 24 in each arm.`, or what is not equal."""
    rows = run.rows("trial")
    # Trials that ended; an arm that tunes nothing has no search.
    over = rows[~rows["outcome"].isin(["", Outcome.INTERRUPTED.value])].groupby("arm").size()
    counts = {arm: int(over.get(arm, 0)) for arm in run.arms if run.tuned.get(arm) or arm in over}
    if not counts:
        return "No arm has been searched."
    if len(set(counts.values())) == 1:
        return f"Equal trials: {next(iter(counts.values()))} in each arm."
    return f"The arms are not compared evenly, since they differ in trials: {named(counts)}."


def overstatement(findings: Findings, group: Group) -> float:
    """Return by how much the search overstated the recipes of an arm; NaN where not known.

    The mean over its runs of the recipe's score in the search minus that of the run.
    """
    trials = findings.run.trials.set_index("trial_id")["score"]
    return mean([float(trials.get(seed.group, math.nan)) - seed.score for seed in group.seeds])


def mean_overstatement(findings: Findings) -> str:
    """Return in a sentence how lucky the best of many were; empty where no finalist tells it."""
    known = mean([overstatement(findings, group) for group in findings.arms.values()])
    if known != known:
        return ""
    by = fixed(100 * abs(known), 1)
    if known > 0 and by != "0.0":
        return (
            "The best of many trials is partly lucky: retrained with new seeds, the same recipes "
            f"scored {by} points lower on average."
        )
    scored = "the same" if by == "0.0" else f"{by} points higher"
    return (
        f"Retrained with new seeds, the best recipes of the search scored {scored} on average: it "
        "did not overstate them."
    )


def recipe_line(findings: Findings) -> str:
    """Return which recipe the champion is, as a line; empty where there is none."""
    recipe = champion_recipe(findings)
    return f"Recipe: {recipe}." if recipe else ""


def champion_recipe(findings: Findings) -> str:
    """Return the champion's name and recipe in words; empty where there is none."""
    group = findings.champion
    if group is None:
        return ""
    words = in_words(group.recipe, findings.run.tuned.get(group.arm, {}))
    if "default" in group.kinds:
        return f"{group.name}, the default settings of its arm ({words})"
    return f"{group.name} ({words})"


def _search_alone(run: Run) -> list[str]:
    # A sweep that has just begun, or in which all failed.
    trials = run.history.of("trial")
    completed = [trial for trial in trials if trial.outcome is Outcome.COMPLETED]
    top = best(completed)
    if top is None:
        of_many = f" (of {len(trials):,} started)" if trials else ""
        return [f"No trial has completed{of_many}: there is nothing to compare yet."]

    # The best so far.
    words = in_words(top.recipe, run.tuned.get(top.arm, {}))
    by = "" if run.score == "accuracy" else f" {NAMES[run.score]}"
    first = (
        f"No verdict yet: the best of {counted(len(completed), 'completed trial')} is "
        f"{top.trial_id}, with {percent(top.score or 0.0)}%{by} on val."
    )

    # The other arms beside it, which invites a ranking: the warning comes first.
    others = []
    for arm in run.arms:
        of_arm = best(trial for trial in completed if trial.arm == arm)
        if of_arm and arm != top.arm:
            others.append(f"{arm} {percent(of_arm.score or 0.0)}")
    ranked = f" The best of the other arms: {listed(others)}." if others else ""
    return [
        first,
        f"Do not rank the arms yet: nothing has been retrained.{ranked}",
        f"Its settings: {words}.",
    ]
