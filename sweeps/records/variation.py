"""Which fields of their recipes all trials of a sweep share, and which of them vary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.recipe import Recipe

# Of an arm's recipe in a sweep's description: its `fixed` and its `tuned` fields by name.
Definition = Mapping[str, Mapping[str, Mapping[str, Any]]]


def shared_fields(arms: Definition) -> dict[str, Any]:
    """Return the recipe's fields that nothing tunes and that are the same in all arms.

    Args:
        arms: As `manifest.definition` describes them.
    """
    shared = {}
    for name in Recipe.field_names():
        default = getattr(Recipe(), name)
        values = [arm["fixed"].get(name, default) for arm in arms.values()]
        tuned = any(name in arm["tuned"] for arm in arms.values())
        if values and not tuned and values.count(values[0]) == len(values):
            shared[name] = values[0]
    return shared


def varied_fields(arms: Definition) -> tuple[str, ...]:
    """Return the names of all other fields, in the recipe's order; none of arms that nobody knows."""
    if not arms:
        return ()
    shared = shared_fields(arms)
    return tuple(name for name in Recipe.field_names() if name not in shared)
