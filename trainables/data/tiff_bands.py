"""The bands of a TIFF file: what they hold, and whether that is a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import TiffImagePlugin

Tags = Mapping[int, Any]

# Numbers of tags (TIFF 6.0, section 8; MaxSampleValue and its like are in section 19).
WIDTH = 256
HEIGHT = 257
BITS = 258
COMPRESSION = 259
PHOTOMETRIC = 262
BANDS = 277
LARGEST = 281
PLANAR = 284
EXTRA = 338
FORMAT = 339
LARGEST_SIGNED = 341

# Values of FORMAT.
UNSIGNED = 1
SIGNED = 2
FORMATS = {
    UNSIGNED: "unsigned integers",
    SIGNED: "signed integers",
    3: "floats",
    5: "complex integers",
    6: "complex floats",
}
# Values of PHOTOMETRIC: zero is white, zero is black.
GREYS = (0, 1)
# Values of EXTRA: one more band, and that of transparency.
ALPHAS = ((1,), (2,))

# Pillow's names of ways to unpack: one band of 8 bits; 32 bits in this machine's order.
COLORS = tuple("RGBACMYK")
NATIVE = {"F;32BF": "F;32NF", "I;32BS": "I;32NS"}
# The way of a fourth band: Pillow takes the letters of "RGB;16L" one by one.
SPARE = ";"

RULE = "must be grayscale, RGB or RGBA of 8 or 16 bits"


def misread(tags: Tags) -> str | None:
    """Say why an image that Pillow opens would not be what its file means; None where it would.

    Pillow takes signed bytes for unsigned ones, and the first of several bands for gray.
    """
    bands, bits, form = _layout(tags)
    if form == SIGNED and bits <= 16:
        return _refusal(tags)
    alpha = bands == 2 and tuple(tags.get(EXTRA, ())) in ALPHAS
    if bands > 1 and tags.get(PHOTOMETRIC) in GREYS and not alpha:
        return _refusal(tags)
    return None


def unread(path: Path) -> str | None:
    """Say which bands a TIFF file has that Pillow does not open; None where no tag says it."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
            if head[2:3] == b"+" or head[3:4] == b"+":
                head += file.read(8)
            tags = TiffImagePlugin.ImageFileDirectory_v2(head)
            file.seek(tags.next)
            tags.load(file)
            return _refusal(tags) if tags.get(WIDTH) and tags.get(HEIGHT) else None
    # Pillow raises almost anything on broken bytes.
    except Exception:  # noqa: BLE001
        return None


def claimed_bits(tags: Tags) -> int:
    """Return the bits that the values of 16-bit gray use, where the tags say so.

    The largest value is a statistic of the file and not its white, but one of 1023, 4095 or 16383
    is that of 10, 12 or 14 bits.
    """
    _, bits, _ = _layout(tags)
    if bits < 16:
        return bits
    for tag in (LARGEST, LARGEST_SIGNED):
        largest = tags.get(tag)
        if isinstance(largest, tuple) and largest:
            largest = largest[0]
        for fewer in (10, 12, 14):
            if largest == 2**fewer - 1:
                return fewer
    return bits


def decode_as_meant(image: TiffImagePlugin.TiffImageFile) -> None:
    """Correct what Pillow 11 to 13 mistake in an opened TIFF file, before its pixels are loaded.

    Compressed big-endian floats and 32-bit integers come from libtiff in this machine's order, but
    are swapped again. 16-bit bands that lie one after the other are taken for 8-bit ones, and a
    spare one after RGB for another color.
    """
    _, bits, _ = _layout(image.tag_v2)
    apart = bits == 16 and image.tag_v2.get(PLANAR) == 2
    order = "B" if image.tag_v2.prefix == b"MM" else "L"
    of_16_bits = {way: f"{way};16{order}" for way in COLORS}
    tiles = []
    for tile in image.tile:
        args: Any = tile.args
        way = args[0]
        if tile.codec_name == "libtiff":
            way = NATIVE.get(way, way)
        elif apart:
            way = of_16_bits.get(way, way)
        if not (apart and way == SPARE):
            tiles.append(tile._replace(args=(way, *args[1:])))
    image.tile = tiles


def _layout(tags: Tags) -> tuple[int, int, int]:
    """Return the number of bands, their bits, and the format of their values."""
    bits = tags.get(BITS, (1,))
    bands = tags.get(BANDS, len(bits))
    return bands, max(bits), max(tags.get(FORMAT, (UNSIGNED,)))


def _refusal(tags: Tags) -> str:
    bands, bits, form = _layout(tags)
    count = f"{bands} band" if bands == 1 else f"{bands} bands"
    has = f"but has {count} of {bits}-bit {FORMATS.get(form, 'values')}"
    # Each kind is told with what to save instead.
    plain = form == UNSIGNED and bits in (8, 16)
    if plain and bands == 3 and tags.get(PHOTOMETRIC) in GREYS:
        return (
            f"must name its bands as red, green and blue, {has} without names: "
            f"save them with photometric RGB."
        )
    if bands == 2:
        return f"{RULE}, {has}: save one of them, or three as RGB."
    if bands > 4 or (plain and bands == 4):
        return f"{RULE}, {has}: save three of them as RGB."
    if not plain:
        mend = "scale its values to 0 to 255 and save them as 8-bit unsigned integers"
        return f"{RULE}, {has}: {mend}."
    compression = tags.get(COMPRESSION, 1)
    photometric = tags.get(PHOTOMETRIC, "not given")
    return (
        f"must be a TIFF of a common form, {has} in another (compression {compression}, "
        f"photometric {photometric}): save it again as PNG."
    )
