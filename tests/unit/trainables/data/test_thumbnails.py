"""Tests for trainables.data.thumbnails."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from trainables.data.thumbnails import thumbnail_png


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 3), (64, 80)])
def test_a_png_gives_the_same_pixels_back(height: int, width: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    with Image.open(BytesIO(thumbnail_png(image))) as read:
        assert (read.format, read.mode, read.size) == ("PNG", "RGB", (width, height))
        np.testing.assert_array_equal(np.asarray(read), image)


def test_the_same_image_gives_the_same_bytes() -> None:
    image = np.full((4, 4, 3), 7, np.uint8)
    assert thumbnail_png(image) == thumbnail_png(image.copy())
