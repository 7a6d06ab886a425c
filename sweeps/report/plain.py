"""A sweep's findings as plain values, for `dvt report --json`: keys as docs/json.md has them."""

from __future__ import annotations

from typing import Any

from sweeps.records.results import Outcome
from sweeps.report.cautions import cautions
from sweeps.report.finalists import Group
from sweeps.report.findings import Findings, interval
from sweeps.report.headline import headline
from sweeps.report.runs import number, records


def plain(findings: Findings) -> dict[str, Any]:
    """Return what a sweep comes to. Scores are shares, 0 to 1; NaN is what is not known."""
    run = findings.run
    described = run.described
    return {
        "sweep": run.folder.name,
        "study": described.get("study"),
        "question": described.get("question"),
        "state": run.state,
        "score": run.score,
        "headline": headline(findings),
        "champion": _champion(findings),
        "arms": [_arm(findings, arm) for arm in run.arms],
        "comparisons": [_comparison(row) for row in records(findings.planned)],
        "cautions": list(cautions(findings)),
    }


def _champion(findings: Findings) -> dict[str, Any] | None:
    group = findings.champion
    if group is None:
        return None
    recipe = {"name": group.name, "arm": group.arm, "recipe": dict(group.recipe)}
    cost = {"megabytes": group.cost.megabytes, "ms": group.cost.ms}
    return {**recipe, **_retrained(findings, group), **cost}


def _arm(findings: Findings, arm: str) -> dict[str, Any]:
    """Return an arm: its search, and its best recipes retrained."""
    rows = findings.run.rows("trial", arm)
    outcomes = {}
    for outcome in Outcome:
        outcomes[outcome.value] = int((rows["outcome"] == outcome.value).sum())
    completed = rows[rows["outcome"] == Outcome.COMPLETED.value]
    trained = findings.run.trials[findings.run.trials["arm"] == arm]
    return {
        "arm": arm,
        "trials": outcomes,
        "best_val": number(completed["score"].max()),
        **_retrained(findings, findings.arms.get(arm)),
        "device_hours": number(trained["device_seconds"].sum()) / 3600,
    }


def _retrained(findings: Findings, group: Group | None) -> dict[str, Any]:
    """Return the mean scores of retrained recipes, and the 95% interval of that on test."""
    scores: dict[str, Any] = {"seeds": 0, "val": None}
    tested = None
    if group is not None:
        scores = {"seeds": len(group.seeds), "val": group.score}
        tested = interval(group, findings.run.score)
    if tested is None:
        return {**scores, "test": None, "test_low": None, "test_high": None}
    return {**scores, "test": tested.mean, "test_low": tested.low, "test_high": tested.high}


def _comparison(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "comparison": str(row["name"]),
        "difference": number(row["estimate"]),
        "low": number(row["low"]),
        "high": number(row["high"]),
        "verdict": str(row["verdict"]),
        "seeds": int(row["n"]),
        "p": number(row["p_holm"]),
    }
