"""The colors of a sweep's arms, in its report and in MLflow."""

from __future__ import annotations

# Luminance 0.15 to 0.30: at least 3 to 1 against white as well as against the dark page's ground.
PALETTE = ("#3f7fbf", "#cf6230", "#2f9a6c", "#9a6fc4", "#b3861f", "#2a97aa", "#c75d93", "#7d868f")


def color(at: int) -> str:
    """Return the color of the arm, or whatever else, at this place."""
    return PALETTE[at % len(PALETTE)]
