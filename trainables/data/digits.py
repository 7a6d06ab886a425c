"""scikit-learn's bundled scans of handwritten digits: the data set that needs no network."""

from __future__ import annotations

import numpy as np

from trainables.data.arrays import Arrays
from trainables.data.listing import Listing, Source


def digits(name: str) -> Source:
    """The digits 5 to 9, the task to learn, or 0 to 4, on which its source model is trained: 8x8, some 180 a class."""
    first = 5 if name == "digits" else 0
    return Source(
        name=name, identity=[name], preview=lambda: _load(first)[0], load=lambda: _load(first)
    )


def _load(first: int) -> tuple[Listing, Arrays]:
    from sklearn.datasets import load_digits  # takes a second

    scans = load_digits()
    chosen = (scans.target >= first) & (scans.target < first + 5)
    images = np.rint(scans.images[chosen] * (255 / 16)).astype(
        np.uint8
    )  # [N, 8, 8], greys 0 to 16 to 0 to 255
    listing = Listing(
        classes=tuple(str(digit) for digit in range(first, first + 5)),
        labels={"train": scans.target[chosen].astype(np.int64) - first},
        places={"train": "scikit-learn's digits"},
        layout="the handwritten digits that come with scikit-learn",
    )
    return listing, Arrays([images], ["digits"])
