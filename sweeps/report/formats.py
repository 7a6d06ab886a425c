"""Numbers and recipes as the report writes them: percent and points with one decimal, `a to b`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trainables.problems import counted

MISSING = "–"
WORDS = {
    "trainable_layers": "layer groups",
    "stage1_lr": "stage-1 learning rate",
    "stage2_lr": "learning rate",
    "weight_decay": "weight decay",
    "label_smoothing": "label smoothing",
    "class_weights": "class weights",
    "augmentation": "augmentation",
}


def percent(share: float, digits: int = 1) -> str:
    """Return `81.4` for 0.814; the unit stands beside it or in the table's head."""
    return fixed(100 * share, digits)


def points(difference: float) -> str:
    """Return `+1.8` for 0.018, `−0.4`, `0.0`."""
    written = fixed(100 * difference, 1)
    if difference > 0 and written != "0.0":
        return f"+{written}"
    return written


def fixed(value: float, digits: int) -> str:
    """Return a number with so many decimals, its minus a minus; never `−0.0`."""
    if not math.isfinite(value):
        return MISSING
    written = f"{value:.{digits}f}"
    if float(written) == 0:
        return f"{0:.{digits}f}"
    return written.replace("-", "−")


def span(low: float | None, high: float | None, digits: int = 1, scale: float = 100) -> str:
    """Return `80.1 to 82.7`; empty where there is no interval."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{fixed(scale * low, digits)} to {fixed(scale * high, digits)}"


def with_span(value: str, between: str) -> str:
    """Return `81.4 (80.1 to 82.7)`, or the value alone."""
    return f"{value} ({between})" if between else value


def p_value(p: float) -> str:
    """Return `0.02`, `0.004`, `< 0.001`."""
    if p < 0.001:
        return "< 0.001"
    if p < 0.01:
        return fixed(p, 3)
    return fixed(p, 2)


def short(value: object) -> str:
    """Return a value of a recipe: `0.00032`, `cosine`, `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.2g}"
    return str(value)


def in_words(recipe: Mapping[str, Any], tuned: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what was tuned, in a line: `top 3 layer groups, learning rate 0.0003, cosine`.

    What other values switch off is left out.
    """
    parts = []
    for name, dim in tuned.items():
        if name in recipe and _applies(dim, recipe):
            parts.append(_word(name, recipe[name]))
    return ", ".join(parts) or "nothing tuned"


def seeds(count: int) -> str:
    """Return `1 seed`, `5 seeds`."""
    return counted(count, "seed")


def named(values: Mapping[Any, object]) -> str:
    """Return names with their values: `train 100, val 50`."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def listed(words: list[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _word(name: str, value: object) -> str:
    word = WORDS.get(name, name)
    if value == "none":
        return f"no {word}"
    if name == "trainable_layers" and isinstance(value, int | float) and math.isfinite(value):
        return f"top {counted(int(value), 'layer group')}"
    if name == "class_weights":
        return f"{value} {word}"
    if isinstance(value, str):
        return value
    return f"{word} {short(value)}"


def _applies(dim: Mapping[str, Any], recipe: Mapping[str, Any]) -> bool:
    """Return whether the condition of a tuned name holds in a recipe."""
    when = dim.get("when")
    if not isinstance(when, dict):
        return True
    # An old or damaged sweep may hold anything: what is no list of values holds for none.
    unmet = [name for name, values in when.items() if not _among(recipe.get(name), values)]
    return not unmet


def _among(value: object, values: object) -> bool:
    return isinstance(values, list) and value in values
