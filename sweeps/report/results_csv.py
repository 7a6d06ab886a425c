"""`results.csv`: one row per training run of a sweep; `columns.COLUMNS` says what each holds."""

from __future__ import annotations

from pathlib import Path

from sweeps.report.runs import Run
from trainables.files import write_whole

RESULTS = "results.csv"


def write_results(run: Run) -> Path:
    """Write the table into the sweep's folder, whole or not at all.

    Raises:
        OSError: The folder cannot be written.
    """
    return write_whole(run.folder / RESULTS, run.trials.to_csv(index=False))
