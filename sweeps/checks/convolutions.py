"""The check of torch's convolutions: whether they are right on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cluster.resources import cpu_slots
from sweeps.checks.finding import Finding
from trainables.cpus import available_cpus


def convolutions(cache: Path, image_size: int) -> Iterator[Finding]:
    """Compare torch's convolutions with plain ones, as all backbones would use them at a size.

    What is found is remembered in the cache, where sweeps find it.
    """
    from trainables.backbones import BACKBONES
    from trainables.compute import choose, of_wrong
    from trainables.device import count_gpus
    from trainables.recipe import LAYER_GROUPS, Recipe

    if count_gpus():
        yield Finding("ok", "cuDNN's, which are not compared")
        return
    whole = Recipe(weights="none", image_size=image_size, trainable_layers=len(LAYER_GROUPS))
    recipes = [replace(whole, backbone=name) for name in BACKBONES]
    threads = cpu_slots(available_cpus()).cpus
    try:
        compute = choose(recipes, 2, "cpu", threads=threads, cache=cache, say=lambda _: None)
    except OSError as error:
        # The check of the cache says what to do.
        yield Finding("warning", f"not compared, since what is found is kept in the cache: {error}")
        return
    if compute.wrong:
        mend = "nothing needs to be done; another version of torch may be right and faster."
        yield Finding("warning", of_wrong(compute.wrong, compute.precision), mend)
        return
    networks = f"{', '.join(BACKBONES)} at {image_size} px in {compute.precision}"
    faster = f"another way is faster at {len(compute.convolutions)} of them"
    yield Finding("ok", f"torch's are right at all shapes of {networks}; {faster}")
