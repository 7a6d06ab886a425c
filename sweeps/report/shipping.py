"""The sentence on the model that is shipped: whether it won, against what, or why it was chosen.

It is about one recipe and its own seeds. What a way of training is worth, `ways` says.
"""

from __future__ import annotations

from sweeps.records.champion import apart, level
from sweeps.records.score import NAMES
from sweeps.report.finalists import Group
from sweeps.report.findings import Difference, Findings, gap, interval
from sweeps.report.formats import fixed, percent, seeds, span, with_span
from sweeps.report.variance import Interval
from trainables.metrics import Score


def shipped(findings: Findings, champion: Group) -> list[str]:
    """Return the verdict, `Ship resnet34/tricks/007: this model classifies 77.2% …`, and its proof.

    Where nothing has won, the verdict says so and what is shipped all the same.
    """
    score = findings.run.score
    whole = interval(champion, score)
    assert whole is not None  # a champion was tested: `headline`
    value = f"{percent(whole.mean)}%"
    does = f"has a {NAMES[score]} of {value} on the test images"
    if score == "accuracy":
        does = f"classifies {value} of the test images correctly"
    certainty = _certainty(champion, whole)
    other = rival(findings, champion)
    if other is None:
        return [f"Ship {champion.name}: this model {does}.", f"{certainty}."]
    doubt = _doubt(champion, other, score)
    if not doubt:
        lead = _ahead(gap(champion, other, score))
        return [
            f"Ship {champion.name}: this model {does}.",
            f"{certainty}; {lead} above the runner-up, {other.name}.",
        ]
    return [
        f"No clear winner. Ship {champion.name}{_why(findings, champion)}: it {does}.",
        f"{certainty}. Its closest rival is {other.name}: {doubt}.",
    ]


def unshipped(findings: Findings) -> str:
    """Return why a sweep with finalists ships none: the bounds on its champion leave nothing."""
    costs = [group.cost for group in findings.groups if group.seeds]
    fastest = fixed(min(cost.ms for cost in costs), 2)
    smallest = fixed(min(cost.megabytes for cost in costs), 1)
    return (
        "No model is shipped: of those that were retrained none is within --max-ms and --max-mb "
        f"(the fastest takes {fastest} ms per image, the smallest has {smallest} MB)."
    )


def rival(findings: Findings, champion: Group) -> Group | None:
    """Return what the champion is compared with: the best on val beside it, within its bounds."""
    if findings.choice is None:
        return None
    others = [group for group in findings.choice.able if group.name != champion.name]
    return others[0] if others else None


def _doubt(champion: Group, other: Group, score: Score) -> str:
    """Return why it is not clear that the champion is better; empty where it is."""
    on_test = gap(champion, other, score)
    lead = level([champion.by_seed, other.by_seed]).of_recipes
    told = "val cannot tell them apart"
    if apart(champion.by_seed, other.by_seed, errors=1.0):
        if (lead[0] - lead[1]) * on_test.value < 0:
            preferred = (champion.name, other.name)
            if lead[0] < lead[1]:
                preferred = (other.name, champion.name)
            return f"val prefers {preferred[0]}, the test images {preferred[1]} by {_by(on_test)}"
        if on_test.low > 0:
            return ""
        told = "the lead is within noise"
        if on_test.low != on_test.low:
            told = "there are too few seeds to tell them apart"
    if on_test.value != on_test.value:
        return told
    return f"{told}, and on the test images they are {_by(on_test)} apart"


def _by(lead: Difference) -> str:
    """Return `1.2 points (−0.4 to 2.8)`: the distance alone, without a sign."""
    low = lead.low
    high = lead.high
    if lead.value < 0:
        low = -lead.high
        high = -lead.low
    return with_span(f"{fixed(100 * abs(lead.value), 1)} points", span(low, high))


def _ahead(lead: Difference) -> str:
    return with_span(f"{fixed(100 * lead.value, 1)} points", span(lead.low, lead.high))


def _why(findings: Findings, champion: Group) -> str:
    """Return why it is this one that is shipped, of those that cannot be told apart."""
    choice = findings.choice
    # A sweep of an earlier version had another rule.
    if choice is None or champion.name not in {group.name for group in choice.tied}:
        return ""
    if champion.name == choice.leader.name:
        return ", the best on the validation images"
    parameters = champion.cost.parameters
    others = [group.cost.parameters for group in choice.tied if group.name != champion.name]
    if parameters == parameters and parameters < min(others):
        millions = fixed(parameters / 1e6, 1)
        return f", the smallest of those that val cannot tell apart ({millions} million parameters)"
    return ", small and fast among those that val cannot tell apart"


def _certainty(champion: Group, whole: Interval) -> str:
    """Return `95% interval 74.1 to 80.3, 5 seeds`, or `Mean of 2 seeds`."""
    number = seeds(len(champion.seeds))
    between = span(whole.low, whole.high)
    return f"95% interval {between}, {number}" if between else f"Mean of {number}"
