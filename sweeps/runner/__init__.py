"""How a sweep runs. A study file needs these names only."""

import cluster.early_interrupt  # noqa: F401 - first of all, since the others take time
from sweeps.runner.cli import main
from sweeps.runner.study import PRESETS, Contrast, Published, Study

__all__ = ["PRESETS", "Contrast", "Published", "Study", "main"]
