"""What sweeps leave: runs in MLflow, events in the journal."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def statuses(place: Path, database: str = "mlruns/mlflow.db") -> list[str]:
    """Return the status of each run."""
    with closing(sqlite3.connect(place / database)) as opened:
        found = opened.execute("select status from runs where lifecycle_stage = 'active'")
        return [status for (status,) in found]


def events(place: Path, name: str, storage: str = "mlruns") -> list[dict[str, Any]]:
    """Return the whole lines of a sweep's journal, none where there is no journal yet."""
    journal = place / storage / "sweeps" / name / "trials.jsonl"
    if not journal.exists():
        return []
    lines = journal.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
