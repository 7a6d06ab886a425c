"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Return the processor, versions and the commit; `machine()["cpu"]` is its name."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "torch": version("torch"),
        "ray": version("ray"),
        "commit": commit(),
    }


def commit() -> str | None:
    """Return what is checked out, and whether it was changed; None where git cannot tell."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        git = subprocess.run([*command, "--abbrev=40"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return git.stdout.strip() or None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return models[0] if models else platform.processor() or platform.machine()
