"""How the CPUs and GPUs of a machine or a cluster are cut into slots, one trial each. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

CPU_SLOTS_AT_MOST = 8
"""More trials at once leave TPE blind to each other's results; the cores beyond give each slot more threads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slots:
    """Equal places for trials.

    Attributes:
        count: Trials that run at once.
        cpus: CPUs of each; on the CPU these are the threads of its training.
        gpus: GPUs of each, a fraction where trials share one, 0 on the CPU.
        device: Where trials compute.
    """

    count: int
    cpus: int
    gpus: float
    device: Literal["cpu", "cuda"]

    @property
    def devices_per_trial(self) -> float:
        """What a second of a trial costs in device-seconds: GPUs on GPUs, cores on the CPU."""
        return self.gpus if self.device == "cuda" else float(self.cpus)

    @property
    def whole_gpus(self) -> int:
        """GPUs that all slots together occupy."""
        return math.ceil(self.count / _per_gpu(self.gpus)) if self.gpus else 0

    @property
    def unit(self) -> str:
        """Unit of the cost of a trial."""
        return "GPU-hours" if self.device == "cuda" else "core-hours"

    def describe(self) -> str:
        """In words: `2 slots of 1 CPU`."""
        of = (
            f"{self.gpus:g} GPU and {self.cpus} CPU"
            if self.device == "cuda"
            else f"{self.cpus} CPU"
        )
        return f"{self.count} slot{'s' if self.count != 1 else ''} of {of}"


def cpu_slots(cpus: int) -> Slots:
    """Slots on CPUs alone: one core each, or where there are many, the equal cut that shares no core and idles fewest.

    Training alone is as fast either way (`benchmarks/slots.py`; figures in `benchmarks/README.md`). But in a sweep one trial
    trains while the other saves, reports or starts.
    """
    few = range(CPU_SLOTS_AT_MOST // 2 + 1, CPU_SLOTS_AT_MOST + 1)
    count = (
        max(1, cpus) if cpus <= CPU_SLOTS_AT_MOST else max(few, key=lambda n: (n * (cpus // n), n))
    )
    return Slots(count=count, cpus=max(1, cpus // count), gpus=0.0, device="cpu")


def gpu_slots(cpus: int, gpus: int, gpus_per_trial: float) -> Slots:
    """Slots on GPUs, each with its share of the CPUs.

    Args:
        cpus: All CPUs that the sweep may use.
        gpus: All GPUs that the sweep may use, at least 1.
        gpus_per_trial: In (0, 1].
    """
    count = gpus * _per_gpu(gpus_per_trial)
    return Slots(count=count, cpus=max(1, cpus // count), gpus=gpus_per_trial, device="cuda")


def cluster_slots(nodes: Sequence[tuple[int, int]], gpus: int, gpus_per_trial: float) -> Slots:
    """Slots that fit on the nodes one by one: a trial never spans two.

    Args:
        nodes: CPUs and GPUs of each node.
        gpus: GPUs of all nodes that the sweep may use; 0 trains on CPUs.
        gpus_per_trial: In (0, 1].

    Raises:
        ValueError: A GPU node has fewer CPUs than trials, or there is no CPU at all.
    """
    if gpus:
        shares = [
            node_cpus // (node_gpus * _per_gpu(gpus_per_trial))
            for node_cpus, node_gpus in nodes
            if node_gpus
        ]
        if min(shares) == 0:
            raise ValueError(
                "each trial needs a CPU, but a node has fewer CPUs than trials: raise --gpus-per-trial."
            )
        return replace(gpu_slots(0, gpus, gpus_per_trial), cpus=min(shares))
    largest = max((node_cpus for node_cpus, _ in nodes), default=0)
    if largest == 0:
        raise ValueError("each trial needs a CPU, but the cluster has none: add nodes.")
    each = min(cpu_slots(sum(node_cpus for node_cpus, _ in nodes)).cpus, largest)
    count = min(CPU_SLOTS_AT_MOST, sum(node_cpus // each for node_cpus, _ in nodes))
    return Slots(count=count, cpus=each, gpus=0.0, device="cpu")


def fitting(nodes: Sequence[tuple[int, int]], slots: Slots, gpus: int | None) -> int:
    """How many slots of one kind fit on nodes that may have come or gone since they were cut.

    Args:
        nodes: CPUs and GPUs of each node that is there now.
        slots: As they were cut.
        gpus: GPUs of all nodes that the sweep may use; None is all there are.
    """
    if slots.device == "cpu":
        return min(CPU_SLOTS_AT_MOST, sum(node_cpus // slots.cpus for node_cpus, _ in nodes))
    each = _per_gpu(slots.gpus)
    fit = sum(min(node_gpus * each, node_cpus // slots.cpus) for node_cpus, node_gpus in nodes)
    return fit if gpus is None else min(fit, gpus * each)


def _per_gpu(gpus_per_trial: float) -> int:
    """A fraction is cut out of one GPU, never out of two."""
    return int(1 / gpus_per_trial + 1e-9)
