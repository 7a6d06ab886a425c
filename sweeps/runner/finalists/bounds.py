"""What the champion's bound on size leaves: known from the networks alone, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from search_spaces.space import Arm
from sweeps.records.champion import Bounds, Cost
from trainables.backbones import count_parameters
from trainables.recipe import Recipe


def check_size(bounds: Bounds, arms: Sequence[Arm], classes: int) -> tuple[str, ...]:
    """Return a line for the arms that are compared and cannot become the champion.

    Raises:
        ValueError: No arm's network is small enough.
    """
    if bounds.mb is None:
        return ()
    sizes = {arm.name: _megabytes(arm, classes) for arm in arms}
    large = [name for name, size in sizes.items() if size > bounds.mb]
    smallest = min(sizes.values(), default=0.0)
    if sizes and len(large) == len(sizes):
        raise ValueError(
            f"--max-mb must leave a network, but the smallest has {smallest:.1f} MB of weights and "
            f"{bounds.mb:g} is asked for: pass {smallest + 0.1:.1f} or more, or compare smaller "
            "backbones."
        )
    if not large:
        return ()
    return (f"Compared, but too large for --max-mb {bounds.mb:g}: {', '.join(large)}.",)


def _megabytes(arm: Arm, classes: int) -> float:
    """Return the size of the smallest network of an arm, by its default recipe's other fields."""
    sizes = []
    for backbone in arm.possible("backbone"):
        values = {**arm.default_recipe().as_dict(), "backbone": backbone}
        parameters = count_parameters(Recipe.from_sample(values), classes)
        sizes.append(Cost(float(parameters), float("nan")).megabytes)
    return min(sizes)
