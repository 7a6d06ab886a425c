"""The metric that decides: accuracy where classes are of equal size, else balanced accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from trainables.metrics import Score

Asked = Literal["auto", "accuracy", "balanced_accuracy", "macro_f1"]
SCORES: tuple[Asked, ...] = get_args(Asked)

# Up to this ratio of val's largest class to its smallest, classes count as of one size. Where a set
# was made with as many images of each class, a split into 60/20/20, duplicates and files that are
# left out make them differ by less.
EVEN = 1.2

NAMES: dict[Score, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
}
# For tables, where there is little space.
SHORT: dict[Score, str] = {"accuracy": "", "balanced_accuracy": "balanced", "macro_f1": "F1"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The score that decides which epoch, trial and recipe is best, and the line that says so."""

    score: Score
    line: str


def decide(
    flag: str | None, study: Asked, val: Mapping[str, int], *, resumed: bool = False
) -> Decision:
    """Return the score that decides in a sweep.

    Args:
        flag: `--score`, or None where it was left out; of a sweep that is resumed, the score that
            decided in it.
        study: The score that its study asks for.
        val: Number of images of the validation split by class.
        resumed: Whether the sweep began earlier.
    """
    # A sweep, a flag or a study names it.
    asked = flag or study
    if asked != "auto":
        named = cast(Score, asked)
        why = "as the study says"
        if resumed:
            why = "as when the sweep began"
        elif flag:
            why = "as --score says"
        return Decision(score=named, line=f"Score: {NAMES[named]}, {why}.")

    # Or the sizes of the classes decide.
    score: Score = "accuracy" if _even(val) else "balanced_accuracy"
    least = min(val.values(), default=0)
    most = max(val.values(), default=0)
    images = f"{least:,} to {most:,}" if least < most else f"{most:,}"
    line = f"Score: {NAMES[score]}, since val has {images} images per class."
    return Decision(score=score, line=line)


def headed(where: str, score: Score) -> str:
    """Return a column's title: `best val %`, `best val balanced %`, `test F1 %`."""
    return " ".join(filter(None, [where, SHORT[score], "%"]))


def _even(val: Mapping[str, int]) -> bool:
    """Return whether classes count as of one size.

    One image more or less is a split's rounding, whatever share of a small class it is.
    """
    least = min(val.values(), default=0)
    most = max(val.values(), default=0)
    return most <= max(EVEN * least, least + 1)
