"""Images that are arrays in memory already: cut and resized only where they must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from trainables.data.decode import square
from trainables.data.listing import Images, Rows


@dataclass(frozen=True)
class Arrays:
    """The pixels of arrays.

    Attributes:
        parts: One for each part of the listing: uint8 [N, H, W, 3], or greyscale [N, H, W].
        places: Their names.
    """

    parts: Sequence[Images]
    places: Sequence[str]

    @property
    def sizes(self) -> Rows:
        """Return the shorter and the longer side of each image, [M, 2]."""
        sides = [sorted(part.shape[1:3]) for part in self.parts]
        return np.repeat(np.array(sides, np.int64), list(map(len, self.parts)), axis=0)

    def squares(self, rows: Rows, side: int) -> tuple[Images, list[str]]:
        """Return the center squares of some images, uint8 [N, side, side, 3], and no problems."""
        squares = np.empty((len(rows), side, side, 3), np.uint8)
        start = 0
        for part in self.parts:
            inside = (rows >= start) & (rows < start + len(part))
            if inside.any():
                squares[inside] = _squares(part[rows[inside] - start], side)
            start += len(part)
        return squares, []

    def names(self, rows: Rows) -> list[str]:
        """Return the array of each image, and its number there: "x_test[12]"."""
        starts = np.cumsum([0, *map(len, self.parts)])
        parts = np.searchsorted(starts, rows, side="right") - 1
        numbers = rows - starts[parts]
        named = []
        for part, number in zip(parts.tolist(), numbers.tolist(), strict=True):
            named.append(f"{self.places[part]}[{number}]")
        return named


def _squares(images: Images, side: int) -> Images:
    if images.ndim == 3:  # greyscale
        images = images[..., np.newaxis].repeat(3, axis=-1)  # [N, H, W, 3]
    height, width = images.shape[1:3]
    if min(height, width) != side:
        return np.stack([square(Image.fromarray(image), side) for image in images])
    # A crop alone, without copying: one of the two starts at 0.
    top = (height - side) // 2
    left = (width - side) // 2
    return images[:, top : top + side, left : left + side]
