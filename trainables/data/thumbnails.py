"""Decoded images as small pictures that a page can hold."""

from __future__ import annotations

import base64
from io import BytesIO

from PIL import Image

from trainables.data.listing import Images

SIDE = 64  # pixels, at most
QUALITY = 85  # of a JPEG: some 3 kB of a photograph


def data_uri(image: Images) -> str:
    """A picture of an image, uint8 [H, W, 3], as a data URI: PNG or JPEG, whichever is smaller."""
    small = Image.fromarray(image)
    small.thumbnail((SIDE, SIDE))
    files = {form: _file(small, form) for form in ("PNG", "JPEG")}
    form = min(files, key=lambda name: len(files[name]))
    return f"data:image/{form.lower()};base64,{base64.b64encode(files[form]).decode()}"


def thumbnail_png(image: Images) -> bytes:
    """Return a picture of an image, uint8 [H, W, 3], as the bytes of a PNG file of the same size."""
    return _file(Image.fromarray(image), "PNG")


def _file(image: Image.Image, form: str) -> bytes:
    file = BytesIO()
    image.save(file, form, quality=QUALITY, optimize=True)
    return file.getvalue()
