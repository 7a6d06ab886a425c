"""Files of images: by content, not by suffix; each kind among ten pictures of its class."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tests.data_zoo.build import Content, Pics, expanded, fill, folder
from tests.data_zoo.case import Case, Make, Reads, Refused, Right
from tests.data_zoo.pictures import chunk, encoded, picture, png, tiff

TEN = "{000,001,002,003,004,005,006,007,008,009}"
READ = Reads(classes=("cat", "dog"), images={"train": 22})


def among(files: Mapping[str, Content]) -> Make:
    """Two classes of ten JPEGs, and some files more."""
    return folder({"{cat,dog}": Pics(count=10, name="p{:03}.jpg"), **files})


def pictures(
    name: str, suffix: str, form: str, read: Right | tuple[Right, ...] = READ, **options: object
) -> Case:
    """A picture more in each class, of some suffix and format."""
    files: dict[str, Content] = {
        f"{series}/x{suffix}": encoded(picture(f"{series} more", 0), form, **options)
        for series in ("cat", "dog")
    }
    return Case(name=f"file_{name}", make=among(files), right=read, decode=True)


def read(name: str, *contents: bytes, suffix: str = ".png") -> Case:
    """Pictures more that are odd inside and whole."""
    files: dict[str, Content] = {
        f"cat/x{number}{suffix}": content for number, content in enumerate(contents)
    }
    right = Reads(classes=("cat", "dog"), images={"train": 20 + len(contents)})
    return Case(name=f"file_{name}", make=among(files), right=right, decode=True)


def refused(name: str, file: str, content: bytes, *says: str) -> Case:
    """A file that is no picture under a picture's suffix: named for what it is."""
    right = Refused(says=(file, *says), never=("no image's",))
    return Case(name=f"file_{name}", make=among({f"cat/{file}": content}), right=right, decode=True)


def full(name: str, files: Callable[[int], bytes], suffix: str, *rights: Right) -> Case:
    """All pictures of one odd kind: 10 of each class."""

    def make(place: Path) -> str:
        for number, path in enumerate(expanded(f"{{cat,dog}}/{TEN}{suffix}")):
            fill(place / "set", {path: files(number)})
        return str(place / "set")

    return Case(name=f"file_{name}", make=make, right=rights, decode=True)


def grey(number: int) -> np.ndarray:
    """A grey picture, uint8 [32, 32]."""
    return picture("grey", number).max(axis=2)


SUFFIXES = (
    pictures("jfif", ".jfif", "JPEG"),
    pictures("jpe", ".jpe", "JPEG"),
    pictures("without_suffix", "", "JPEG"),
    pictures("in_capitals", ".JPG", "JPEG"),
    pictures("with_a_query", ".jpeg?x=1&w=200", "JPEG"),
    pictures("jpg_large", ".jpg_large", "JPEG"),
    pictures("jpg_with_a_number", ".jpg.1", "JPEG"),
    pictures("png_called_jpg", ".jpg", "PNG"),
    pictures("webp_called_jpg", ".jpg", "WEBP"),
    pictures("jpeg_called_txt", ".image", "JPEG"),
    pictures("webp", ".webp", "WEBP"),
    pictures("gif", ".gif", "GIF"),
    pictures("bmp", ".bmp", "BMP"),
    pictures("dib_called_bmp", ".BMP", "BMP"),
    pictures("tiff_of_lzw", ".tif", "TIFF", compression="tiff_lzw"),
    pictures("ppm", ".ppm", "PPM"),
    pictures("avif", ".avif", "AVIF"),
    pictures("avif_called_jpg", ".jpg", "AVIF"),
    pictures("progressive", ".jpg", "JPEG", progressive=True),
    pictures("jpeg2000", ".jp2", "JPEG2000", (READ, Refused(says=("x.jp2", "JPEG 2000")))),
    pictures(
        "jpeg2000_called_jpg", ".jpg", "JPEG2000", (READ, Refused(says=("x.jpg", "JPEG 2000")))
    ),
    pictures("ico_called_png", ".png", "ICO", (READ, Refused(says=("x.png", "ICO")))),
    Case(
        name="file_no_suffix_at_all",
        make=folder({"{cat,dog}": Pics(count=10, name="{:032x}")}),
        right=Reads(classes=("cat", "dog"), images={"train": 20}),
        decode=True,
    ),
)

HEIC = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(200)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"

STRANGERS = (
    refused("heic_called_jpg", "x.jpg", HEIC, "HEIC", "pillow-heif"),
    refused("heic", "x.heic", HEIC, "HEIC", "pillow-heif"),
    refused("html_called_jpg", "x.jpg", b"<!DOCTYPE html>\n<html><body>404</body></html>", "HTML"),
    refused("html_without_doctype", "x.png", b"\n<html lang='en'><head></head></html>", "HTML"),
    refused(
        "svg_called_png",
        "x.png",
        b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
        "SVG",
    ),
    refused("pdf_called_jpg", "x.jpg", b"%PDF-1.7\n", "PDF"),
    refused("lfs_pointer", "x.jpg", LFS, "git lfs pull"),
    refused(
        "error_of_a_bucket",
        "x.jpg",
        b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        "XML",
    ),
    refused("json_called_jpg", "x.jpg", b'{"error": "not found"}', "x.jpg"),
    refused("zip_called_jpg", "x.jpg", b"PK\3\4" + bytes(60), "ZIP"),
    refused("gzip_called_png", "x.png", b"\x1f\x8b\x08" + bytes(60), "gzip"),
    refused("video_called_jpg", "x.jpg", struct.pack(">I", 24) + b"ftypisom" + bytes(60), "video"),
    refused("photoshop_called_png", "x.png", b"8BPS\0\1" + bytes(60), "Photoshop"),
    refused("postscript_called_png", "x.png", b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
    refused("empty", "x.jpg", b"", "empty"),
    refused("of_zeros", "x.jpg", bytes(4000), "zero bytes"),
    refused("of_text", "x.jpg", b"hello there\n", "text"),
    refused("cut_off", "x.jpg", encoded(picture("cut", 0))[:-400], "truncated"),
    refused("cut_off_png", "x.png", encoded(picture("cut", 0), "PNG")[:-900], "truncated"),
    refused("bomb", "x.png", png(np.zeros((1, 1), np.uint8), size=(60000, 60000)), "60000"),
)

P = picture("odd", 0)
LONG = chunk(b"zTXt", b"note\0\0" + zlib.compress(b"x" * 70_000_000))

WHOLE = (
    read(
        "png_with_a_broken_profile",
        png(P, chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"no profile"), whole=False)),
    ),
    read("png_with_a_profile_of_rubbish", png(P, chunk(b"iCCP", b"icc\0\0rubbish"))),
    read(
        "png_with_much_metadata",
        png(P, LONG),
        png(picture("odd", 1), chunk(b"tEXt", b"note\0" + b"x" * 3_000_000)),
    ),
    read("png_with_a_broken_date", png(P, chunk(b"tIME", b"\0\0", whole=False))),
    read("jpeg_with_a_broken_profile", encoded(P, icc_profile=b"no profile at all"), suffix=".jpg"),
    read("jpeg_with_broken_exif", encoded(P, exif=b"Exif\0\0MM\0*\0\0\xff\xff"), suffix=".jpg"),
    read("jpeg_with_bytes_behind", encoded(P) + b"\0" * 500, suffix=".jpg"),
    read(
        "animation",
        encoded(P, "GIF", save_all=True, append_images=[Image.fromarray(picture("odd", 1))]),
        suffix=".gif",
    ),
    read(
        "pages",
        encoded(P, "TIFF", save_all=True, append_images=[Image.fromarray(picture("odd", 1))]),
        suffix=".tif",
    ),
    read(
        "rgba",
        encoded(np.dstack([P, P[..., :1]]), "PNG"),
        encoded(np.dstack([P, 255 - P[..., :1]]), "TIFF"),
        suffix="",
    ),
    read(
        "cmyk",
        encoded(P, "JPEG", convert="CMYK"),
        encoded(picture("odd", 1), "TIFF", convert="CMYK"),
        suffix=".jpg",
    ),
    read(
        "palette",
        encoded(P, "PNG", convert="P"),
        encoded(picture("odd", 1), "PNG", convert="LA"),
        suffix=".png",
    ),
    read(
        "one_pixel", png(np.full((1, 1, 3), 90, np.uint8)), png(np.full((1, 40, 3), 120, np.uint8))
    ),
    read("two_values", encoded(np.asarray(Image.fromarray(grey(3)).convert("1")), "PNG")),
)

DARK = Reads(classes=("cat", "dog"), images={"train": 20}, says=("12",))
LIGHT = Reads(classes=("cat", "dog"), images={"train": 20}, brightness=(60, 200))
PLAIN_GREY = Reads(classes=("cat", "dog"), images={"train": 20}, brightness=(40, 220))


def bands(number: int, count: int, kind: str, scale: float) -> bytes:
    """A TIFF of some bands and a type, its values up to `scale`."""
    layers = [grey(100 * number + band) / 255 * scale for band in range(count)]
    return tiff(np.dstack(layers).astype(kind))


def ct(number: int) -> bytes:
    """A slice of a CT in Hounsfield units, air at -1000."""
    return tiff(8 * grey(number)[..., None].astype(np.int16) - 1000)


DEPTHS = (
    full(
        "tiff_of_13_bands",
        lambda n: bands(n, 13, "uint16", 9000),
        ".tif",
        Refused(says=("13 bands", "16")),
    ),
    full(
        "tiff_of_2_bands", lambda n: bands(n, 2, "uint8", 255), ".tif", Refused(says=("2 bands",))
    ),
    full(
        "tiff_of_floats",
        lambda n: bands(n, 1, "float32", 1),
        ".tif",
        PLAIN_GREY,
        Refused(says=("float", "32")),
    ),
    full("tiff_of_signed_values", ct, ".tif", Refused(says=("16", "signed"))),
    full("tiff_of_16_bits", lambda n: bands(n, 1, "uint16", 65535), ".tif", PLAIN_GREY),
    full("tiff_of_12_bits_in_16", lambda n: bands(n, 1, "uint16", 4095), ".tif", LIGHT, DARK),
    full("png_of_12_bits_in_16", lambda n: png(np.uint16(grey(n)) * 16), ".png", LIGHT, DARK),
    full("png_of_16_bits", lambda n: png(np.uint16(grey(n)) * 257), ".png", PLAIN_GREY),
    full(
        "png_of_16_bits_rgb", lambda n: png(np.uint16(picture("wide", n)) * 257), ".png", PLAIN_GREY
    ),
    full(
        "png_of_0_and_1",
        lambda n: png((grey(n) > 127).astype(np.uint8)),
        ".png",
        LIGHT,
        Reads(classes=("cat", "dog"), images={"train": 20}, says=("nearly black",)),
        Refused(says=("0 and 1",)),
    ),
    full("tiff_of_3_bands", lambda n: bands(n, 3, "uint8", 255), ".tif", PLAIN_GREY),
)


def pipes(*names: str) -> Make:
    """Pipes among the pictures: a read of one would never end."""

    def make(place: Path) -> str:
        data = among({})(place)
        for name in names:
            os.mkfifo(Path(data) / "cat" / name)
        return data

    return make


PIPES = (
    Case(
        name="file_pipe_without_suffix",
        make=pipes("pipe"),
        right=Reads(classes=("cat", "dog"), images={"train": 20}),
    ),
    Case(
        name="file_pipe_called_jpg",
        make=pipes("x.jpg"),
        right=(
            Refused(says=("x.jpg", "pipe")),
            Reads(classes=("cat", "dog"), images={"train": 20}, says=("pipe",)),
        ),
    ),
)

MANY = (
    Case(
        name="file_forty_lfs_pointers",
        make=folder({f"{{cat,dog}}/{TEN}.jpg": LFS}),
        right=Refused(says=("19 more", "git lfs pull")),
    ),
    Case(
        name="file_forty_broken_of_many_kinds",
        make=among(
            {
                f"cat/a{TEN}.jpg": b"",
                f"cat/b{TEN}.jpg": b"<html>",
                f"dog/c{TEN}.png": b"%PDF-",
                f"dog/{TEN}.png": b"x",
            }
        ),
        right=Refused(says=("000",)),
    ),
)

CASES = (*SUFFIXES, *STRANGERS, *WHOLE, *DEPTHS, *PIPES, *MANY)
