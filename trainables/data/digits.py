"""Handwritten digits that come with scikit-learn: the data set that needs no network."""

from __future__ import annotations

import numpy as np

from trainables.data.arrays import Arrays
from trainables.data.listing import Listing, Source


def digits(name: str) -> Source:
    """Return the digits 5 to 9, the task to learn, or 0 to 4, on which its source model is trained.

    The images have 8x8 pixels; a class has some 180.
    """
    first = 5 if name == "digits" else 0

    def preview() -> Listing:
        return _load(first)[0]

    return Source(name=name, identity=[name], preview=preview, load=lambda: _load(first))


def _load(first: int) -> tuple[Listing, Arrays]:
    from sklearn.datasets import load_digits  # takes a second

    scans = load_digits()
    chosen = (scans.target >= first) & (scans.target < first + 5)
    # Greys from 0 to 16 become greys from 0 to 255, [N, 8, 8].
    images = np.rint(scans.images[chosen] * (255 / 16)).astype(np.uint8)
    listing = Listing(
        classes=tuple(map(str, range(first, first + 5))),
        labels={"train": scans.target[chosen].astype(np.int64) - first},
        places={"train": "scikit-learn's digits"},
        layout="the handwritten digits that come with scikit-learn",
    )
    return listing, Arrays([images], ["digits"])
