"""A contact sheet: small pictures in rows, with some words under each, as one PNG file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Pixels: of a picture at most, between cells, and of a line of text.
SIDE = 144
GAP = 12
LINE = 15


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture and the lines below it.

    Attributes:
        picture: The bytes of an image file.
        lines: Of plain text.
    """

    picture: bytes
    lines: Sequence[str]


def sheet_png(rows: Sequence[Sequence[Cell]]) -> bytes:
    """Return rows of cells as the bytes of a PNG file; pictures are enlarged to `SIDE` pixels.

    Raises:
        ValueError: There is no cell.
    """
    cells = [cell for row in rows for cell in row]
    if not cells:
        raise ValueError("A sheet must have a picture, but got none.")

    # All cells are of one size.
    height = SIDE + LINE * max(len(cell.lines) for cell in cells) + 2 * GAP
    width = SIDE + 2 * GAP
    columns = max(map(len, rows))
    sheet = Image.new("RGB", (columns * width, len(rows) * height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(LINE - 3)
    for at, row in enumerate(rows):
        for column, cell in enumerate(row):
            left = column * width + GAP
            top = at * height + GAP
            sheet.paste(_enlarged(cell.picture), (left, top))
            for number, line in enumerate(cell.lines):
                place = (left, top + SIDE + 2 + number * LINE)
                draw.text(place, _short(line, font), "black", font)
    file = BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def _enlarged(picture: bytes) -> Image.Image:
    """Return a picture whose longer side has `SIDE` pixels; each of its own stays a square."""
    image = Image.open(BytesIO(picture)).convert("RGB")
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST)


def _short(line: str, font: Font) -> str:
    """Return as much of a line as fits below a picture."""
    if font.getlength(line) <= SIDE:
        return line
    while line and font.getlength(f"{line}…") > SIDE:
        line = line[:-1]
    return f"{line}…"
