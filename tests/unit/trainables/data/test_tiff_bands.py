from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from trainables.data.decode import Files

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
PIXELS[0, 1:3] = [[0], [255]]
GREY = PIXELS[..., 0]
KINDS = {"u": 1, "i": 2, "f": 3, "c": 6}


def tiff(
    values: np.ndarray,
    *,
    photometric: int = 1,
    planar: bool = False,
    deflated: bool = False,
    **tags: object,
) -> bytes:
    """Write a TIFF file [H, W] or [H, W, bands] in the array's byte order.

    It has one strip, or one for each band.
    """
    order = ">" if values.dtype.byteorder == ">" else "<"
    stack = values.reshape(*values.shape[:2], -1)
    height, width, bands = stack.shape
    strips = [stack[..., band].tobytes() for band in range(bands)] if planar else [stack.tobytes()]
    if deflated:
        strips = list(map(zlib.compress, strips))
    bits = 8 * values.itemsize
    return assembled(
        strips,
        {
            256: (width,),
            257: (height,),
            258: (bits,) * bands,
            259: (8 if deflated else 1,),
            262: (photometric,),
            277: (bands,),
            278: (height,),
            284: (2 if planar else 1,),
            339: (KINDS[values.dtype.kind],) * bands,
            **{int(name[1:]): value for name, value in tags.items()},
        },
        order,
    )


def assembled(strips: list[bytes], tags: dict[int, object], order: str = "<") -> bytes:
    offsets = [8 + sum(map(len, strips[:number])) for number in range(len(strips))]
    all_tags = {**tags, 273: tuple(offsets), 279: tuple(map(len, strips))}
    body = b"".join(strips)
    entries, extra = b"", b""
    extra_start = 8 + len(body) + 2 + 12 * len(all_tags) + 4
    for tag, value in sorted(all_tags.items()):
        assert isinstance(value, tuple)
        packed = struct.pack(f"{order}{len(value)}I", *value)
        if len(value) > 1:
            place = struct.pack(f"{order}I", extra_start + len(extra))
            extra += packed
            packed = place
        entries += struct.pack(f"{order}HHI", tag, 4, len(value)) + packed
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(f"{order}I", 8 + len(body))
    return head + body + struct.pack(f"{order}H", len(all_tags)) + entries + bytes(4) + extra


def shown(path: Path, data: bytes) -> np.ndarray:
    path.write_bytes(data)
    assert Files([path]).problems == []
    images, problems = Files([path]).squares(np.array([0]), 6)
    assert problems == []
    result: np.ndarray = images[0]
    return result


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    files = Files([path])
    _, problems = files.squares(np.array([0]), 6)
    assert len(problems) == 1
    assert files.problems in ([], problems)
    assert problems[0].startswith(f"{path} must ")
    assert problems[0].count("\n") == 0
    return problems[0].removeprefix(f"{path} ")


def centre(values: np.ndarray) -> np.ndarray:
    result: np.ndarray = values[:, 1:7]
    return result if result.ndim == 3 else np.repeat(result[..., None], 3, 2)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("planar", [False, True])
def test_rgb_of_16_bits_is_exact_in_every_arrangement(
    tmp_path: Path, planar: bool, deflated: bool, order: str
) -> None:
    values = (PIXELS.astype(np.uint16) * 257).astype(f"{order}u2")
    image = shown(tmp_path / "a.tif", tiff(values, photometric=2, planar=planar, deflated=deflated))
    assert (image == centre(PIXELS)).all()


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_white_may_be_zero(tmp_path: Path, bits: int, deflated: bool) -> None:
    values = (255 - GREY).astype(f"<u{bits // 8}") * (257 if bits == 16 else 1)
    image = shown(
        tmp_path / "a.tif", tiff(values.astype(f"<u{bits // 8}"), photometric=0, deflated=deflated)
    )
    assert (image == centre(GREY)).all()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("kind", ["f4", "i4"])
def test_floats_up_to_1_and_32_bits_up_to_65535_are_read(
    tmp_path: Path, kind: str, deflated: bool, order: str
) -> None:
    values = (GREY / 255 if kind == "f4" else GREY.astype(int) * 257).astype(order + kind)
    assert (shown(tmp_path / "a.tif", tiff(values, deflated=deflated)) == centre(GREY)).all()


def test_a_black_image_of_floats_is_black(tmp_path: Path) -> None:
    assert shown(tmp_path / "a.tif", tiff(np.zeros((6, 8), np.float32))).max() == 0


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (
            GREY.astype(np.float32),
            "has floats from 0 to 255, whose white is not known: scale them to 0 to 1.",
        ),
        (
            GREY.astype(np.float32) / 255**2,
            "whose white is not known",
        ),  # 0 to 1/255: of 0 to 1, or a mask of 0 to 255
        (GREY.astype(np.float32) - 1, "has floats from -1 to"),
        (
            np.where(GREY > 9, GREY / np.float32(255), np.nan).astype(np.float32),
            "has NaN or infinite ones",
        ),
        (GREY.astype(np.int32) * 70000, "has 32-bit integers from"),
    ],
)
def test_pixels_whose_white_is_not_known_are_refused(
    tmp_path: Path, values: np.ndarray, found: str
) -> None:
    assert found in refused(tmp_path / "a.tif", tiff(values.astype(values.dtype.newbyteorder("<"))))


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize(
    ("bands", "dtype", "found"),
    [
        (
            13,
            "<u2",
            "must be grayscale, RGB or RGBA of 8 or 16 bits, but has 13 bands of 16-bit unsigned "
            "integers: save three of",
        ),
        (2, "<u1", "has 2 bands of 8-bit unsigned integers: save one of them, or three as RGB."),
        (
            3,
            "<u2",
            "has 3 bands of 16-bit unsigned integers without names: save them with photometric "
            "RGB.",
        ),
        (4, "<u1", "has 4 bands of 8-bit unsigned integers: save three of them as RGB."),
        (
            3,
            "<f4",
            "has 3 bands of 32-bit floats: scale its values to 0 to 255 and save them as 8-bit "
            "unsigned integers.",
        ),
        (1, "<i2", "has 1 band of 16-bit signed integers: scale its values"),  # computed tomography
        (1, "<i1", "has 1 band of 8-bit signed integers: scale its values"),
        (1, "<f2", "has 1 band of 16-bit floats: scale its values"),
        (1, "<f8", "has 1 band of 64-bit floats: scale its values"),
        (1, "<c8", "has 1 band of 64-bit complex floats"),
    ],
)
def test_bands_that_are_no_picture_are_named_before_anything_is_decoded(
    tmp_path: Path, bands: int, dtype: str, found: str, deflated: bool, planar: bool
) -> None:
    values = np.ones((6, 8, bands), dtype)
    data = tiff(values, planar=planar, deflated=deflated, t338=(0,) * (bands - 1) or (0,))
    assert found in refused(tmp_path / "a.tif", data)
    assert len(Files([tmp_path / "a.tif"]).problems) == 1


def test_grey_with_transparency_is_shown_on_white(tmp_path: Path) -> None:
    values = np.stack([GREY, np.zeros_like(GREY)], -1)
    assert (shown(tmp_path / "a.tif", tiff(values, t338=(2,))) == 255).all()
    opaque = np.stack([GREY, np.full_like(GREY, 255)], -1)
    assert (shown(tmp_path / "b.tif", tiff(opaque, t338=(1,))) == centre(GREY)).all()


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize(("bits", "planar"), [(8, False), (16, False), (16, True)])
def test_a_fourth_band_beside_rgb_is_left_out(
    tmp_path: Path, bits: int, planar: bool, deflated: bool
) -> None:
    values = np.concatenate([PIXELS, GREY[..., None]], 2).astype(f"<u{bits // 8}") * (
        257 if bits == 16 else 1
    )
    data = tiff(
        values.astype(f"<u{bits // 8}"), photometric=2, planar=planar, deflated=deflated, t338=(0,)
    )
    assert (shown(tmp_path / "a.tif", data) == centre(PIXELS)).all()


@pytest.mark.parametrize("deflated", [False, True])
def test_white_is_4095_where_12_bits_are_packed(tmp_path: Path, deflated: bool) -> None:
    values = np.round(GREY / 255 * 4095).astype(int)
    bits = "".join(f"{value:012b}" for value in values.ravel())
    strip = int(bits, 2).to_bytes(len(bits) // 8)
    tags = {
        256: (8,),
        257: (6,),
        258: (12,),
        259: (8 if deflated else 1,),
        262: (1,),
        277: (1,),
        278: (6,),
    }
    data = assembled([zlib.compress(strip) if deflated else strip], dict(tags))
    assert (shown(tmp_path / "a.tif", data) == centre(GREY)).all()


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_white_is_what_the_tags_say_if_that_is_a_number_of_bits(tmp_path: Path, bits: int) -> None:
    white = 2**bits - 1
    values = np.round(GREY / 255 * white).astype("<u2")
    assert (shown(tmp_path / "a.tif", tiff(values, t281=(white,))) == centre(GREY)).all()
    dark = np.round(values / 257).astype(np.uint8)
    assert (
        shown(tmp_path / "b.tif", tiff(values, t281=(int(values.max()) - 1,))) == centre(dark)
    ).all()
    assert (shown(tmp_path / "c.tif", tiff(values)) == centre(dark)).all()


def test_a_largest_value_that_is_not_the_largest_is_not_believed(tmp_path: Path) -> None:
    values = GREY.astype("<u2") * 257
    assert (
        shown(tmp_path / "a.tif", tiff(values.astype("<u2"), t281=(4095,))) == centre(GREY)
    ).all()


def test_a_cut_off_tiff_is_named(tmp_path: Path) -> None:
    data = tiff(PIXELS, photometric=2)
    assert "a TIFF file that is damaged" in refused(tmp_path / "a.tif", data[:40])
    refused(tmp_path / "b.tif", data[:-9] + b"\xff" * 9)
