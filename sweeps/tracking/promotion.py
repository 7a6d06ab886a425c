"""Whether a newly registered model becomes the champion: not where it is worse on the same images.

The rule: both models have predicted the same test images, and the new one's score on them, of the
metric that decides in its sweep, is at least the champion's. Since the images are the same, which
of them happen to be hard moves both scores alike. No test of significance is asked for: of two
models that do about as well, the newer one is the champion.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainables.metrics import Score
from trainables.predictions import Predictions

# Sums of the same shares in another order differ by this much at most.
_ROUNDING = 1e-9
_MOST_DECIMALS = 8
_SAME_IMAGES: dict[Score, str] = {
    "accuracy": "{champion} of the same test images right, the new one {new}",
    "balanced_accuracy": (
        "a balanced accuracy of {champion} on the same test images, the new one {new}"
    ),
    "macro_f1": "a macro F1 of {champion} on the same test images, the new one {new}",
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Version:
    """A version of a registered model, with what it predicts for its test images.

    Attributes:
        number: As MLflow numbers it.
        test_digest: Of its test split; empty where that is not known.
        predictions: None where there are none with it.
    """

    number: int
    test_digest: str
    predictions: Predictions | None


def why_not(new: Version, champion: Version, metric: Score, uri: str, command: str) -> str:
    """Return the line that says why the champion stays; empty where the new version becomes it.

    Args:
        new: The version that was registered.
        champion: The version that has the alias.
        metric: The score that decides in the new one's sweep.
        uri: By which the new version is loaded.
        command: What makes it the champion by hand.
    """
    stays = f"The champion stays version {champion.number}"
    unlike = _why_not_comparable(new, champion)
    if unlike:
        return (
            f"{stays}: two models are compared by their predictions for the same test images, but "
            f"{unlike}. The new model is {uri}; to make it the champion: {command}"
        )
    worse = _why_worse(new.predictions, champion.predictions, metric)
    if worse:
        return f"{stays} ({worse}); the new model is {uri}."
    return ""


def _why_not_comparable(new: Version, champion: Version) -> str:
    """Return why two versions cannot be compared; empty where they can."""
    if new.predictions is None:
        return "the new model has none"
    if champion.predictions is None:
        return f"version {champion.number} has none"
    same = new.test_digest == champion.test_digest
    if not same or not new.predictions.are_for(champion.predictions.labels):
        return f"version {champion.number} was tested on others"
    return ""


def _why_worse(new: Predictions | None, champion: Predictions | None, metric: Score) -> str:
    """Return both scores, in words; empty where the new one's is not lower."""
    assert new is not None
    assert champion is not None
    new_score = new.score(metric)
    champion_score = champion.score(metric)
    if new_score >= champion_score - _ROUNDING:
        return ""

    # As many decimals as show that they differ.
    for decimals in range(1, _MOST_DECIMALS):
        shown = f"{100 * new_score:.{decimals}f}%"
        other = f"{100 * champion_score:.{decimals}f}%"
        if shown != other:
            break
    return _SAME_IMAGES[metric].format(champion=other, new=shown)
