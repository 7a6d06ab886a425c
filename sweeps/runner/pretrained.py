"""Pretrained weights of a sweep: which pairs of weights and backbone its recipes need, and where they are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from cluster.refused import Refused, collect
from search_spaces.space import Arm
from trainables import source_model, weights
from trainables.backbones import build
from trainables.node import find_weights
from trainables.recipe import Recipe

_SHOWN = 80  # characters of a path that is too long


def pretrained_of(arms: Sequence[Arm]) -> tuple[tuple[str, str], ...]:
    """Weights and backbones that the arms' recipes can have, each pair once."""
    pairs = (
        pair
        for arm in arms
        for pair in itertools.product(arm.possible("weights"), arm.possible("backbone"))
    )
    return tuple(dict.fromkeys(pairs))


def check_weights(flag: str | None, arms: Sequence[Arm]) -> tuple[str, ...]:
    """Read local weights and hold them against each network; what is downloaded or made is looked at later.

    Imagenet weights that were downloaded before are held against their hash.

    Args:
        flag: `--weights`, looked at alone where the arms are not known.
        arms: Their recipes say which weights are needed.

    Returns:
        A line for each file of which only a part is taken.

    Raises:
        Refused: Weights that are not there or do not fit.
    """
    names = (*weights.NAMES, source_model.NAME)
    problems: list[str] = []
    notes: list[str] = []
    pairs = pretrained_of(arms) or (((flag, ""),) if flag else ())
    for backbone in [backbone for chosen, backbone in pairs if chosen == "imagenet" and backbone]:
        collect(problems, partial(weights.check_cached, backbone))
    for chosen in dict.fromkeys(chosen for chosen, _ in pairs if chosen not in names):
        backbones = [backbone for other, backbone in pairs if other == chosen]
        path = Path(chosen).expanduser()
        try:
            there = path.exists()
        except OSError as error:  # a name too long, a folder closed to us
            problems.append(
                f"--weights must be a path that can be read, but {_short(chosen)} cannot ({error.strerror}): {weights.MEND}."
            )
            continue
        if not there:
            problems.append(
                f"--weights must be {', '.join(names)} or an existing path, but got {chosen!r}."
            )
        elif path.is_file() and len(backbones) > 1:
            problems.append(
                f"--weights is one file, but the arms have {', '.join(backbones)}: pass a folder of <backbone>.pt, "
                f"or one backbone's arms with --arms '{backbones[0]}/*'."
            )
        else:
            for backbone in backbones if arms else ():
                stem = (
                    next(arm for arm in arms if backbone in arm.possible("backbone"))
                    .default_recipe()
                    .stem
                )
                recipe = Recipe(backbone=backbone, weights=chosen, stem=stem)
                if note := collect(problems, partial(_load, recipe)):
                    notes.append(note)
    if problems:
        raise Refused(*problems)
    return tuple(notes)


def locate(chosen: str, backbone: str, cache: Path, say: Callable[[str], None]) -> Path | None:
    """The file with a backbone's weights, downloaded or made if need be; `say` shows a line before what takes long."""
    if chosen == source_model.NAME and not source_model.path(backbone, cache).is_file():
        say(f"Training the demo's source {backbone} on the digits 0-4: once, half a minute.")
    return find_weights(chosen, backbone, cache)


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _load(recipe: Recipe) -> str:
    path = weights.locate(recipe.weights, recipe.backbone)
    if path is None:
        return ""
    weights.check(path)
    return weights.load(build(recipe, num_classes=2), path, recipe.backbone)
