"""How a sweep runs. A study file needs these names only, a notebook the last five too."""

import cluster.early_interrupt  # noqa: F401 - first of all, since the others take time
from sweeps.runner.cli import main
from sweeps.runner.notebook.calls import open_sweep, run_sweep
from sweeps.runner.notebook.errors import SweepFailed, SweepInterrupted, SweepRefused
from sweeps.runner.study import PRESETS, Contrast, Published, Study

__all__ = [
    "PRESETS",
    "Contrast",
    "Published",
    "Study",
    "SweepFailed",
    "SweepInterrupted",
    "SweepRefused",
    "main",
    "open_sweep",
    "run_sweep",
]
