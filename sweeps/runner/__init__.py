"""How a sweep runs. A study file needs these two names only."""

from sweeps.runner.cli import main
from sweeps.runner.study import Sweep

__all__ = ["Sweep", "main"]
