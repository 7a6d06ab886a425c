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
    """The pixels of arrays, uint8 [N, H, W, 3] or greyscale [N, H, W], one for each part of the listing, with its name."""

    parts: Sequence[Images]
    places: Sequence[str]

    @property
    def sizes(self) -> Rows:
        """The shorter and the longer side of each image, [M, 2]."""
        return np.concatenate(
            [np.full((len(part), 2), sorted(part.shape[1:3]), np.int64) for part in self.parts]
        )

    def squares(self, rows: Rows, side: int) -> tuple[Images, list[str]]:
        """The centre squares of some images, uint8 [N, side, side, 3]; arrays are never damaged."""
        squares = np.empty((len(rows), side, side, 3), np.uint8)
        start = 0
        for part in self.parts:
            inside = (rows >= start) & (rows < start + len(part))
            if inside.any():
                squares[inside] = _squares(part[rows[inside] - start], side)
            start += len(part)
        return squares, []

    def names(self, rows: Rows) -> list[str]:
        """The array of each image, and its number there: "x_test[12]"."""
        starts = np.cumsum([0, *(len(part) for part in self.parts)])
        parts = np.searchsorted(starts, rows, side="right") - 1
        numbers = rows - starts[parts]
        return [
            f"{self.places[part]}[{number}]"
            for part, number in zip(parts.tolist(), numbers.tolist(), strict=True)
        ]


def _squares(images: Images, side: int) -> Images:
    if images.ndim == 3:  # greyscale
        images = images[..., np.newaxis].repeat(3, axis=-1)  # [N, H, W, 3]
    height, width = images.shape[1:3]
    if min(height, width) != side:
        return np.stack([square(Image.fromarray(image), side) for image in images])
    top, left = (height - side) // 2, (width - side) // 2
    return images[:, top : top + side, left : left + side]
