"""Tiny pictures, no two of them near copies, and files of formats that Pillow does not write."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

GRID = 8  # random knots a side: as many as a 64-bit perceptual hash looks at
SIDE = 32


@functools.cache
def picture(series: str, number: int, side: int = SIDE) -> Pixels:
    """Draw a smooth random picture, uint8 [side, side, 3].

    Its hue is the series'; each (series, number) has a picture of its own.
    """
    hue = np.random.default_rng(zlib.crc32(series.encode("utf-8", "surrogateescape"))).uniform(
        0.5, 1, 3
    )
    luma = np.random.default_rng(
        [zlib.crc32(series.encode("utf-8", "surrogateescape")), number]
    ).integers(0, 256, (GRID, GRID), np.uint8)
    smooth = Image.fromarray(luma).resize((side, side), Image.Resampling.BICUBIC)
    pixels = (np.asarray(smooth)[..., None] * hue).astype(np.uint8)
    pixels.flags.writeable = False  # it is shared
    return pixels


def in_group(series: str, number: int, group: int) -> Pixels:
    """A picture whose red says its group, 0 to 24: 10 times the group, everywhere."""
    pixels = picture(series, number).copy()
    pixels[..., 0] = 10 * group
    return pixels


def groups_of(images: Pixels) -> set[int]:
    """The groups of decoded pictures of `in_group`, [N, H, W, 3], stored without loss."""
    return {round(float(red) / 10) for red in np.median(images[..., 0], axis=(1, 2))}


def encoded(
    pixels: npt.NDArray[Any], form: str = "JPEG", *, convert: str = "", **options: Any
) -> bytes:
    """A picture as the bytes of a file, in another mode of Pillow if asked for."""
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(convert) if convert else image).save(file, form, **options)
    return file.getvalue()


def save(path: Path, pixels: npt.NDArray[Any]) -> None:
    """Write a picture in the format of the path's suffix; JPEG where Pillow knows none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    form = Image.registered_extensions().get(path.suffix.lower(), "JPEG")
    options = {"quality": 92} if form == "JPEG" else {}
    path.write_bytes(encoded(pixels, form, **options))


def tiff(values: npt.NDArray[Any]) -> bytes:
    """Write an uncompressed TIFF of any type and number of bands, [H, W, bands].

    Scanners, satellites and CTs give such files.
    """
    height, width, bands = values.shape
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    pixels = values.astype(values.dtype.newbyteorder("<")).tobytes()
    lists = struct.pack(f"<{bands}H", *[8 * values.dtype.itemsize] * bands) + struct.pack(
        f"<{bands}H", *[kind] * bands
    )
    bits_at, kinds_at = (8 + len(pixels) + place for place in (0, 2 * bands))
    short = bands <= 2  # then the list is in the entry itself
    bits = struct.unpack("<I", lists[: 2 * bands].ljust(4, b"\0"))[0] if short else bits_at
    kinds = struct.unpack("<I", lists[2 * bands :].ljust(4, b"\0"))[0] if short else kinds_at
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, bands, bits),
        (259, 3, 1, 1),  # no compression
        (262, 3, 1, 2 if bands == 3 else 1),  # RGB, or black is zero
        (273, 4, 1, 8),
        (277, 3, 1, bands),
        (278, 4, 1, height),
        (279, 4, 1, len(pixels)),
        (339, 3, bands, kinds),
    ]
    directory = (
        struct.pack("<H", len(entries))
        + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        + bytes(4)
    )
    return (
        struct.pack("<2sHI", b"II", 42, 8 + len(pixels) + len(lists)) + pixels + lists + directory
    )


def png(pixels: npt.NDArray[Any], *extra: bytes, size: tuple[int, int] | None = None) -> bytes:
    """Write a PNG of 8 or 16 bits, grey [H, W] or RGB [H, W, 3].

    It has chunks of `chunk` before its pixels, and claims to have `size`.
    """
    height, width = size or pixels.shape[:2]
    color = 2 if pixels.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.dtype.itemsize, color, 0, 0, 0)
    big = pixels.astype(pixels.dtype.newbyteorder(">"))
    rows = b"".join(b"\0" + big[row].tobytes() for row in range(len(pixels)))
    chunks = [
        chunk(b"IHDR", header),
        *extra,
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def chunk(name: bytes, data: bytes, *, whole: bool = True) -> bytes:
    """A chunk of a PNG, its checksum wrong if not `whole`."""
    checksum = zlib.crc32(name + data) ^ (0 if whole else 1)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
