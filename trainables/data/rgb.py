"""Pixels of any kind as 8-bit RGB: what is white, and what lies under transparent pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from trainables.data import png_chunks, tiff_bands

# Under transparent pixels: white, as on the pages that such images are made for.
BACKGROUND = (255, 255, 255)


class PixelsError(ValueError):
    """An intact image that cannot be shown as RGB.

    Its text is "must ..., but ...: mend.", to be said of its path.
    """


def grey_bits(image: Image.Image) -> int:
    """Return the bits that the values of an opened 16-bit gray image use, as far as its file says.

    That is TIFF's BitsPerSample, or its MaxSampleValue where that is 1023, 4095 or 16383; and sBIT
    in a PNG file. It is 16 where the file does not say it.
    """
    if not image.mode.startswith("I;16"):
        return 16
    file = getattr(image, "fp", None)
    if image.format == "PNG" and file:
        return png_chunks.significant_bits(file) or 16
    if image.format == "TIFF":
        return tiff_bands.claimed_bits(getattr(image, "tag_v2", {}))
    return 16


def to_rgb(image: Image.Image, bits: int = 16) -> Image.Image:
    """Convert any mode of Pillow to RGB: transparent pixels over `BACKGROUND`, 16-bit gray scaled.

    White is 2**`bits` - 1 for 16-bit gray, the same for every file of a kind: the largest value of
    one file does not matter, or dim images would become as bright as others. Values of 10 to 14
    bits in 16 whose files do not say so are therefore dark (`decode.cautions` tells). Of sBIT,
    PNG's specification says that the values are scaled to 16 bits all the same; where they clearly
    are not (none is too large, and the low bits are in use), the bits count.

    Floats are read as 0 to 1 if all lie in there and one is above 1/255, and 32-bit integers as 0
    to 65535.

    Raises:
        PixelsError: Other floats and 32-bit integers, whose white is not known.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_grey(image, bits)).convert("RGB")
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, (*BACKGROUND, 255))
        return Image.alpha_composite(background, image).convert("RGB")
    return image.convert("RGB")


def _grey(image: Image.Image, bits: int) -> npt.NDArray[np.uint8]:
    values = np.asarray(image)
    white = _white(values, bits, image)
    shares = values / white
    tags: Any = getattr(image, "tag_v2", {})
    # Pillow turns 8 bits around where zero is white, but no more.
    if tags.get(tiff_bands.PHOTOMETRIC) == 0:
        shares = 1 - shares
    return np.rint(shares * 255).astype(np.uint8)


def _white(values: npt.NDArray[Any], bits: int, image: Image.Image) -> int:
    """Return the value that is white.

    Raises:
        PixelsError: It is not known.
    """
    # Floats and 32-bit integers have no largest value that is white by definition.
    low = values.min()
    high = values.max()
    if image.mode == "F":
        if not np.isfinite(values).all():
            raise PixelsError(
                "must have pixels of floats from 0 to 1, but has NaN or infinite ones: "
                "replace these with numbers."
            )
        if low >= 0 and (1 / 255 < high <= 1 or high == 0):
            return 1
        span = f"floats from {low:.6g} to {high:.6g}"
        raise PixelsError(_unknown_white("floats from 0 to 1", span, "0 to 1"))
    if image.mode == "I":
        if low < 0 or high > 65535:
            span = f"32-bit integers from {low} to {high}"
            raise PixelsError(_unknown_white("integers from 0 to 65535", span, "0 to 255"))
        return 65535

    # The file may say something untrue of its bits.
    white = 2**bits - 1
    if high > white:
        return 65535
    low_bits = 2 ** (16 - bits) - 1
    if image.format == "PNG" and bits < 16 and not (values & low_bits > 1).any():
        return 65535
    return int(white)


def _unknown_white(rule: str, span: str, scale: str) -> str:
    return (
        f"must have pixels of {rule}, but has {span}, whose white is not known: "
        f"scale them to {scale}."
    )
