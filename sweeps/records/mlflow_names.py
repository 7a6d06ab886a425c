"""The names that a sweep's comparisons have in MLflow."""

from __future__ import annotations

import re


def comparison(name: str) -> str:
    """Return the metric of a comparison's difference."""
    return f"comparison/{_plain(name)}"


def verdict(name: str) -> str:
    """Return the tag of a comparison's verdict."""
    return f"sweep.verdict.{_plain(name)}"


def _plain(name: str) -> str:
    """Return a comparison's name as MLflow takes one for a metric."""
    return re.sub(r"[^\w .-]", "_", name, flags=re.ASCII)
