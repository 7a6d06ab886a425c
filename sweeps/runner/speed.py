"""Sharing between the trials of a sweep: stored activations, and one choice of kernels for all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from cluster.resources import Slots
from search_spaces.space import Arm, Int
from trainables.compute import Compute, choose
from trainables.frozen_features import cuts_of
from trainables.recipe import LAYER_GROUPS, Recipe

# Seconds between reports and checkpoints where epochs are shorter: with a head alone an epoch takes
# 10 ms, a report 5. `DVT_REPORT_EVERY` sets another number.
REPORT_EVERY = 10.0

# The share of the free disk that stored activations may take; `DVT_CACHE_SHARE` sets another one.
CACHE_SHARE = 0.3


def cache_share() -> float:
    """Return the share of the free disk for stored activations.

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
            "DVT_CACHE_SHARE must be a share of the free disk, over 0 and at most 1, "
            f"but got {given!r}."
        )
    return share


def report_every() -> float:
    """Return the seconds between the reports of a trial whose epochs are shorter.

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
    """Return the layer groups before which trials of a backbone can be cut, in forward order."""
    names: set[str] = set()
    for arm in arms:
        if backbone not in arm.possible("backbone"):
            continue
        for layers, epochs in product(trainable_layers(arm), arm.possible("stage1_epochs")):
            names |= set(cuts_of(layers, epochs))
    return tuple(name for name in LAYER_GROUPS if name in names)


def not_shared(arms: Sequence[Arm]) -> list[str]:
    """Return a line for each reason why trials compute frozen layers for themselves."""
    moving = [arm.name for arm in arms if "batch_stats" in arm.possible("batchnorm")]
    mixed = [arm.name for arm in arms if max(arm.possible("mixup")) > 0]
    lines = []
    if moving:
        lines.append(
            f"Activations are not shared with batchnorm=batch_stats ({', '.join(moving)}): "
            "its frozen layers change."
        )
    if mixed:
        lines.append(
            f"Activations of training images are not shared with mixup ({', '.join(mixed)}): "
            "it mixes pixels."
        )
    return lines


def choose_compute(
    arms: Sequence[Arm],
    num_classes: int,
    slots: Slots,
    cache: Path,
    say: Callable[[str], None],
) -> Compute:
    """Return precision and kernels for this machine.

    Convolutions are timed where the cache does not know them.
    """
    recipes: list[Recipe] = []
    for arm in arms:
        layers = max(trainable_layers(arm))
        for backbone in arm.possible("backbone"):
            recipe = arm.recipe(arm.sample_with({"backbone": backbone}))
            recipes.append(replace(recipe, trainable_layers=layers))

    # Of each network, the recipe that trains the most layers: it comes last.
    largest: dict[tuple[str, str, int], Recipe] = {}
    for recipe in sorted(recipes, key=lambda recipe: recipe.trainable_layers):
        largest[recipe.backbone, recipe.stem, recipe.image_size] = recipe
    return choose(
        list(largest.values()), num_classes, slots.device, threads=slots.cpus, cache=cache, say=say
    )


def trainable_layers(arm: Arm) -> Iterable[int]:
    """Return every number of trainable layers that the arm's recipes can have."""
    dim = arm.tuned.get("trainable_layers")
    if isinstance(dim, Int):
        return range(dim.low, dim.high + 1)
    return arm.possible("trainable_layers")
