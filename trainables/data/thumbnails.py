"""Small pictures of decoded images, for a page to hold."""

from __future__ import annotations

import base64
from io import BytesIO

from PIL import Image

from trainables.data.listing import Images

# Pixels, at most.
SIDE = 64
# Of a JPEG: some 3 kB per photograph.
QUALITY = 85


def data_uri(image: Images) -> str:
    """Return an image, uint8 [H, W, 3], as a data URI: PNG or JPEG, whichever is smaller."""
    small = Image.fromarray(image)
    small.thumbnail((SIDE, SIDE))
    png = _file(small, "PNG")
    jpeg = _file(small, "JPEG")
    if len(jpeg) < len(png):
        return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def thumbnail_png(image: Images) -> bytes:
    """Return an image, uint8 [H, W, 3], as the bytes of a PNG file of the same size."""
    return _file(Image.fromarray(image), "PNG")


def _file(image: Image.Image, form: str) -> bytes:
    file = BytesIO()
    image.save(file, form, quality=QUALITY, optimize=True)
    return file.getvalue()
