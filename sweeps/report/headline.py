"""The headline: in sentences with their numbers, which recipe to ship, and what contrasts say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweeps.records.results import Outcome, best
from sweeps.records.score import NAMES
from sweeps.report.finalists import Group, mean
from sweeps.report.findings import Findings, difference, interval
from sweeps.report.formats import (
    counted,
    in_words,
    listed,
    p_value,
    percent,
    points,
    seeds,
    span,
    with_span,
)
from sweeps.report.runs import Run, records
from sweeps.report.variance import MIN_SEEDS
from trainables.metrics import Score


def headline(findings: Findings) -> list[str]:
    """One or two sentences: the champion, then the contrasts. Of a sweep without finalists, the best so far."""
    if findings.champion is None or not findings.champion.test(findings.run.score):
        return _search_alone(findings)
    return [_champion(findings, findings.champion), *_contrasts(findings)]


def equal_trials(run: Run) -> str:
    """`Equal trials: 24 in each arm.`, or what is not equal."""
    rows = run.rows("trial")
    over = rows[~rows["outcome"].isin(["", Outcome.INTERRUPTED.value])].groupby("arm").size()
    counts = {arm: int(over.get(arm, 0)) for arm in run.arms if run.tuned.get(arm) or arm in over}
    if not counts:
        return "No arm has been searched."
    if len(set(counts.values())) == 1:
        return f"Equal trials: {next(iter(counts.values()))} in each arm."
    unequal = ", ".join(f"{arm} {count}" for arm, count in counts.items())
    return f"Trials are not equal, so arms are not compared equally: {unequal}."


def winners_luck(findings: Findings, group: Group) -> float:
    """The best score of an arm's search less what the same recipe scores over the seeds; NaN where either is unknown."""
    scores = findings.run.trials.loc[findings.run.trials["trial_id"] == group.name, "score"]
    return float(scores.iloc[0]) - group.score if len(scores) else float("nan")


def luck(findings: Findings) -> str:
    """The winner's luck in a sentence; empty where no finalist tells it."""
    known = mean([winners_luck(findings, group) for group in findings.best.values()])
    if known != known:
        return ""
    return (
        "Luck is how far the best val of the search lies above the mean val of the same recipe over the seeds: of many trials "
        f"the best was also the luckiest. In the mean of the arms it is {points(known)} points."
    )


def rival(findings: Findings, champion: Group) -> Group | None:
    """What the champion is compared with: the best recipe of the other arm that did best on val, or its own arm's other one."""
    others = [
        group
        for arm, group in findings.best.items()
        if arm != champion.arm and group.score == group.score
    ]
    if others:
        return max(others, key=lambda group: group.score)
    own = (findings.default.get(champion.arm), findings.best.get(champion.arm))
    return next((group for group in own if group and group.name != champion.name), None)


def recipe_line(findings: Findings) -> str:
    """Which recipe the champion is, in words; empty where there is none."""
    if findings.champion is None:
        return ""
    group = findings.champion
    default = "the arm's default recipe: " if "default" in group.kinds else ""
    return f"Champion: {group.name}, {default}{in_words(group.recipe, findings.run.tuned.get(group.arm, {}))}."


def _champion(findings: Findings, champion: Group) -> str:
    """`Ship resnet34/tricks: 77.2% of the test images are right (74.1 to 80.3, …), +1.2 points … against …`."""
    score = findings.run.score
    whole, other = interval(champion, score), rival(findings, champion)
    between = span(whole.low, whole.high) if whole else ""
    certain = (f"95% interval {between}, " if between else "mean of ") + seeds(len(champion.seeds))
    what = (
        "of the test images are right"
        if score == "accuracy"
        else f"{NAMES[score]} on the test images"
    )
    value = f"{percent(whole.mean if whole else float('nan'))}% {what} ({certain})"
    return f"Ship {champion.arm}: {value}{_against(champion, other, score) if other else ''}."


def _against(champion: Group, other: Group, score: Score) -> str:
    """`, +1.2 points (−0.4 to 2.8) against the best other arm, resnet50/tricks`."""
    role = "the default recipe" if "default" in other.kinds else "the best recipe of the search"
    role = f"the best other arm, {other.arm}" if other.arm != champion.arm else role
    if row := difference(champion, other, score):
        between = span(row["low"], row["high"])
        unsure = ": it may be none" if between and row["low"] <= 0 <= row["high"] else ""
        gap = with_span(f"{points(row['difference'])} points", between + unsure)
    elif other.test(score):
        gap = f"{points(mean(champion.test(score)) - mean(other.test(score)))} points"
    else:
        return ""
    return f", {gap} against {role}"


def _contrasts(findings: Findings) -> list[str]:
    if findings.planned.empty:
        return [] if findings.tested else [_untested(findings)]
    if not findings.tested:
        values = "; ".join(
            f"{row['name']}: {points(row['estimate'])} points" for row in records(findings.planned)
        )
        return [f"{_capital(values)}. {_untested(findings)}"]
    shown = "; ".join(_contrast(row) for row in records(findings.planned))
    return [f"{_capital(shown)}."]


def _contrast(row: Mapping[str, Any]) -> str:
    """`tricks: +1.8 points (0.4 to 3.1, Holm p 0.02)`, or that no difference is shown, and what could have been."""
    tested = f"{span(row['low'], row['high'])}, Holm p {p_value(row['p_holm'])}"
    effect = f"{row['name']}: {points(row['estimate'])} points ({tested})"
    if row["significant"]:
        return effect
    able = f"{percent(row['detectable'])} points is the smallest that {seeds(int(row['n']))} would likely have shown"
    return f"{effect}, no difference shown; {able}"


def _untested(findings: Findings) -> str:
    most = max((len(group.seeds) for group in findings.best.values()), default=0)
    if most >= MIN_SEEDS:
        return f"Nothing is tested: fewer than {MIN_SEEDS} seeds have predictions in all arms."
    had = findings.seeds or most
    return f"With {seeds(had)} there are no intervals and nothing is tested: {MIN_SEEDS} or more are needed."


def _search_alone(findings: Findings) -> list[str]:
    """Return what the search says while nothing is retrained."""
    run = findings.run
    trials = run.history.of("trial")
    completed = [trial for trial in trials if trial.outcome is Outcome.COMPLETED]
    top = best(completed)
    if top is None:
        of = f" of {len(trials)}" if trials else ""
        return [f"No trial has completed{of}: there is nothing to compare yet."]

    # The best of all, then the best of each other arm.
    words = in_words(top.recipe, run.tuned.get(top.arm, {}))
    count = counted(
        len([trial for trial in completed if trial.score is not None]), "completed trial"
    )
    by = "" if run.score == "accuracy" else f" {NAMES[run.score]}"
    first = (
        f"The best of {count} is {top.trial_id} ({words}): {percent(top.score or 0.0)}%{by} on val."
    )
    others = []
    for arm in run.arms:
        of_arm = best(trial for trial in completed if trial.arm == arm)
        if of_arm and arm != top.arm:
            others.append(f"{arm} {percent(of_arm.score or 0.0)}")
    ranked = f" The best of the other arms: {listed(others)}." if others else ""
    return [first, f"Do not rank the arms yet: nothing has been retrained.{ranked}"]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
