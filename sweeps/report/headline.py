"""The headline: in sentences with their numbers, which recipe to ship, and what contrasts say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweeps.records.results import Outcome, best
from sweeps.records.score import NAMES
from sweeps.report.finalists import Group, mean
from sweeps.report.findings import Difference, Findings, gap, interval
from sweeps.report.formats import (
    counted,
    fixed,
    in_words,
    listed,
    named,
    p_value,
    percent,
    points,
    seeds,
    span,
    with_span,
)
from sweeps.report.runs import Run, records
from sweeps.report.variance import MIN_SEEDS, Interval
from trainables.metrics import Score


def headline(findings: Findings) -> list[str]:
    """Return one or two sentences: the champion, then the contrasts.

    Of a sweep without finalists, the best so far.
    """
    champion = findings.champion
    if champion is None or not champion.test(findings.run.score):
        return _search_alone(findings.run)
    return [_champion(findings, champion), *_contrasts(findings)]


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
    """Return by how much the search overstated the best recipe of an arm; NaN where not known.

    Its score in the search minus the mean val score of the same recipe over the seeds.
    """
    trials = findings.run.trials
    scores = trials.loc[trials["trial_id"] == group.name, "score"]
    if scores.empty:
        return float("nan")
    return float(scores.iloc[0]) - group.score


def mean_overstatement(findings: Findings) -> str:
    """Return in a sentence how lucky the best of many were; empty where no finalist tells it."""
    known = mean([overstatement(findings, group) for group in findings.best.values()])
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


def rival(findings: Findings, champion: Group) -> Group | None:
    """Return what the champion is compared with.

    The best recipe of the other arm that did best on val, else its own arm's other recipe.
    """
    others = []
    for arm, group in findings.best.items():
        if arm != champion.arm and group.score == group.score:
            others.append(group)
    if others:
        return max(others, key=lambda group: group.score)
    for own in (findings.default.get(champion.arm), findings.best.get(champion.arm)):
        if own is not None and own.name != champion.name:
            return own
    return None


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


def _champion(findings: Findings, champion: Group) -> str:
    """Return `Ship resnet34/tricks: it classifies 77.2% of the test images correctly (…), …`."""
    score = findings.run.score
    whole = interval(champion, score)
    assert whole is not None  # a champion was tested: `headline`
    value = f"{percent(whole.mean)}%"
    said = f"{value} {NAMES[score]} on the test images"
    if score == "accuracy":
        said = f"it classifies {value} of the test images correctly"
    against = _against(champion, rival(findings, champion), score)
    return f"Ship {champion.arm}: {said} ({_certainty(champion, whole)}){against}."


def _certainty(champion: Group, whole: Interval) -> str:
    """Return `95% interval 74.1 to 80.3, 5 seeds`, or `mean of 2 seeds`."""
    number = seeds(len(champion.seeds))
    between = span(whole.low, whole.high)
    return f"95% interval {between}, {number}" if between else f"mean of {number}"


def _against(champion: Group, other: Group | None, score: Score) -> str:
    """Return `, 1.2 points (0.4 to 2.8) above the runner-up, resnet50/tricks`."""
    if other is None:
        return ""
    apart = gap(champion, other, score)
    if apart.value != apart.value:
        return ""
    # Which recipe the other one is.
    role = "the best recipe of the search"
    if other.arm != champion.arm:
        role = f"the runner-up, {other.arm}"
    elif "default" in other.kinds:
        role = "the default recipe"
    return f", {_distance(apart)} {role}"


def _distance(apart: Difference) -> str:
    """Return `1.2 points (0.4 to 2.8) above`, or below: then the interval is of what is lacking."""
    # Written without a sign: below 0, both ends of the interval change places.
    way = "above"
    low = apart.low
    high = apart.high
    if apart.value < 0:
        way = "below"
        low = -apart.high
        high = -apart.low
    between = span(low, high)
    if between and low <= 0 <= high:
        between += ", so there may be no difference"
    return f"{with_span(f'{fixed(100 * abs(apart.value), 1)} points', between)} {way}"


def _contrasts(findings: Findings) -> list[str]:
    rows = records(findings.planned)
    if findings.tested:
        return [f"{_capital('; '.join(map(_contrast, rows)))}."] if rows else []
    values = "; ".join(f"{row['name']}: {points(row['estimate'])} points" for row in rows)
    untested = _untested(findings)
    return [f"{_capital(values)}. {untested}" if rows else untested]


def _contrast(row: Mapping[str, Any]) -> str:
    """Return `tricks: +1.8 points (0.4 to 3.1, Holm p 0.02)`.

    Where it is not significant, also what could have been.
    """
    tested = f"{span(row['low'], row['high'])}, Holm p {p_value(row['p_holm'])}"
    effect = f"{row['name']}: {points(row['estimate'])} points ({tested})"
    if row["significant"]:
        return effect
    return (
        f"{effect}, no significant difference: with {seeds(int(row['n']))} only differences above "
        f"{percent(row['detectable'])} points would likely show"
    )


def _untested(findings: Findings) -> str:
    most = max((len(group.seeds) for group in findings.best.values()), default=0)
    if most >= MIN_SEEDS:
        return f"Nothing is tested: fewer than {MIN_SEEDS} seeds have predictions in all arms."
    had = {1: "One seed is", 2: "Two seeds are"}.get(findings.seeds or most, "The seeds are")
    return f"{had} too few for confidence intervals and tests; use at least {MIN_SEEDS}."


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
        f"The best of {counted(len(completed), 'completed trial')} is {top.trial_id} ({words}): "
        f"{percent(top.score or 0.0)}%{by} on val."
    )

    # The other arms beside it, which invites a ranking: the warning comes first.
    others = []
    for arm in run.arms:
        of_arm = best(trial for trial in completed if trial.arm == arm)
        if of_arm and arm != top.arm:
            others.append(f"{arm} {percent(of_arm.score or 0.0)}")
    ranked = f" The best of the other arms: {listed(others)}." if others else ""
    return [first, f"Do not rank the arms yet: nothing has been retrained.{ranked}"]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
