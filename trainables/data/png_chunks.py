"""The chunks of a PNG file: its pixels without what is beside them, and the bits that these use."""

from __future__ import annotations

import zlib
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Small letters, and yet they change what is seen.
OF_PIXELS = (b"tRNS", b"sBIT")
# Bytes of an EXIF chunk that is no attack.
SMALL = 1 << 20


def without_extras(data: bytes) -> bytes | None:
    """Return a PNG file without texts, profiles and times; None where it has none of these.

    They may be broken or huge beside whole pixels. A capital first letter marks the chunks that
    pixels need (PNG specification, 5.4); they stay as they are, damage included. EXIF stays where
    its checksum is right: it says which side is up.
    """
    if not data.startswith(SIGNATURE):
        return None
    kept = [SIGNATURE]
    place = len(SIGNATURE)
    # A chunk is its length in 4 bytes, its name in 4, its data, and a checksum in 4.
    while place + 8 <= len(data):
        name = data[place + 4 : place + 8]
        end = place + 12 + int.from_bytes(data[place : place + 4])
        exif = name == b"eXIf" and end - place < SMALL and _is_whole(data[place:end])
        if name[:1].isupper() or name in OF_PIXELS or exif:
            kept.append(data[place:end])
        place = end
        if name == b"IEND":
            break
    bare = b"".join(kept)
    return bare if len(bare) < len(data) else None


def significant_bits(file: BinaryIO) -> int | None:
    """Return the bits of gray that an sBIT chunk says are used; None where none says so.

    The file stays at its place.
    """
    before = file.tell()
    try:
        file.seek(len(SIGNATURE))
        while len(start := file.read(8)) == 8:
            size = int.from_bytes(start[:4])
            if start[4:] == b"sBIT":
                return int.from_bytes(file.read(1)) or None
            if start[4:] == b"IDAT":
                return None
            file.seek(size + 4, 1)
        return None
    finally:
        file.seek(before)


def _is_whole(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])
