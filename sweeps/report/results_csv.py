"""`results.csv`: a row for every training run of a sweep; `runs.COLUMNS` says what each column holds."""

from __future__ import annotations

from pathlib import Path

from sweeps.report.runs import Run

RESULTS = "results.csv"


def write_results(run: Run) -> Path:
    """Write the table into the sweep's folder, whole or not at all.

    Raises:
        OSError: The folder cannot be written.
    """
    return replaced(run.folder / RESULTS, run.trials.to_csv(index=False))


def replaced(path: Path, text: str) -> Path:
    """Put a text where a file was, or was not, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return temporary.replace(path)
