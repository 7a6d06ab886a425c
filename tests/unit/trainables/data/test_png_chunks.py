from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from trainables.data.decode import Files
from trainables.data.png_chunks import significant_bits, without_extras

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
EXIF_UPRIGHT = b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\1\0\0\0\0\0\0\0"
EXIF_UPSIDE_DOWN = b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\3\0\0\0\0\0\0\0"


def png(pixels: np.ndarray = PIXELS, before: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG file with chunks before and after those of its pixels."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    data = file.getvalue()
    start, end = 8 + 25, len(data) - 12
    return data[:start] + before + data[start:end] + after + data[end:]


def chunk(name: bytes, content: bytes, *, right: bool = True) -> bytes:
    checksum = zlib.crc32(name + content) ^ (not right)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def shown(path: Path, data: bytes) -> np.ndarray:
    path.write_bytes(data)
    assert Files([path]).problems == []
    images, problems = Files([path]).squares(np.array([0]), 12)
    assert problems == []
    result: np.ndarray = images[0]
    return result


BOMB = zlib.compress(bytes(PngImagePlugin.MAX_TEXT_CHUNK + 1))
BROKEN = {
    "profile, checksum": chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(b"profile"), right=False),
    "profile, method": chunk(b"iCCP", b"sRGB\0\7abc"),
    "profile, huge": chunk(b"iCCP", b"sRGB\0\0" + BOMB),
    "profile, no end": chunk(b"iCCP", b"sRGB"),
    "text, checksum": chunk(b"tEXt", b"Comment\0hello", right=False),
    "text, huge": chunk(b"zTXt", b"Comment\0\0" + BOMB),
    "text, international and huge": chunk(b"iTXt", b"Comment\0\1\0\0\0" + BOMB),
    "texts, many": 66
    * chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(PngImagePlugin.MAX_TEXT_CHUNK - 1))),
    "EXIF, checksum": chunk(b"eXIf", EXIF_UPRIGHT, right=False),
    "EXIF, content": chunk(b"eXIf", b"II*\0\xff\xff\xff\x7f"),
    "resolution, short": chunk(b"pHYs", b"\0"),
    "animation, short": chunk(b"acTL", b"\0"),
    "gamma, short": chunk(b"gAMA", b""),
}


@pytest.mark.parametrize("extra", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_broken_beside_whole_pixels_does_not_cost_the_image(
    tmp_path: Path, extra: bytes
) -> None:
    assert (shown(tmp_path / "before.png", png(before=extra)) == PIXELS).all()
    assert (shown(tmp_path / "after.png", png(after=extra)) == PIXELS).all()


def test_whole_exif_beside_a_broken_text_still_says_which_side_is_up(tmp_path: Path) -> None:
    extras = chunk(b"eXIf", EXIF_UPSIDE_DOWN) + BROKEN["text, checksum"]
    assert (shown(tmp_path / "a.png", png(before=extras)) == PIXELS[::-1, ::-1]).all()


def test_transparency_is_no_extra(tmp_path: Path) -> None:
    clear = chunk(b"tRNS", struct.pack(">3H", *PIXELS[5, 5]))
    assert (
        shown(tmp_path / "a.png", png(before=clear + BROKEN["text, checksum"]))[5, 5] == 255
    ).all()
    (tmp_path / "b.png").write_bytes(png(before=chunk(b"tRNS", bytes(6), right=False)))
    assert len(Files([tmp_path / "b.png"]).problems) == 1


def test_damaged_pixels_are_refused_without_extras_too(tmp_path: Path) -> None:
    whole = png(
        np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8),
        before=BROKEN["text, huge"],
    )
    for name, data in {
        "cut": whole[:-3000],
        "changed": whole[:-3000] + bytes(40) + whole[-2960:],
    }.items():
        (tmp_path / f"{name}.png").write_bytes(data)
        _, problems = Files([tmp_path / f"{name}.png"]).squares(np.array([0]), 8)
        assert len(problems) == 1


def test_without_extras_nothing_changes_where_there_is_nothing_to_leave_out() -> None:
    assert without_extras(png()) is None
    assert without_extras(b"no PNG") is None
    assert without_extras(png(before=BROKEN["text, huge"])) == png()


def sixteen(values: np.ndarray, bits: int | None = None) -> bytes:
    return png(
        values.astype(np.uint16), before=b"" if bits is None else chunk(b"sBIT", bytes([bits]))
    )


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_significant_bits_leave_white_at_65535_as_the_specification_has_it(
    tmp_path: Path, bits: int
) -> None:
    raw = np.random.default_rng(0).integers(0, 2**bits, (12, 12))
    scaled = np.round(raw * 65535 / (2**bits - 1))
    expected = np.round(scaled / 257).astype(np.uint8)[..., None]
    assert (shown(tmp_path / "a.png", sixteen(scaled, bits)) == expected).all()
    # Below 16 of all: its values look like raw ones.
    dim = np.round(raw // 2 ** (bits - 4) * 65535 / (2**bits - 1))
    assert (
        shown(tmp_path / "b.png", sixteen(dim, bits))
        == np.round(dim / 257).astype(np.uint8)[..., None]
    ).all()


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_raw_values_with_significant_bits_are_scaled_by_them(tmp_path: Path, bits: int) -> None:
    raw = np.random.default_rng(0).integers(0, 2**bits, (12, 12))
    expected = np.round(raw * 255 / (2**bits - 1)).astype(np.uint8)[..., None]
    assert (shown(tmp_path / "a.png", sixteen(raw, bits)) == expected).all()


def test_16_bits_without_a_word_are_all_used(tmp_path: Path) -> None:
    raw = np.random.default_rng(0).integers(0, 4096, (12, 12))
    assert (
        shown(tmp_path / "a.png", sixteen(raw)) == np.round(raw / 257).astype(np.uint8)[..., None]
    ).all()


def test_significant_bits_leave_the_file_at_its_place() -> None:
    file = BytesIO(sixteen(np.zeros((2, 2)), 12))
    file.seek(7)
    assert significant_bits(file) == 12
    assert file.tell() == 7
    assert significant_bits(BytesIO(png())) is None
    assert significant_bits(BytesIO(png()[:20])) is None
