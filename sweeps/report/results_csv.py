"""`results.csv`, a row per training run of a sweep, and `comparisons.csv`, a row per comparison.

`columns.COLUMNS` and `columns.COMPARISONS` say what each holds.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sweeps.report.columns import COMPARISONS
from sweeps.report.runs import Run
from trainables.files import write_whole

RESULTS = "results.csv"
COMPARED = "comparisons.csv"


def write_results(run: Run) -> Path:
    """Write the table into the sweep's folder, whole or not at all.

    Raises:
        OSError: The folder cannot be written.
    """
    return write_whole(run.folder / RESULTS, run.trials.to_csv(index=False))


def write_comparisons(run: Run, planned: pd.DataFrame) -> Path:
    """Write the planned comparisons into the sweep's folder, whole or not at all.

    Raises:
        OSError: The folder cannot be written.
    """
    return write_whole(run.folder / COMPARED, comparisons_table(planned).to_csv(index=False))


def comparisons_table(planned: pd.DataFrame) -> pd.DataFrame:
    """Return the planned comparisons with the columns that `comparisons.csv` has."""
    return planned.rename(columns={"name": "comparison", "p_holm": "p"})[list(COMPARISONS)]
