"""Sentences on ways of training: the verdict of each planned comparison, and what would decide it.

They are about arms, each by several recipes: what such a search finds, not this one's best model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sweeps.records.design import MIN_SEEDS
from sweeps.records.folder import with_seeds
from sweeps.report.findings import Comparisons, Findings, undecided
from sweeps.report.formats import fixed, listed, points, seeds, span, with_span
from sweeps.report.narrowing import UNTOLD
from sweeps.report.runs import records, resume_command
from sweeps.report.verdicts import Kind
from trainables.problems import counted


def ways(findings: Findings) -> list[str]:
    """Return a sentence per planned comparison, then the command that would decide open ones."""
    rows = records(findings.planned)
    lines = [f"{_capital(said(row, findings.design.worth))}." for row in rows]
    if not findings.tested and (rows or findings.untested):
        lines.append(_untested(findings))
    more = further(findings)
    if more:
        lines.append(more)
    return [*lines, *absent(findings)]


def absent(findings: Findings) -> list[str]:
    """Return in a line the planned comparisons whose arms were not run; nothing where all were."""
    # Comparisons that lack the same arms share a reason.
    alike: dict[str, list[str]] = {}
    for name, patterns in findings.absent.items():
        missing = list(dict.fromkeys(patterns))
        verb = "was" if len(missing) == 1 else "were"
        alike.setdefault(f"{listed(missing)} {verb} not run", []).append(name)
    told = [f"{listed(names)}, since {why}" for why, names in alike.items()]
    return [f"Not compared here: {'; '.join(told)}."] if told else []


def said(row: Mapping[str, Any], worth: float) -> str:
    """Return a comparison in words: `tricks: better, by 1.8 points (95% interval 0.4 to 3.1)`."""
    name = row["name"]
    estimate = row["estimate"]
    between = span(row["low"], row["high"])
    if between:
        between = f"95% interval {between}"
    match Kind(row["verdict"]):
        case Kind.BETTER:
            return f"{name}: better, {with_span(_by(estimate), between)}{_after(row)}"
        case Kind.WORSE:
            turned = span(-row["high"], -row["low"])
            if turned:
                turned = f"95% interval {turned}"
            return f"{name}: worse, {with_span(_by(-estimate), turned)}{_after(row)}"
        case Kind.SAME:
            value = with_span(f"{points(estimate)} points", between)
            return (
                f"{name}: no difference that matters, {value}, within {_plain(worth)}{_after(row)}"
            )
    value = with_span(f"{points(estimate)} points", between)
    would = advice(row)
    return f"{name}: cannot tell, {value}: {would}" if would else f"{name}: cannot tell, {value}"


def further(findings: Findings) -> str:
    """Return the command that adds the seeds which would decide open comparisons, and its cost.

    Of a sweep of an earlier version there is none: it compared other recipes.
    """
    design = findings.design
    totals = []
    for row in records(findings.planned):
        if not _open(row) or findings.run.state != "finished" or design.once:
            continue
        if row["binds"] == UNTOLD:
            totals.append(int(row["n"]) + design.round)
        elif not math.isnan(row["more_seeds"]):
            totals.append(int(row["n"] + row["more_seeds"]))
    if not totals:
        return ""
    total = min(totals)
    command = resume_command(findings.run)
    # What was planned and not trained needs no flag.
    if total > design.seeds:
        command = with_seeds(command, total)
    more = total - findings.reached
    hours = more * _hours_of_seed(findings)
    cost = f", about {_hours(hours)}" if hours else ""
    return f"For {seeds(more)} more{cost}:  {command}"


def progress(found: Comparisons, done: int) -> list[str]:
    """Return what is known after a round, in a line; nothing where nothing is compared."""
    told = [f"{row['name']}: {row['verdict']}" for row in records(found.planned)]
    if not told:
        return []
    return [f"After {seeds(done)}: {'; '.join(told)}."]


def _open(row: Mapping[str, Any]) -> bool:
    return Kind(row["verdict"]) is Kind.OPEN


def _plain(difference: float) -> str:
    """Return `1.8 points`, without a sign; `1 point` where it is whole."""
    value = 100 * difference
    if abs(value - round(value)) < 1e-9 and abs(value) >= 1:
        return counted(round(value), "point")
    return f"{fixed(value, 1)} points"


def _by(lead: float) -> str:
    """Return `by 1.8 points`; of a verdict that later seeds do not bear out, what they say."""
    if lead > 0:
        return f"by {_plain(lead)}"
    return f"though {points(lead)} points with the seeds since"


def _after(row: Mapping[str, Any]) -> str:
    return f"; decided after {seeds(int(row['decided']))}"


def advice(row: Mapping[str, Any]) -> str:
    """Return what would decide an open comparison; empty where nothing is known of that."""
    more_seeds = row["more_seeds"]
    more_images = row["more_images"]
    ways_out = []
    if not math.isnan(more_seeds):
        ways_out.append(f"{seeds(int(more_seeds))} more would")
    if not math.isnan(more_images):
        ways_out.append(f"{counted(int(more_images), 'test image')} more would")
    if ways_out:
        return f"{', or '.join(ways_out)}, if the difference stays"
    if row["binds"] == UNTOLD:
        return "a second seed of each recipe would show what it takes"
    binds = {
        "seeds": "what differs most is one seed from the next",
        "recipes": "what differs most is which recipes a search finds: more --trials may help",
        "images": "what differs most is which images are tested",
    }.get(row["binds"])
    if binds is None:
        return ""
    return f"neither more seeds nor more test images would; {binds}"


def _hours_of_seed(findings: Findings) -> float:
    """Return the device-hours of one more seed of all open arms; 0 where they are not known."""
    runs = findings.run.rows("finalist")
    arms = undecided(findings, findings.run.described.get("contrasts"))
    of_arms = runs[(runs["without"] == "") & runs["arm"].isin(arms)]
    seconds = of_arms["device_seconds"].dropna()
    if seconds.empty:
        return 0.0
    return 2 * len(arms) * float(seconds.mean()) / 3600


def _hours(hours: float) -> str:
    if hours < 0.1:
        return counted(max(1, round(60 * hours)), "device-minute")
    return f"{fixed(hours, 1)} device-hours"


def _untested(findings: Findings) -> str:
    most = max((len(group.seeds) for group in findings.arms.values()), default=0)
    if most >= MIN_SEEDS:
        return f"Nothing is tested: fewer than {MIN_SEEDS} seeds have predictions in all arms."
    had = {1: "One seed is", 2: "Two seeds are"}.get(findings.seeds or most, "The seeds are")
    return f"{had} too few for confidence intervals and tests; use at least {MIN_SEEDS}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
