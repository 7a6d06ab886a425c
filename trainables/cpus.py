"""The CPUs that this process may use, which are fewer than the machine has in many a container."""

from __future__ import annotations

import os

from trainables.cgroups import cpu_limit


def available_cpus() -> int:
    """Return the number of CPUs by this process's affinity and its container's quota; 1 or more."""
    if hasattr(os, "sched_getaffinity"):
        cpus = len(os.sched_getaffinity(0))
    else:
        cpus = os.cpu_count() or 1
    limit = cpu_limit()
    if limit is None:
        return cpus
    # A container may have half the time of a CPU, but not half a thread: at least 1.
    return max(1, min(cpus, int(limit)))
