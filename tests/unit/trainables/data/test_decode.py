from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from trainables.data import decode
from trainables.data.decode import Files
from trainables.data.rgb import to_rgb

GREEN, RED, WHITE = (0, 200, 0), (220, 10, 20), (255, 255, 255)


def decoded(path: Path, side: int = 8) -> np.ndarray:
    files = Files([path])
    assert files.problems == []
    images, problems = files.squares(np.array([0]), side)
    assert problems == []
    assert images.shape == (1, side, side, 3)
    assert images.dtype == np.uint8
    result: np.ndarray = images[0]
    return result


def close(pixel: np.ndarray, colour: tuple[int, int, int], tolerance: int = 3) -> bool:
    return bool((abs(pixel.astype(int) - colour) <= tolerance).all())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((32, 32, 3), np.uint8)
    upright[:16, :16], upright[:16, 16:] = RED, GREEN  # red top left, green top right, black below
    disturb: dict[int, Any] = {
        1: lambda image: image,
        2: np.fliplr,
        3: lambda image: np.rot90(image, 2),
        4: np.flipud,
        5: lambda image: image.transpose(1, 0, 2),
        6: np.rot90,
        7: lambda image: np.rot90(image, 2).transpose(1, 0, 2),
        8: lambda image: np.rot90(image, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(disturb[orientation](upright))
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    assert (decoded(tmp_path / "a.png", 32) == upright).all()


def test_an_upright_photo_is_turned_before_its_centre_is_cut(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20), RED)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    assert close(decoded(tmp_path / "a.jpg")[4, 4], RED)


def test_broken_exif_does_not_cost_the_image(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), RED).save(
        tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7fgarbage"
    )
    assert close(decoded(tmp_path / "a.jpg")[4, 4], RED)


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("grey.png", Image.new("L", (9, 9), 77), (77, 77, 77)),
        ("bits.png", Image.new("1", (9, 9), 1), WHITE),
        ("cmyk.jpg", Image.new("CMYK", (9, 9), (0, 255, 255, 0)), (255, 0, 0)),
        ("cmyk.tif", Image.new("CMYK", (9, 9), (255, 0, 255, 0)), (0, 255, 0)),
        ("clear.png", Image.new("RGBA", (9, 9), (10, 20, 30, 0)), WHITE),
        ("half.png", Image.new("RGBA", (9, 9), (0, 0, 0, 128)), (127, 127, 127)),
        ("greyalpha.png", Image.new("LA", (9, 9), (50, 0)), WHITE),
        ("palette.gif", Image.new("RGB", (9, 9), RED).quantize(4), RED),
        ("palette.png", Image.new("RGB", (9, 9), GREEN).quantize(4), GREEN),
        ("sixteen.png", Image.fromarray(np.full((9, 9), 257 * 100, np.uint16)), (100, 100, 100)),
        ("sixteen.tiff", Image.fromarray(np.full((9, 9), 257 * 200, np.uint16)), (200, 200, 200)),
        ("sixteen.pgm", Image.fromarray(np.full((9, 9), 257 * 3, np.uint16)), (3, 3, 3)),
        ("plain.bmp", Image.new("RGB", (9, 9), RED), RED),
        ("plain.ppm", Image.new("RGB", (9, 9), RED), RED),
        ("UPPER.JPEG", Image.new("RGB", (9, 9), RED), RED),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_mode_becomes_rgb(
    tmp_path: Path, name: str, image: Image.Image, expected: tuple[int, int, int]
) -> None:
    image.save(tmp_path / name)
    assert close(decoded(tmp_path / name)[4, 4], expected)


def test_webp_is_read(tmp_path: Path) -> None:
    Image.new("RGBA", (9, 9), (*RED, 255)).save(tmp_path / "a.webp", lossless=True)
    assert close(decoded(tmp_path / "a.webp")[4, 4], RED)


def test_a_transparent_palette_lies_on_white_without_a_warning(tmp_path: Path) -> None:
    image = Image.new("P", (10, 10), 1)
    image.putpalette([0, 0, 0, *RED, *GREEN])
    image.paste(2, (0, 5, 10, 10))
    image.save(tmp_path / "a.png", transparency=bytes([255, 0, 255]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = decoded(tmp_path / "a.png", 10)
    assert close(pixels[1, 1], WHITE)
    assert close(pixels[8, 8], GREEN)


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in (RED, GREEN, WHITE)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert close(decoded(tmp_path / "a.gif")[4, 4], RED)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_whose_white_is_unknown_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (9, 9), 70000).save(tmp_path / "a.tif")
    _, problems = Files([tmp_path / "a.tif"]).squares(np.array([0]), 8)
    assert len(problems) == 1
    assert problems[0].startswith(f"{tmp_path / 'a.tif'} must have pixels of ")
    assert "white is not known" in problems[0]


def test_the_centre_square_is_cut_and_small_images_are_enlarged(tmp_path: Path) -> None:
    pixels = np.full((10, 30, 3), 255, np.uint8)
    pixels[:, 10:20] = RED
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert close(decoded(tmp_path / "wide.png", 10), RED)
    assert close(decoded(tmp_path / "wide.png", 64)[32, 32], RED)


def test_shrinking_is_antialiased(tmp_path: Path) -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "a.png")
    assert abs(decoded(tmp_path / "a.png", 16).astype(int) - 127).max() <= 3


def test_a_large_jpeg_decoded_small_looks_as_if_it_were_decoded_whole(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:1200, 0:1600]
    photo = np.stack(
        [columns * 255 // 1600, rows * 255 // 1200, (rows + columns) % 256 // 2], -1
    ).astype(np.uint8)
    Image.fromarray(photo).save(tmp_path / "a.jpg", quality=95)
    whole = Image.open(tmp_path / "a.jpg").resize(
        (64, 64), Image.Resampling.BILINEAR, box=(200, 0, 1400, 1200)
    )
    assert abs(decoded(tmp_path / "a.jpg", 64).astype(int) - np.asarray(whole)).mean() < 1.5


def test_headers_show_sides_and_name_what_is_no_image(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "good.png")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    files = Files(
        [
            tmp_path / name
            for name in ("good.png", "empty.jpg", "text.jpg", "script.png", "gone.jpg")
        ]
    )
    assert files.sizes.tolist() == [[20, 30], *[[0, 0]] * 4]
    assert "empty.jpg must be an image, but it is empty" in files.problems[0]
    for name, line in zip(("text.jpg", "script.png", "gone.jpg"), files.problems[1:], strict=True):
        assert name in line


def test_truncated_and_broken_files_are_named_and_the_others_decoded(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for name in ("good.png", "cut.jpg", "cut.png", "crc.png"):
        Image.fromarray(noise).save(tmp_path / name)
    for name in ("cut.jpg", "cut.png"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    broken = bytearray((tmp_path / "crc.png").read_bytes())
    broken[200:230] = bytes(30)
    (tmp_path / "crc.png").write_bytes(broken)
    files = Files([tmp_path / name for name in ("cut.jpg", "cut.png", "good.png", "crc.png")])
    assert files.problems == []
    images, problems = files.squares(np.arange(4), 64)
    assert [
        name for name in ("cut.jpg", "cut.png", "crc.png") if any(name in line for line in problems)
    ] == [
        "cut.jpg",
        "cut.png",
        "crc.png",
    ]
    assert (images[2] == noise).all()


def test_a_decompression_bomb_is_a_problem_and_its_smaller_sister_passes_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (100, 100), RED).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    assert "bomb.png must have a reasonable size" in Files([tmp_path / "bomb.png"]).problems[0]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9000)  # Pillow only warns up to twice that
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert close(decoded(tmp_path / "bomb.png")[4, 4], RED)


def test_to_rgb_leaves_rgb_alone() -> None:
    assert to_rgb(Image.new("RGB", (2, 2), RED)).getpixel((0, 0)) == RED


@pytest.mark.parametrize(
    "format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "MPO", "JPEG2000", "ICO", "AVIF"]
)
def test_files_are_read_by_their_content_whatever_their_name(tmp_path: Path, format: str) -> None:
    if format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    for name in ("a.jpg", "a.png", "a.jpeg?x=1", "a"):
        Image.new("RGB", (20, 20), RED).save(tmp_path / name, format)
        assert close(decoded(tmp_path / name)[4, 4], RED, 6)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3000, 1), (2, 1)])
def test_a_side_of_one_pixel_is_enlarged(
    tmp_path: Path, size: tuple[int, int], format: str
) -> None:
    Image.new("RGB", size, RED).save(tmp_path / "a", format)
    assert Files([tmp_path / "a"]).sizes.tolist() == [sorted(size)]
    assert (abs(decoded(tmp_path / "a", 32).astype(int) - RED) <= 6).all()


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"<html>404", "must be an image, but it is an HTML page: download it again or remove it."),
        (
            b"version https://git-lfs.github.com/spec/v1",
            "it is a git LFS pointer in place of the image: run git lfs pull.",
        ),
        (b"%PDF-1.4", "it is a PDF document: convert it to JPEG or PNG, or remove it."),
        (
            b"\xff\xd8\xff\xe0",
            "it is a JPEG file that is damaged, cut off or of a rare kind: convert, replace or "
            "remove it.",
        ),
    ],
)
def test_what_is_no_image_is_named_with_its_mend(tmp_path: Path, data: bytes, line: str) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    files = Files([tmp_path / "a.jpg"])
    assert len(files.problems) == 1
    assert files.problems[0].endswith(line)
    assert files.squares(np.array([0]), 8)[1] == files.problems


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


def test_heic_is_named_with_its_mend_where_pillow_heif_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heif_unknown: None
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.jpg").write_bytes(HEIC)
    (line,) = Files([tmp_path / "a.jpg"]).problems
    assert "it is a HEIC image for which pillow-heif is missing" in line
    assert "pip install pillow-heif" in line


def test_pillow_heif_is_registered_once_and_only_for_heic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heif_unknown: None
) -> None:
    calls = []
    fake = SimpleNamespace(register_heif_opener=lambda: calls.append(1))
    monkeypatch.setitem(sys.modules, "pillow_heif", fake)
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("text")
    assert len(Files([tmp_path / "a.png", tmp_path / "b.png"]).problems) == 1
    assert calls == []
    (tmp_path / "c.heic").write_bytes(HEIC)
    assert len(Files([tmp_path / "c.heic"] * 3).problems) == 3
    assert calls == [1]


@pytest.fixture
def heif_unknown() -> Iterator[None]:
    decode._reads_heic.cache_clear()
    yield
    decode._reads_heic.cache_clear()


def test_heic_is_read_and_turned_once_where_pillow_heif_is_installed(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    image = Image.new("RGB", (60, 40), RED)
    image.paste(GREEN, (0, 0, 30, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # its left side is up
    pillow_heif.from_pillow(image).save(tmp_path / "a.heic", quality=95, exif=exif.tobytes())
    pixels = decoded(tmp_path / "a.heic")
    assert close(pixels[1, 4], GREEN, 6)
    assert close(pixels[6, 4], RED, 6)


def test_images_that_are_nearly_black_are_told_of_with_an_example(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(rng.integers(0, 256, (20, 20), np.uint8)).save(
            tmp_path / f"{number:02}.png"
        )
    paths = sorted(tmp_path.iterdir())
    assert decode.cautions(paths) == []
    Image.fromarray(rng.integers(0, 2, (20, 20), np.uint8)).save(paths[0])
    (line,) = decode.cautions(paths)
    assert line.startswith(
        f"1 of 16 sampled images are nearly black, such as {paths[0]}, whose brightest value is "
        "1 of 255"
    )


@pytest.mark.parametrize(("bits", "brightest"), [(10, 4), (12, 16), (14, 64)])
def test_fewer_bits_in_16_without_a_word_are_told_of(
    tmp_path: Path, bits: int, brightest: int
) -> None:
    for number in range(20):
        values = np.full((20, 20), 2**bits - 1 - number, np.uint16)
        Image.fromarray(values).save(tmp_path / f"{number:02}.png")
    (line,) = decode.cautions(sorted(tmp_path.iterdir()))
    assert line.startswith("16 of 16 sampled images are nearly black")
    assert f"whose brightest value is {brightest} of 255" in line


def test_only_the_first_of_several_pages_is_used_and_that_is_said(tmp_path: Path) -> None:
    pages = [Image.new("L", (9, 9), value) for value in (200, 100)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    (line,) = decode.cautions([tmp_path / "a.tif"])
    assert "1 of 1 sampled images are TIFF files with several pages" in line
    assert close(decoded(tmp_path / "a.tif")[4, 4], (200, 200, 200))


def test_there_are_no_cautions_about_nothing_and_about_what_does_not_decode(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("text")
    assert decode.cautions([]) == []
    assert decode.cautions([tmp_path / "a.jpg", tmp_path / "gone.jpg"]) == []


def test_nearly_black_is_asked_of_each_image() -> None:
    images = np.zeros((3, 4, 4, 3), np.uint8)
    images[1, 2, 2] = 16
    images[2, 2, 2, 1] = 17
    assert decode.nearly_black(images).tolist() == [True, True, False]
    assert decode.nearly_black(images[:0]).tolist() == []


@pytest.mark.parametrize(("quota", "threads"), [(None, 3), (1.0, 1)])
def test_files_are_read_by_a_thread_per_cpu_that_this_process_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: float | None, threads: int
) -> None:
    Image.new("RGB", (8, 6), RED).save(tmp_path / "a.png")
    started: list[int] = []

    class Recorded(ThreadPoolExecutor):
        def __init__(self, max_workers: int) -> None:
            started.append(max_workers)
            super().__init__(max_workers)

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    monkeypatch.setattr("trainables.cpus.cpu_limit", lambda: quota)
    monkeypatch.setattr(decode, "ThreadPoolExecutor", Recorded)
    assert Files([tmp_path / "a.png"]).sizes.tolist() == [[6, 8]]
    assert started == [threads]
