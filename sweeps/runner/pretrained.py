"""Pretrained weights: the pairs of weights and backbone that a sweep needs, and their files."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from cluster.refused import Refused, collect
from search_spaces.space import Arm
from sweeps.runner.progress import Progress
from trainables import source_model, weights
from trainables.backbones import build
from trainables.node import find_weights
from trainables.recipe import Recipe
from trainables.weights import RANDOM, Weights

# Weights that have a name; all others are a path.
NAMES = (*weights.NAMES, source_model.NAME)

# Characters of a path that is too long.
_SHOWN = 80


def pretrained_of(arms: Sequence[Arm]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of weights and backbone that the arms' recipes can have, each once."""
    pairs: list[tuple[str, str]] = []
    for arm in arms:
        pairs += itertools.product(arm.possible("weights"), arm.possible("backbone"))
    return tuple(dict.fromkeys(pairs))


def check_weights(flag: str | None, arms: Sequence[Arm]) -> tuple[str, ...]:
    """Read local weights and compare them with each network.

    Weights that are yet to be downloaded or made are looked at later; ImageNet weights that were
    downloaded before are compared with their hash.

    Args:
        flag: `--weights`, looked at alone where the arms are not known.
        arms: Their recipes say which weights are needed.

    Returns:
        A line for each file of which only a part is taken.

    Raises:
        Refused: Weights that are not there or do not fit.
    """
    problems: list[str] = []
    notes: list[str] = []
    pairs = pretrained_of(arms)
    if not pairs and flag:
        pairs = ((flag, ""),)

    # Backbones by weights; those without a name are files and folders.
    backbones: dict[str, list[str]] = {}
    for chosen, backbone in pairs:
        backbones.setdefault(chosen, []).append(backbone)
    for backbone in filter(None, backbones.get("imagenet", [])):
        collect(problems, partial(weights.check_cached, backbone))
    for chosen, needed in backbones.items():
        if chosen in NAMES:
            continue
        problem = _path_problem(chosen, needed)
        if problem:
            problems.append(problem)
        elif arms:
            lines = [collect(problems, partial(_load, chosen, name, arms)) for name in needed]
            notes += filter(None, lines)
    if problems:
        raise Refused(*problems)
    return tuple(notes)


def located(
    pairs: Iterable[tuple[str, str]], cache: Path, progress: Progress
) -> dict[tuple[str, str], Weights]:
    """Return the file and digest of each pair of weights and backbone.

    They are downloaded or made if need be.

    Raises:
        Refused: Each that cannot be had.
    """
    problems: list[str] = []
    files: dict[tuple[str, str], Weights] = {}
    for chosen, backbone in dict.fromkeys(pairs):
        with progress.doing(f"Getting weights of {backbone}"):
            path = collect(problems, partial(locate, chosen, backbone, cache, progress.say))
            files[chosen, backbone] = collect(problems, partial(Weights.of, path)) or RANDOM
    if problems:
        raise Refused(*problems)
    return files


def locate(chosen: str, backbone: str, cache: Path, say: Callable[[str], None]) -> Path | None:
    """Return the file with a backbone's weights, downloaded or made if need be.

    `say` shows a line before what takes long.
    """
    if chosen == source_model.NAME and not source_model.path(backbone, cache).is_file():
        say(f"Pretraining {backbone} on digits 0-4 for the demo (one-time, about 30 s).")
    return find_weights(chosen, backbone, cache)


def _path_problem(chosen: str, backbones: Sequence[str]) -> str:
    """Return what is wrong with a path to weights, as a line; empty where it can be read."""
    path = Path(chosen).expanduser()
    try:
        exists = path.exists()
    # The name is too long, or a folder closed to us.
    except OSError as error:
        return (
            f"--weights must be a path that can be read, but {_short(chosen)} cannot "
            f"({error.strerror}): {weights.MEND}."
        )
    if not exists:
        return f"--weights must be {', '.join(NAMES)} or an existing path, but got {chosen!r}."
    if path.is_file() and len(backbones) > 1:
        return (
            f"--weights is one file, but the arms have {', '.join(backbones)}: "
            "pass a folder of <backbone>.pt, "
            f"or one backbone's arms with --arms '{backbones[0]}/*'."
        )
    return ""


def _load(chosen: str, backbone: str, arms: Sequence[Arm]) -> str:
    """Load weights into the network of the first arm that has the backbone."""
    arm = next(arm for arm in arms if backbone in arm.possible("backbone"))
    recipe = Recipe(backbone=backbone, weights=chosen, stem=arm.default_recipe().stem)
    path = weights.locate(recipe.weights, recipe.backbone)
    if path is None:
        return ""
    weights.check(path)
    return weights.load(build(recipe, num_classes=2), path, recipe.backbone)


def _short(text: str) -> str:
    """Return a path as it is shown, cut where it is too long."""
    if len(text) > _SHOWN:
        text = f"{text[:_SHOWN]}…"
    return repr(text)
