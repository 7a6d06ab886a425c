"""The fields of a journal's lines: how each is read, whatever JSON a line holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from sweeps.records.results import Outcome
from trainables.metrics import EPOCH, VAL_SCORES, Score
from trainables.recipe import completed

LARGEST = 2**53  # up to here floats hold whole numbers exactly; no quantity comes near it

# The metrics of one epoch by name, with its number under `epoch`.
Epoch: TypeAlias = Mapping[str, Any]


def number(value: Any) -> float | None:
    """Return a number if it is finite and within bounds, else None."""
    if isinstance(value, int | float) and abs(value) < LARGEST:
        return value
    return None


def _numbers(values: Any) -> dict[str, float]:
    """Return the entries of a mapping that are numbers; none of what is no mapping."""
    sound: dict[str, float] = {}
    if not isinstance(values, dict):
        return sound
    for name, value in values.items():
        finite = number(value)
        if finite is not None:
            sound[str(name)] = finite
    return sound


def _is_epoch(epoch: Mapping[Any, Any]) -> bool:
    """Return whether a mapping has an epoch's number."""
    numbered = number(epoch.get(EPOCH))
    return numbered is not None and numbered > 0


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} must be text")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < LARGEST:
        raise ValueError(f"{value!r} must be a whole number, 0 or more")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} must be an object")
    return cast(dict[str, Any], value)


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list | tuple):
        raise TypeError(f"{values!r} must be a list")
    return tuple(map(_text, values))


def _epochs(values: Any) -> tuple[Epoch, ...]:
    """Return the epochs of a list; what is none is left out."""
    if not isinstance(values, list | tuple):
        raise TypeError("epochs must be a list")
    return tuple(value for value in values if isinstance(value, dict) and _is_epoch(value))


def _lists(values: Any) -> dict[str, tuple[str, ...]]:
    """Return texts by name."""
    return {_text(name): _texts(listed) for name, listed in _mapping(values).items()}


def _counts(values: Any) -> dict[str, int]:
    """Return whole numbers by name."""
    return {_text(name): _whole(value) for name, value in _mapping(values).items()}


def _objects(values: Any) -> dict[str, dict[str, Any]]:
    """Return objects by name."""
    return {_text(name): _mapping(value) for name, value in _mapping(values).items()}


def text_if_any(value: Any) -> str:
    """Return a text, or an empty one for anything else."""
    if isinstance(value, str):
        return value
    return ""


def _whole_part(value: Any) -> int | None:
    """Return the whole part of a number, None for anything else."""
    finite = number(value)
    if finite is None:
        return None
    return int(finite)


def _metric(value: Any) -> Score:
    """Return the name of a score that may decide."""
    if value not in VAL_SCORES:
        raise ValueError(f"{value!r} must be one of {', '.join(VAL_SCORES)}")
    return cast(Score, value)


def _recipe(value: Any) -> dict[str, Any]:
    """Return a recipe's fields, with those that were added since it was written."""
    return completed(_mapping(value))


# How a field of a line is read, by its name; a number that is none is not known.
READERS: dict[str, Callable[[Any], Any]] = {
    "arm": _text,
    "artifacts": _mapping,
    "best_epoch": _whole_part,
    "changes": _texts,
    "checkpoint": _text,
    "classes": tuple,
    "description": _text,
    "device_seconds": number,
    "draws": _objects,
    "epochs": _epochs,
    "image_passes": _whole_part,
    "metric": _metric,
    "metrics": _mapping,
    "move_alias": bool,
    "name": _text,
    "number": _whole,
    "outcome": Outcome,
    "params": _mapping,
    "predictions": _text,
    "reason": text_if_any,
    "recipe": _recipe,
    "recipes": _lists,
    "sample": _mapping,
    "score": number,
    "seeds": _whole,
    "shared": _mapping,
    "stored_side": _whole,
    "study": _text,
    "sweep_name": _text,
    "tags": _mapping,
    "test": _numbers,
    "test_digest": _text,
    "time": _whole,
    "trial_id": _text,
    "trial_ids": _texts,
    "trials_per_arm": _whole,
    "turns": _counts,
    "wall_seconds": number,
}
