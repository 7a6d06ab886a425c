"""How the CPUs and GPUs of a machine or a cluster are cut into slots, one trial each.

Pure arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

CPU_SLOTS_AT_MOST = 8
"""More trials at once leave TPE blind to each other's results; further cores give more threads."""
# What a sweep is taken to hold in memory, and each of its trials beside that: the demo with 2
# trials at once holds 3.7 GB (`benchmarks/memory.py`).
SWEEP_BYTES = 1_200_000_000
TRIAL_BYTES = 1_250_000_000


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
        """Device-seconds per second of a trial: GPUs on GPUs, cores on the CPU."""
        if self.device == "cuda":
            return self.gpus
        return float(self.cpus)

    @property
    def whole_gpus(self) -> int:
        """GPUs that all slots together occupy."""
        if not self.gpus:
            return 0
        return math.ceil(self.count / _per_gpu(self.gpus))

    @property
    def unit(self) -> str:
        """Unit of a trial's cost."""
        return "GPU-hours" if self.device == "cuda" else "core-hours"

    def describe(self) -> str:
        """Return it in words: `2 slots of 1 CPU`."""
        size = f"{self.cpus} CPU"
        if self.device == "cuda":
            size = f"{self.gpus:g} GPU and {size}"
        plural = "" if self.count == 1 else "s"
        return f"{self.count} slot{plural} of {size}"


def cpu_slots(cpus: int) -> Slots:
    """Return slots on CPUs alone: one core each, or an equal cut of many cores.

    That cut shares no core and leaves the fewest idle. Training alone is as fast either way
    (`benchmarks/slots.py`; figures in `benchmarks/README.md`). But in a sweep one trial trains
    while the other saves, reports or starts.
    """
    count = max(1, cpus)
    # The count that uses the most cores; of equal ones the largest.
    if cpus > CPU_SLOTS_AT_MOST:
        counts = range(CPU_SLOTS_AT_MOST // 2 + 1, CPU_SLOTS_AT_MOST + 1)
        count = max(counts, key=lambda n: (n * (cpus // n), n))
    return Slots(count=count, cpus=max(1, cpus // count), gpus=0.0, device="cpu")


def in_memory(slots: Slots, memory: int) -> Slots:
    """Return slots on CPUs of which no more run at once than the memory holds; one at least.

    Args:
        slots: As the CPUs alone would have them.
        memory: Bytes.
    """
    count = max(1, (memory - SWEEP_BYTES) // TRIAL_BYTES)
    if count >= slots.count:
        return slots
    return replace(slots, count=count, cpus=slots.count * slots.cpus // count)


def gpu_slots(cpus: int, gpus: int, gpus_per_trial: float) -> Slots:
    """Return slots on GPUs, each with its share of the CPUs.

    Args:
        cpus: All CPUs that the sweep may use.
        gpus: All GPUs that the sweep may use, at least 1.
        gpus_per_trial: In (0, 1].
    """
    count = gpus * _per_gpu(gpus_per_trial)
    return Slots(count=count, cpus=max(1, cpus // count), gpus=gpus_per_trial, device="cuda")


def cluster_slots(nodes: Sequence[tuple[int, int]], gpus: int, gpus_per_trial: float) -> Slots:
    """Return slots that fit on the nodes one by one: a trial never spans two.

    Args:
        nodes: CPUs and GPUs of each node.
        gpus: GPUs of all nodes that the sweep may use; 0 trains on CPUs.
        gpus_per_trial: In (0, 1].

    Raises:
        ValueError: A GPU node has fewer CPUs than trials, or there is no CPU at all.
    """
    # On GPUs: the CPUs go by the node that has the fewest per trial.
    if gpus:
        share = _smallest_share(nodes, gpus_per_trial)
        if share == 0:
            raise ValueError(
                "each trial needs a CPU, but a node has fewer CPUs than trials: "
                "raise --gpus-per-trial."
            )
        return replace(gpu_slots(0, gpus, gpus_per_trial), cpus=share)

    # On CPUs: as on one machine with all of them, but no slot larger than the largest node.
    cpus = [node_cpus for node_cpus, _ in nodes]
    largest = max(cpus, default=0)
    if largest == 0:
        raise ValueError("each trial needs a CPU, but the cluster has none: add nodes.")
    each = min(cpu_slots(sum(cpus)).cpus, largest)
    return Slots(count=_cpu_slots_of(cpus, each), cpus=each, gpus=0.0, device="cpu")


def fitting(nodes: Sequence[tuple[int, int]], slots: Slots, gpus: int | None) -> int:
    """Return how many slots of one kind fit on nodes that may have changed since they were cut.

    Args:
        nodes: CPUs and GPUs of each node that is there now.
        slots: As they were cut.
        gpus: GPUs of all nodes that the sweep may use; None is all there are.
    """
    # A trial takes its CPUs, and its GPU or share of one, from one node.
    if slots.device == "cpu":
        return _cpu_slots_of([node_cpus for node_cpus, _ in nodes], slots.cpus)
    per_gpu = _per_gpu(slots.gpus)
    fit = 0
    for node_cpus, node_gpus in nodes:
        fit += min(node_gpus * per_gpu, node_cpus // slots.cpus)
    if gpus is None:
        return fit
    return min(fit, gpus * per_gpu)


def _smallest_share(nodes: Sequence[tuple[int, int]], gpus_per_trial: float) -> int:
    """Return the CPUs per trial on the GPU node that has the fewest."""
    shares = []
    for node_cpus, node_gpus in nodes:
        if node_gpus:
            shares.append(node_cpus // (node_gpus * _per_gpu(gpus_per_trial)))
    return min(shares)


def _cpu_slots_of(cpus: Sequence[int], each: int) -> int:
    """Return how many slots of so many CPUs are cut on nodes with these."""
    return min(CPU_SLOTS_AT_MOST, sum(of_node // each for of_node in cpus))


def _per_gpu(gpus_per_trial: float) -> int:
    """Return the trials per GPU: a fraction is cut out of one GPU, never out of two."""
    return int(1 / gpus_per_trial + 1e-9)
