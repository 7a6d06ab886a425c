"""Which metric decides: accuracy where classes have equal weight in val, else balanced accuracy; or what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from trainables.metrics import Score

Asked = Literal["auto", "accuracy", "balanced_accuracy", "macro_f1"]
SCORES: tuple[Asked, ...] = get_args(Asked)

EVEN = 1.2
"""Images of val's largest class over those of its smallest, up to which classes count as of one size. Where a set was made with
as many images of each class, a split into 60/20/20, duplicates and files that are left out make them differ by less."""

NAMES: dict[Score, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
}
SHORT: dict[Score, str] = {"accuracy": "", "balanced_accuracy": "balanced", "macro_f1": "F1"}
"""Where there is little room."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What decides which epoch, trial and recipe is best, and the line that says so."""

    score: Score
    line: str


def decide(
    flag: str | None, study: Asked, val: Mapping[str, int], *, resumed: bool = False
) -> Decision:
    """Return what decides in a sweep.

    Args:
        flag: `--score`, or None where it was left out; of a sweep that is resumed, what decided in it.
        study: What its study says.
        val: Images of the validation split by class.
        resumed: Whether the sweep began earlier.
    """
    asked = flag or study
    if asked != "auto":
        fixed = cast(Score, asked)
        why = (
            "as when the sweep began"
            if resumed
            else ("as --score says" if flag else "as the study says")
        )
        return Decision(score=fixed, line=f"Score: {NAMES[fixed]}, {why}.")
    score: Score = "accuracy" if _even(val) else "balanced_accuracy"
    least, most = min(val.values(), default=0), max(val.values(), default=0)
    images = f"{least:,} to {most:,}" if least < most else f"{most:,}"
    return Decision(
        score=score, line=f"Score: {NAMES[score]}, since val has {images} images per class."
    )


def headed(where: str, score: Score) -> str:
    """A column's title: `best val %`, `best val balanced %`, `test F1 %`."""
    return " ".join(filter(None, [where, SHORT[score], "%"]))


def _even(val: Mapping[str, int]) -> bool:
    """One image more or less is a split's rounding, whatever share of a small class it is."""
    least, most = min(val.values(), default=0), max(val.values(), default=0)
    return most <= max(EVEN * least, least + 1)
