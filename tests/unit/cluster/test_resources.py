"""Slots share no core and cut no trial out of two GPUs."""

import pytest

from cluster.resources import (
    CPU_SLOTS_AT_MOST,
    Slots,
    cluster_slots,
    cpu_slots,
    fitting,
    gpu_slots,
    in_memory,
)

FRACTIONS = (0.01, 0.1, 0.25, 0.3, 0.34, 0.5, 0.6, 1.0)


@pytest.mark.parametrize("cpus", [*range(1, 40), 64, 96, 128, 255])
def test_cpu_slots_share_no_core_and_idle_few(cpus: int) -> None:
    slots = cpu_slots(cpus)
    idle = cpus - slots.count * slots.cpus
    assert idle >= 0
    assert 1 <= slots.count <= CPU_SLOTS_AT_MOST
    assert idle == 0 or (cpus > CPU_SLOTS_AT_MOST and idle <= 4)
    assert (slots.gpus, slots.device, slots.whole_gpus) == (0.0, "cpu", 0)


@pytest.mark.parametrize(
    ("cpus", "count", "each"), [(1, 1, 1), (2, 2, 1), (8, 8, 1), (12, 6, 2), (16, 8, 2), (20, 5, 4)]
)
def test_a_core_is_a_slot_until_there_are_many(cpus: int, count: int, each: int) -> None:
    assert (cpu_slots(cpus).count, cpu_slots(cpus).cpus) == (count, each)


def test_no_cpu_at_all_still_gives_a_slot() -> None:
    assert cpu_slots(0).count == 1


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("gpus", [1, 2, 3, 4, 8, 10, 64])
def test_fractions_never_exceed_a_gpu_and_all_slots_find_one(gpus: int, fraction: float) -> None:
    slots = gpu_slots(64, gpus, fraction)
    on_each = slots.count / gpus
    assert on_each == int(on_each) >= 1
    assert on_each * fraction <= 1 + 1e-9
    assert (on_each + 1) * fraction > 1
    assert slots.whole_gpus == gpus
    assert (slots.gpus, slots.device) == (fraction, "cuda")


@pytest.mark.parametrize(
    ("fraction", "count"),
    [(0.25, 8), (0.3, 6), (1 / 3, 6), (0.5, 4), (0.1, 20), (0.51, 2), (1, 2)],
    ids=str,
)
def test_two_gpus_hold_this_many_trials(fraction: float, count: int) -> None:
    assert gpu_slots(16, 2, fraction).count == count


def test_a_trial_on_a_gpu_gets_its_share_of_the_cpus_and_at_least_one() -> None:
    assert gpu_slots(16, 2, 1).cpus == 8
    assert gpu_slots(16, 2, 0.25).cpus == 2
    assert gpu_slots(15, 4, 1).cpus == 3
    assert gpu_slots(2, 4, 0.25).cpus == 1


def test_cost_and_words() -> None:
    cpu, gpu = cpu_slots(12), gpu_slots(8, 2, 0.5)
    assert (cpu.devices_per_trial, cpu.unit, cpu.describe()) == (
        2.0,
        "core-hours",
        "6 slots of 2 CPU",
    )
    assert (gpu.devices_per_trial, gpu.unit, gpu.describe()) == (
        0.5,
        "GPU-hours",
        "4 slots of 0.5 GPU and 2 CPU",
    )
    assert Slots(count=1, cpus=1, gpus=0, device="cpu").describe() == "1 slot of 1 CPU"


@pytest.mark.parametrize(
    ("nodes", "gpus", "share", "count", "cpus"),
    [
        (((64, 0), (8, 4)), 4, 1.0, 4, 2),  # the head's many CPUs help no GPU node
        (((16, 4), (8, 4)), 8, 0.5, 16, 1),
        (((1, 0),) * 40, 0, 1.0, CPU_SLOTS_AT_MOST, 1),  # a trial of five CPUs would fit nowhere
        (((4, 0), (2, 0)), 0, 1.0, 6, 1),
    ],
)
def test_a_trial_fits_on_one_node(
    nodes: tuple[tuple[int, int], ...], gpus: int, share: float, count: int, cpus: int
) -> None:
    slots = cluster_slots(nodes, gpus, share)
    assert (slots.count, slots.cpus) == (count, cpus)


@pytest.mark.parametrize(
    "nodes", [((4, 0),), ((2, 0), (6, 0)), ((8, 2), (3, 1)), ((16, 4), (16, 4), (5, 0))], ids=str
)
@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_where_no_node_came_or_went_as_many_slots_fit_as_were_cut(
    nodes: tuple[tuple[int, int], ...], fraction: float
) -> None:
    gpus = sum(of_node for _, of_node in nodes)
    slots = cluster_slots(nodes, gpus, fraction)
    assert fitting(nodes, slots, None) == fitting(nodes, slots, gpus) == slots.count


def test_a_node_that_was_added_holds_as_many_slots_as_it_has_gpus_and_cpus_for() -> None:
    slots = cluster_slots(((8, 2),), 2, 1.0)
    assert slots.cpus == 4
    assert fitting(((8, 2), (8, 2)), slots, None) == 4
    assert fitting(((8, 2), (6, 2)), slots, None) == 3, "its CPUs are enough for one"
    assert fitting(((8, 2), (8, 2)), slots, 3) == 3
    assert fitting((), slots, None) == 0


@pytest.mark.parametrize(
    ("cpus", "memory", "count", "each"),
    [(2, 2 * 10**9, 1, 2), (8, 4 * 10**9, 2, 4), (2, 4 * 10**9, 2, 1), (1, 10**9, 1, 1)],
)
def test_no_more_trials_run_than_the_memory_holds(
    cpus: int, memory: int, count: int, each: int
) -> None:
    slots = in_memory(cpu_slots(cpus), memory)
    assert (slots.count, slots.cpus) == (count, each)
