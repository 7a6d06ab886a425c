"""Contact sheets of small pictures."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from trainables.data.sheets import GAP, SIDE, Cell, sheet_png
from trainables.data.thumbnails import thumbnail_png

RED = thumbnail_png(np.full((4, 8, 3), (255, 0, 0), np.uint8))


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)))


def test_a_picture_is_enlarged_and_keeps_its_shape() -> None:
    sheet = opened(sheet_png([[Cell(RED, [])]]))
    red = (sheet == (255, 0, 0)).all(axis=2)
    assert red.any(axis=1).sum() == SIDE // 2
    assert red.any(axis=0).sum() == SIDE
    assert red[GAP, GAP]


def test_lines_are_below_their_picture_and_a_long_one_stays_in_its_cell() -> None:
    sheet = opened(sheet_png([[Cell(RED, ["x" * 200]), Cell(RED, [])]]))
    below = sheet[GAP + SIDE :]
    assert below[:, : SIDE + 2 * GAP].min() < 100
    assert below[:, SIDE + 2 * GAP :].min() == 255


def test_a_sheet_without_a_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="must have a picture"):
        sheet_png([])
