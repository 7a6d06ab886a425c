"""A trial's first step, from the start of its process; and what a step takes of host and device."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu_parts.trials import (
    BACKBONES,
    CLASSES,
    SIZES,
    Size,
    recipe_of,
    say,
    synchronize,
)
from trainables.backbones import build
from trainables.compute import best_precision
from trainables.cpus import available_cpus
from trainables.data.augment import view
from trainables.frozen_features import Activations, _array
from trainables.network import Tail
from trainables.rows import Rows
from trainables.stages import stages, start_stage
from trainables.step import train_batch
from trainables.tricks.label_smoothing import smooth_targets

SLEEP_CYCLES = 200_000_000
"""About 0.1 s of a GPU, in which the host can queue a whole step."""

CUTS = {3: "layer3, layer4, fc", 2: "layer4, fc", 1: "fc"}


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTimes:
    """Milliseconds of a step.

    Attributes:
        host_ms: Of Python and CUDA's launches alone; None where the step itself waits for the
            device.
        device_ms: Of the device alone, everything queued before; None on a CPU.
        together_ms: As steps follow each other.
    """

    host_ms: float | None
    device_ms: float | None
    together_ms: float


def steps(size: Size, device: torch.device) -> dict[str, Any]:
    """Hold the host's time per step against the device's."""
    rows: list[dict[str, Any]] = []
    for backbone in BACKBONES:
        for layers, trained in (6, "all layers, from pixels"), *CUTS.items():
            step = _step(size, backbone, layers, device)
            times = step_times(step, device, size.repeats)
            name = f"{backbone}, {trained}"
            say(f"{name}: {verdict(times)}")
            rows.append({
                "backbone": backbone,
                "trained": trained,
                "host_ms": times.host_ms,
                "device_ms": times.device_ms,
                "together_ms": times.together_ms,
            })  # fmt: skip
    bound = [f"{row['backbone']} {row['trained']}" for row in rows if is_launch_bound(row)]
    conclusion = concluded(bound, measured=any(row["device_ms"] is not None for row in rows))
    say(conclusion)
    return {"rows": rows, "launch_bound": bound, "summary": conclusion}


def is_launch_bound(row: dict[str, Any]) -> bool:
    """Return whether the device waits for the host."""
    host = row["host_ms"]
    device = row["device_ms"]
    return host is not None and device is not None and host >= device


def verdict(times: StepTimes) -> str:
    """Say what bounds a step, in a sentence."""
    together = f"a step takes {times.together_ms:.2f} ms"
    if times.device_ms is None:
        return f"{together}; a CPU is host and device in one"
    if times.host_ms is None:
        return (
            f"{together}, {times.device_ms:.2f} ms of the device; the host waits for the device "
            "within the step, or more is launched than its queue holds"
        )
    parts = f"{together}: {times.host_ms:.2f} ms of the host, {times.device_ms:.2f} of the device"
    if times.host_ms >= times.device_ms:
        return f"{parts}; launch-bound"
    return f"{parts}; not launch-bound"


def concluded(bound: list[str], *, measured: bool) -> str:
    """Say what to try next."""
    if not measured:
        return "whether steps are launch-bound can only be told on a GPU"
    if not bound:
        return "no step is launch-bound: the device is busy while the host queues the next step"
    return (
        f"launch-bound, host time at least device time: {'; '.join(bound)}. "
        "CUDA graphs of the cached step are the next thing to try"
    )


def step_times(step: Callable[[], object], device: torch.device, repeats: int) -> StepTimes:
    """Time a step: of the host, of the device and as steps follow each other; medians.

    The device sleeps until a whole step is queued. So the host waits for nothing, and the device's
    events enclose its work without the gaps of a host that is slower.
    """
    # The first steps warm up.
    for _ in range(min(3, repeats)):
        step()
    synchronize(device)
    started = time.perf_counter()
    for _ in range(repeats):
        step()
    synchronize(device)
    together_ms = 1000 * (time.perf_counter() - started) / repeats
    if device.type == "cpu":
        return StepTimes(host_ms=together_ms, device_ms=None, together_ms=together_ms)
    hosts: list[float] = []
    devices: list[float] = []
    slept: list[float] = []
    for _ in range(repeats):
        asleep, begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(3))
        torch.cuda.synchronize()
        asleep.record()
        torch.cuda._sleep(SLEEP_CYCLES)
        begin.record()
        started = time.perf_counter()
        step()
        hosts.append(1000 * (time.perf_counter() - started))
        end.record()
        torch.cuda.synchronize()
        devices.append(begin.elapsed_time(end))
        slept.append(asleep.elapsed_time(begin))
    host_ms = statistics.median(hosts)
    waited = host_ms >= 0.9 * statistics.median(slept)
    return StepTimes(
        host_ms=None if waited else host_ms,
        device_ms=statistics.median(devices),
        together_ms=together_ms,
    )


def _step(size: Size, backbone: str, layers: int, device: torch.device) -> Callable[[], object]:
    """Return a training step as an epoch has it, from the pixels or from stored activations."""
    whole = layers == 6
    norm = "batch_stats" if whole else "frozen"
    recipe = recipe_of(size, backbone, trainable_layers=layers, batchnorm=norm)
    network = build(recipe, CLASSES).to(device).to(memory_format=torch.channels_last)
    network.precision = best_precision(device)
    optimizer = start_stage(recipe, network, stages(recipe)[-1])
    network.train_groups(layers, batch_stats=whole)
    # One batch, and where its rows come from.
    count = size.batch_size
    pixels = torch.randint(0, 256, (count, size.image_size, size.image_size, 3), dtype=torch.uint8)
    source = Rows(pixels.numpy(), device)
    labels_there = torch.arange(count, device=device) % CLASSES
    order = torch.randperm(count)
    stored: Activations | None = None
    if not whole:
        views = torch.rand(count, 3, size.image_size, size.image_size, device=device)
        stored = Activations(_array(network.activations(views)), device)
    model = Tail(network) if stored else network
    loss_sum = torch.zeros((), device=device)
    correct = torch.zeros((), device=device)

    def step() -> None:
        nonlocal loss_sum, correct
        there = order.to(device, non_blocking=True)
        labels = labels_there[there]
        targets = smooth_targets(labels, CLASSES, 0.0)
        if stored:
            inputs = stored.take(order)
        else:
            inputs = view(
                source.take(order),
                there,
                augmentation="none",
                image_size=size.image_size,
                seed=0,
                epoch=1,
            )
        logits, loss = train_batch(model, optimizer, inputs, targets)
        loss_sum += loss * len(labels)
        correct += (logits.argmax(1) == labels).sum()

    return step


def start(size: Size, device: torch.device, process_started: float) -> dict[str, Any]:
    """Follow a trial from the start of its process to its first step, and on a worker of Ray.

    Args:
        size: Of the step.
        device: Where.
        process_started: Seconds since 1970 at which this process was started.
    """
    figures: dict[str, Any] = {}
    for name, seconds in _alone(size, device, process_started):
        say(f"{name}: {seconds:.2f} s")
        figures[name] = round(seconds, 3)
    summary = f"{sum(figures.values()):.1f} s from the start of a process to its first step"
    if importlib.util.find_spec("ray") is None:
        say("on a worker of Ray: left out, since Ray is not installed")
        return figures | {"ray": None, "summary": f"{summary}; Ray is not installed"}
    of_ray: dict[str, float] = {}
    for name, seconds in _on_ray(device):
        say(f"{name}: {seconds:.2f} s")
        of_ray[name] = round(seconds, 3)
    summary += f", {of_ray['new worker to its first step']:.1f} s on a new worker of Ray"
    return figures | {"ray": of_ray, "summary": summary}


def _alone(size: Size, device: torch.device, process_started: float) -> Iterator[tuple[str, float]]:
    yield "process and imports", time.time() - process_started
    began = time.perf_counter()
    torch.zeros(1, device=device)
    synchronize(device)
    yield "device", time.perf_counter() - began
    began = time.perf_counter()
    step = _step(size, "resnet18", 6, device)
    synchronize(device)
    yield "network and data", time.perf_counter() - began
    began = time.perf_counter()
    step()
    synchronize(device)
    yield "first step", time.perf_counter() - began


def first_step(device_type: str) -> float:
    """Take a trial's first step in this process, and return the seconds that it took."""
    began = time.perf_counter()
    device = torch.device(device_type)
    _step(SIZES[device_type], "resnet18", 6, device)()
    synchronize(device)
    return time.perf_counter() - began


def _on_ray(device: torch.device) -> Iterator[tuple[str, float]]:
    from cluster.session import environment, session

    gpus = int(device.type == "cuda")
    with environment("local"):
        began = time.perf_counter()
        with session("local", cpus=available_cpus(), gpus=gpus, preload="trainables.preload"):
            import ray

            yield "Ray", time.perf_counter() - began
            began = time.perf_counter()
            worker = ray.remote(num_cpus=1, num_gpus=gpus)(Worker).remote()
            ray.get(worker.first_step.remote(device.type))
            yield "new worker to its first step", time.perf_counter() - began
            began = time.perf_counter()
            ray.get(worker.first_step.remote(device.type))
            yield "next trial on that worker to its first step", time.perf_counter() - began


class Worker:
    """A process of Ray's that trains."""

    def first_step(self, device_type: str) -> float:
        return first_step(device_type)
