"""The CPUs that this process may use, which are fewer than the machine has in many a container."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cpus() -> int:
    """Return the number of CPUs by this process's affinity and its container's quota; 1 or more."""
    if hasattr(os, "sched_getaffinity"):
        cpus = len(os.sched_getaffinity(0))
    else:
        cpus = os.cpu_count() or 1
    # A container may have half the time of a CPU, but not half a thread: at least 1.
    try:
        quota, period = QUOTA.read_text().split()
    except (OSError, ValueError):  # no control groups of version 2 here
        return cpus
    if quota == "max":
        return cpus
    return max(1, min(cpus, int(quota) // int(period)))
