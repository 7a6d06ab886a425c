"""What MLflow is told of a sweep's comparisons: numbers as metrics, verdicts as tags."""

from __future__ import annotations

import math
from dataclasses import asdict

from sweeps.records.mlflow_names import comparison, verdict
from sweeps.report.findings import Findings
from sweeps.report.runs import records
from sweeps.report.spread import spread_of

SPREAD = "spread"


def metrics_of(findings: Findings) -> dict[str, float]:
    """Return each comparison's difference with its interval, and the parts of a score's spread.

    All as shares of 1, as the scores are. What is not known is left out.
    """
    told = {}
    for row in records(findings.planned):
        name = comparison(row["name"])
        told[name] = row["estimate"]
        for part in ("low", "high", "of_seeds", "of_recipes", "of_images"):
            told[f"{name}/{part}"] = row[part]
    parts = spread_of(findings)
    if parts:
        for name, value in asdict(parts).items():
            told[f"{SPREAD}/{name}"] = value
    return {name: float(value) for name, value in told.items() if math.isfinite(value)}


def tags_of(findings: Findings) -> dict[str, str]:
    """Return the verdict of each comparison."""
    rows = records(findings.planned)
    return {verdict(row["name"]): str(row["verdict"]) for row in rows}
