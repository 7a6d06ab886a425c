"""What makes a run on a worker a finalist's: plain values, which cross to it in Tune's config."""

from __future__ import annotations

from typing import TypedDict


class FinalistConfig(TypedDict):
    """A seed of a recipe that is trained again, and evaluated on the test split in the end.

    Attributes:
        group: The trial that had the recipe; of an ablation with what was taken away.
        without: Of an ablation, the field of the recipe that was taken away.
        predictions: The file for its answers to each image.
    """

    group: str
    without: str | None
    predictions: str
