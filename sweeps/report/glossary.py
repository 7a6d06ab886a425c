"""The words that the page cannot do without."""

from __future__ import annotations

from collections.abc import Iterator


def glossary() -> Iterator[tuple[str, list[str]]]:
    """Yield the words with their meanings."""
    yield "Arm", ["One of the ways of training that are compared, such as resnet18/tricks."]
    yield (
        "Trial",
        [
            "One training run of the search. A recipe is its settings: learning rate, layers "
            "trained and so on."
        ],
    )
    yield (
        "Seed",
        [
            "A random start. The best recipes are retrained with several, each on its own draw of "
            "training images, since a single run may just be lucky."
        ],
    )
    yield (
        "Val and test",
        [
            "Validation images choose among recipes, so scores on them are flattering. Test "
            "images are seen only by the retrained recipes, so scores on them are fair."
        ],
    )
    yield (
        "95% interval",
        [
            "A range that holds the true value in 19 of 20 sweeps like this one. Where the interval "
            "of a difference includes 0, the two cannot be told apart."
        ],
    )
