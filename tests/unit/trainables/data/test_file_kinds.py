from __future__ import annotations

import os
import struct
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, features

from trainables.data.file_kinds import FIRST_BYTES, READ, image_format, is_image, what_is

FORMATS = {
    "JPEG": "JPEG",
    "PNG": "PNG",
    "WEBP": "WebP",
    "BMP": "BMP",
    "DIB": None,  # a bitmap's inside alone: nothing marks it
    "GIF": "GIF",
    "TIFF": "TIFF",
    "PPM": "PPM",
    "MPO": "JPEG",
    "JPEG2000": "JPEG 2000",
    "ICO": "ICO",
}
IMAGES = (
    "a.jpg A.JPG a.Jpeg a.jfif a.jpe a.png a.webp a.tiff a.pbm a.avif a.HEIC a.heif a.jp2 a.ico "
    "a.jxl a.b.gif"
)
OTHERS = (
    "a.txt a.JSON a.csv a.py a.zip a.npy a.mp4 a.svg a.CR2 a.dng a.psd a.jpg~ a.jpg.bak .a.jpg .a"
)
AVIF = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def saved(format: str) -> bytes:
    file = BytesIO()
    Image.new("RGB", (20, 20), (200, 20, 30)).save(file, format)
    return file.getvalue()


def box(kind: bytes, *brands: bytes) -> bytes:
    content = kind + brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I", len(content) + 4) + content + bytes(40)


@pytest.mark.parametrize("name", IMAGES.split())
def test_a_suffix_of_images_is_believed_unopened(name: str) -> None:
    assert is_image(Path("/not/there", name))


@pytest.mark.parametrize("name", OTHERS.split())
def test_a_suffix_of_other_things_is_believed_too_and_so_is_a_hidden_name(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(saved("JPEG"))
    assert not is_image(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    ["a.jpeg?x=1", "plain", "a.jpg_large", "2021.05.03 a cat", "a.dat", "image.0", "a.jpg:large"],
)
def test_where_a_suffix_says_nothing_the_first_bytes_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(saved("JPEG"))
    assert is_image(tmp_path / name)
    (tmp_path / name).write_text("[ZoneTransfer]")
    assert not is_image(tmp_path / name)


@pytest.mark.parametrize(
    ("format", "name"), [*FORMATS.items(), pytest.param("AVIF", "AVIF", marks=AVIF)]
)
def test_every_format_that_is_read_is_known_by_its_first_bytes(
    tmp_path: Path, format: str, name: str | None
) -> None:
    (tmp_path / "file").write_bytes(saved(format))
    assert image_format(saved(format)[:FIRST_BYTES]) == name
    assert is_image(tmp_path / "file") == (name in READ)


@pytest.mark.parametrize(
    "text",
    [
        "BMW is a make of cars, and not a bitmap",
        "P1 is a rank, P2 another",
        "GIF is a format",
        "II is two",
        "",
        "\0\0\1\0",
    ],
)
def test_text_is_no_image_however_it_begins(tmp_path: Path, text: str) -> None:
    (tmp_path / "README").write_text(text)
    assert not is_image(tmp_path / "README")


def test_what_is_no_file_is_no_image_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    assert not any(is_image(tmp_path / name) for name in ("pipe", "folder", "link", "gone"))


@pytest.mark.parametrize(
    ("data", "what", "mend"),
    [
        (b"", "empty", "download it again"),
        (bytes(500), "zero bytes", "copy it again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "a git LFS pointer",
            "run git lfs pull",
        ),
        (b"\r\n<!DOCTYPE html><html><body>404", "an HTML page", "download it again"),
        ("\ufeff<html>".encode(), "an HTML page", "download it again"),
        (
            b'<?xml version="1.0"?>\n<!-- -->\n<svg xmlns="http://www.w3.org/2000/svg">',
            "an SVG drawing",
            "convert it",
        ),
        (b"<Svg>", "an SVG drawing", "convert it"),
        (
            b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>',
            "an XML document",
            "download it again",
        ),
        (
            b'{"message": "rate limit"}',
            'text that begins with \'{"message": "rate limit"\'',
            "download it again",
        ),
        ("Zugriff verweigert: ä".encode()[:-1], "text that begins with", "download it again"),
        ("nicht da".encode("utf-16"), "text that begins with 'nicht da'", "download it again"),
        (b"%PDF-1.7\n", "a PDF document", "convert it"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript file", "convert it"),
        (b"PK\3\4abc", "a zip archive", "unpack it"),
        (b"\x1f\x8b\x08", "a gzip archive", "unpack it"),
        (bytes(257) + b"ustar", "a tar archive", "unpack it"),
        (bytes(128) + b"DICM", "a DICOM file", "a window of your choice"),
        (struct.pack("<i", 348) + bytes(340) + b"n+1\0", "a NIfTI volume", "slices"),
        (b"SIMPLE  =                    T", "a FITS file", "convert it"),
        (b"8BPS\0\1", "a Photoshop file", "convert it"),
        (b"II*\0\x10\0\0\0CR\2\0", "a camera's raw file (CR2)", "convert it"),
        (box(b"ftyp", b"crx ", b"isom"), "a camera's raw file (CR3)", "convert it"),
        (box(b"ftyp", b"isom", b"mp42"), "a video", "frames"),
        (box(b"ftyp", b"qt  "), "a video", "frames"),
        (box(b"ftyp", b"heic", b"mif1"), "a HEIC image", "pip install pillow-heif"),
        (box(b"ftyp", b"mif1", b"heic"), "a HEIC image", "pip install pillow-heif"),
        (box(b"ftyp", b"mif1", b"avif"), "an AVIF file that is damaged", "replace"),
        (b"\xff\x0a\xfa\x7f", "a JPEG XL image", "convert it"),
        (b"\xff\xd8\xff\xe0\0", "a JPEG file that is damaged", "replace"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "a macOS side file", "remove it"),
        (b"L\0\0\0\1\x14\2\0\0\0", "a Windows shortcut", "copy the image itself"),
        (b"\x93NUMPY\1\0", "a NumPy array", "save it as PNG"),
        (bytes(range(128, 256)), "of no known image format", "replace or remove it"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_is_no_image_is_named_with_what_can_be_done(
    tmp_path: Path, data: bytes, what: str, mend: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    kind = what_is(tmp_path / "a.jpg")
    assert what in kind.what
    assert mend in kind.mend


def test_a_file_that_is_gone_is_of_no_known_format(tmp_path: Path) -> None:
    assert "no known image format" in what_is(tmp_path / "gone.jpg").what
