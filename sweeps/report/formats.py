"""Numbers and recipes as the report writes them: percent and points with one decimal, log losses with three, `a to b`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MISSING = "–"
WORDS = {
    "trainable_layers": "layers",
    "stage1_lr": "stage-1 lr",
    "stage2_lr": "lr",
    "weight_decay": "weight decay",
    "label_smoothing": "smoothing",
    "class_weights": "class weights",
    "augmentation": "augmentation",
}


def percent(share: float, digits: int = 1) -> str:
    """`81.4` for 0.814; the unit stands beside it or in the table's head."""
    return fixed(100 * share, digits)


def points(difference: float) -> str:
    """`+1.8` for 0.018, `−0.4`, `0.0`."""
    written = fixed(100 * difference, 1)
    return (
        written if difference != difference or written == "0.0" or difference < 0 else f"+{written}"
    )


def fixed(value: float, digits: int) -> str:
    """A number with so many decimals, its minus a minus; never `−0.0`."""
    if not math.isfinite(value):
        return MISSING
    written = f"{value:.{digits}f}"
    return written.replace("-", "−") if float(written) else f"{0:.{digits}f}"


def span(low: float | None, high: float | None, digits: int = 1, scale: float = 100) -> str:
    """`80.1 to 82.7`; empty where there is no interval."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{fixed(scale * low, digits)} to {fixed(scale * high, digits)}"


def with_span(value: str, between: str) -> str:
    """`81.4 (80.1 to 82.7)`, or the value alone."""
    return f"{value} ({between})" if between else value


def p_value(p: float) -> str:
    """`0.02`, `0.004`, `< 0.001`."""
    if p < 0.001:
        return "< 0.001"
    return fixed(p, 3 if p < 0.01 else 2)


def short(value: object) -> str:
    """A value of a recipe: `0.00032`, `cosine`, `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def in_words(recipe: Mapping[str, Any], tuned: Mapping[str, Mapping[str, Any]]) -> str:
    """What was tuned, in a line: `layers 3, lr 0.0003, cosine, crop_flip`; what other values switch off is left out."""
    parts = [
        _word(name, recipe[name])
        for name, dim in tuned.items()
        if name in recipe and _applies(dim, recipe)
    ]
    return ", ".join(parts) or "nothing tuned"


def seeds(count: int) -> str:
    """`1 seed`, `5 seeds`."""
    return counted(count, "seed")


def counted(count: int, thing: str) -> str:
    """Return a number of things: `1 trial`, `2,000 trials`, `3 classes`."""
    if count == 1:
        return f"1 {thing}"
    ending = "es" if thing.endswith("s") else "s"
    return f"{count:,} {thing}{ending}"


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _word(name: str, value: object) -> str:
    if name == "class_weights" and value != "none":
        return f"{value} {WORDS[name]}"
    if isinstance(value, str) and value != "none":
        return value
    return (
        f"no {WORDS.get(name, name)}"
        if value == "none"
        else f"{WORDS.get(name, name)} {short(value)}"
    )


def _applies(dim: Mapping[str, Any], recipe: Mapping[str, Any]) -> bool:
    when = dim.get("when")
    conditions = when.items() if isinstance(when, dict) else ()
    return all(
        isinstance(values, list) and recipe.get(name) in values for name, values in conditions
    )
