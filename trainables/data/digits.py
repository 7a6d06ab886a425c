"""Handwritten digits that come with scikit-learn: the data set that needs no network."""

from __future__ import annotations

import numpy as np

from trainables.data.arrays import Arrays
from trainables.data.listing import Listing, Rows, Source, SplitName
from trainables.randomness import named_seed

TESTED = 70
"""Images per class in the test part of `digits`, where a fifth would be 36.

A class has over 100 more. Of those, two draws of 20 train images have a fifth in common: what is
drawn for each seed must be new.
"""
PLACE = "scikit-learn's digits"


def digits(name: str) -> Source:
    """Return the digits 5 to 9, the task to learn, or 0 to 4, on which its source model is trained.

    The images have 8x8 pixels; a class has some 180. Those of the task have a test part, the same
    whatever the seed.
    """
    first = 5 if name == "digits" else 0
    kept_back = name == "digits"

    def preview() -> Listing:
        return _load(first, kept_back)[0]

    return Source(
        name=name,
        identity=[name, TESTED] if kept_back else [name],
        preview=preview,
        load=lambda: _load(first, kept_back),
    )


def _load(first: int, kept_back: bool) -> tuple[Listing, Arrays]:
    from sklearn.datasets import load_digits  # takes a second

    scans = load_digits()
    # Greys from 0 to 16 become greys from 0 to 255, [N, 8, 8].
    images = np.rint(scans.images * (255 / 16)).astype(np.uint8)
    rows = _parts(scans.target, first, kept_back)
    labels: dict[SplitName, Rows] = {}
    for part, of_part in rows.items():
        labels[part] = scans.target[of_part].astype(np.int64) - first
    listing = Listing(
        classes=tuple(map(str, range(first, first + 5))),
        labels=labels,
        places={part: f"{len(of_part)} of {PLACE}" for part, of_part in rows.items()},
        layout="the handwritten digits that come with scikit-learn",
    )
    return listing, Arrays([images[of_part] for of_part in rows.values()], ["digits"] * len(rows))


def _parts(target: Rows, first: int, kept_back: bool) -> dict[SplitName, Rows]:
    """Return the rows of five digits by part, in the order of the scans."""
    learnable: list[Rows] = []
    test: list[Rows] = []
    for digit in range(first, first + 5):
        of_class = np.flatnonzero(target == digit)
        shuffle = np.random.default_rng(named_seed(0, "test", digit))
        shuffled = shuffle.permutation(of_class)
        tested = TESTED if kept_back else 0
        test.append(shuffled[:tested])
        learnable.append(shuffled[tested:])
    parts: dict[SplitName, Rows] = {"train": np.sort(np.concatenate(learnable))}
    if kept_back:
        parts["test"] = np.sort(np.concatenate(test))
    return parts
