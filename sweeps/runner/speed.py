"""What makes the trials of a sweep fast together: activations that they share, and the same choice of kernels for all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from search_spaces.space import Arm, Int
from trainables.compute import Compute, choose
from trainables.prefix import cuts_of
from trainables.recipe import LAYER_GROUPS

REPORT_EVERY = 10.0
"""Seconds between reports and checkpoints where epochs are shorter: with a head alone an epoch takes 10 ms, a report 5.
`DVT_REPORT_EVERY` sets another number."""

CACHE_SHARE = 0.3
"""Of the free disk that stored activations may take; `DVT_CACHE_SHARE` sets another one."""


def cache_share() -> float:
    """The share of the free disk for stored activations.

    Raises:
        ValueError: `DVT_CACHE_SHARE` is no share.
    """
    given = os.environ.get("DVT_CACHE_SHARE")
    try:
        share = float(given) if given else CACHE_SHARE
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ValueError(
            f"DVT_CACHE_SHARE must be a share of the free disk, over 0 and at most 1, but got {given!r}."
        )
    return share


def report_every() -> float:
    """Seconds between the reports of a trial whose epochs are shorter.

    Raises:
        ValueError: `DVT_REPORT_EVERY` is no number of seconds.
    """
    given = os.environ.get("DVT_REPORT_EVERY")
    try:
        seconds = float(given) if given else REPORT_EVERY
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise ValueError(f"DVT_REPORT_EVERY must be seconds from 0 to 3600, but got {given!r}.")
    return seconds


def cuts(arms: Sequence[Arm], backbone: str) -> tuple[str, ...]:
    """Where trials of a backbone can be cut, in forward order."""
    found: set[str] = set()
    for arm in arms:
        if backbone in arm.possible("backbone"):
            for layers in trainable_layers(arm):
                found |= set().union(
                    *(cuts_of(layers, epochs) for epochs in arm.possible("stage1_epochs"))
                )
    return tuple(name for name in LAYER_GROUPS if name in found)


def not_shared(arms: Sequence[Arm]) -> list[str]:
    """A line for each reason why trials compute frozen layers for themselves."""
    frozen = [arm.name for arm in arms if "batch_stats" in arm.possible("batchnorm")]
    mixed = [arm.name for arm in arms if max(arm.possible("mixup")) > 0]
    lines = []
    if frozen:
        lines.append(
            f"Activations are not shared with batchnorm=batch_stats ({', '.join(frozen)}): its frozen layers change."
        )
    if mixed:
        lines.append(
            f"Activations of training images are not shared with mixup ({', '.join(mixed)}): it mixes pixels."
        )
    return lines


def choose_compute(
    arms: Sequence[Arm],
    num_classes: int,
    device: str,
    threads: int,
    cache: Path,
    say: Callable[[str], None],
) -> Compute:
    """Precision and kernels for this machine; convolutions are timed where the cache does not know them."""
    recipes = [
        replace(
            arm.recipe(arm.sample_with({"backbone": backbone})),
            trainable_layers=max(trainable_layers(arm)),
        )
        for arm in arms
        for backbone in arm.possible("backbone")
    ]
    largest = {
        (r.backbone, r.stem, r.image_size): r
        for r in sorted(recipes, key=lambda recipe: recipe.trainable_layers)
    }
    return choose(
        list(largest.values()), num_classes, device, threads=threads, cache=cache, say=say
    )


def trainable_layers(arm: Arm) -> Iterable[int]:
    """Every value that the arm's recipes can have."""
    dim = arm.tuned.get("trainable_layers")
    return (
        range(dim.low, dim.high + 1) if isinstance(dim, Int) else arm.possible("trainable_layers")
    )
