"""Pixels of any kind as 8-bit RGB: what is white, what lies under transparent pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from trainables.data import png_chunks, tiff_bands

BACKGROUND = (
    255,
    255,
    255,
)  # under transparent pixels: white, as on the pages that such images are made for


class PixelsError(ValueError):
    """An intact image that cannot be shown as RGB. Its text is "must ..., but ...: mend.", to be said of its path."""


def grey_bits(image: Image.Image) -> int:
    """The bits that the values of an opened 16-bit grey image use, as far as its file says; 16 where it does not.

    That is TIFF's BitsPerSample, or its MaxSampleValue where that is 1023, 4095 or 16383; and sBIT in a PNG file.
    """
    if not image.mode.startswith("I;16"):
        return 16
    if image.format == "PNG" and (file := getattr(image, "fp", None)):
        return png_chunks.significant_bits(file) or 16
    return tiff_bands.claimed_bits(getattr(image, "tag_v2", {})) if image.format == "TIFF" else 16


def to_rgb(image: Image.Image, bits: int = 16) -> Image.Image:
    """Any mode of Pillow as RGB: transparent pixels over `BACKGROUND`, 16-bit grey scaled to 8 by its full range.

    White is 2**`bits` - 1 for 16-bit grey, the same for every file of a kind: the largest value of one file does not
    matter, or dim images would become as bright as others. Values of 10 to 14 bits in 16 whose files do not say so are
    therefore dark (`decode.cautions` tells). Of sBIT, PNG's specification says that the values are scaled to 16 bits
    all the same; where they clearly are not (none is too large, and the low bits are in use), the bits count.

    Floats are read as 0 to 1 if all lie in there and one is above 1/255, and 32-bit integers as 0 to 65535.

    Raises:
        PixelsError: Other floats and 32-bit integers, whose white is not known.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_grey(image, bits)).convert("RGB")
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(
            Image.new("RGBA", image.size, (*BACKGROUND, 255)), image
        ).convert("RGB")
    return image.convert("RGB")


def _grey(image: Image.Image, bits: int) -> npt.NDArray[np.uint8]:
    values = np.asarray(image)
    white = _white(values, bits, image)
    shares = values / white
    tags: Any = getattr(image, "tag_v2", {})
    if tags.get(tiff_bands.PHOTOMETRIC) == 0:  # Pillow turns 8 bits around, but no more
        shares = 1 - shares
    return np.rint(shares * 255).astype(np.uint8)


def _white(values: npt.NDArray[Any], bits: int, image: Image.Image) -> int:
    low, high = values.min(), values.max()
    if image.mode == "F":
        if not np.isfinite(values).all():
            raise PixelsError(
                "must have pixels of floats from 0 to 1, but has NaN or infinite ones: replace these by numbers."
            )
        if low >= 0 and (1 / 255 < high <= 1 or high == 0):
            return 1
        raise PixelsError(
            _range("floats from 0 to 1", "floats", f"{low:.6g}", f"{high:.6g}", "0 to 1")
        )
    if image.mode == "I":
        if low < 0 or high > 65535:
            raise PixelsError(
                _range(
                    "integers from 0 to 65535", "32-bit integers", str(low), str(high), "0 to 255"
                )
            )
        return 65535
    white = 2**bits - 1
    if high > white:  # the file says something untrue
        return 65535
    if image.format == "PNG" and bits < 16 and not (values & (2 ** (16 - bits) - 1) > 1).any():
        return 65535
    return int(white)


def _range(rule: str, what: str, low: str, high: str, scale: str) -> str:
    return f"must have pixels of {rule}, but has {what} from {low} to {high}, whose white is not known: scale them to {scale}."
