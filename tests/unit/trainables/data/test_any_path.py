"""Whatever lies at a path is data, or is refused in lines that name it.

There is no other exception, no hang, and no half cache entry.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trainables.data.dataset import Caps, DataError, ReadOptions, inspect, prepare, read
from trainables.problems import one_line

pytestmark = pytest.mark.timeout(60)
ALL = Caps(train=10**6, val=10**6, test=10**6)
ALL_ALIKE = ReadOptions(keep_copies=True)  # the same picture is everywhere below
tried = partial(settings, derandomize=True, deadline=None)
KEYS = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test", "classes")


def answer(data: Path) -> tuple[str, ...]:
    """The problems of a data set, none where it can be used; its cache is beside it."""
    store, looked, prepared = data.parent / "cache", (), ()
    try:
        inspect(str(data), caps=ALL, seed=0, cache=store, how=ALL_ALIKE)
    except DataError as refusal:
        looked = refusal.problems
    assert not store.exists()
    try:
        ready = prepare(str(data), image_size=8, caps=ALL, seed=0, cache=store, how=ALL_ALIKE)
    except DataError as refusal:
        prepared = refusal.problems
        assert not list((store / "data").glob("*"))  # nor hidden
    else:
        (entry,) = (store / "data").iterdir()
        assert read(entry).digest == ready.digest
        assert len(ready.split("train").images) == sum(ready.counts["train"].values())
    assert len(looked) in (0, len(prepared))  # the pixels may be wrong, too
    for line in (*looked, *prepared):
        assert line.isprintable()
        assert one_line(data.name) in line or line.startswith("and ")
    return prepared


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """Some bytes changed, and perhaps cut off, doubled or preceded by others."""

    def damage(changes: list[tuple[int, int]], end: int, before: bytes, after: bytes) -> bytes:
        content = bytearray(whole[:end])
        for place, byte in changes:
            content[place % max(1, len(content)) : place % max(1, len(content)) + 1] = bytes([byte])
        return before + bytes(content) + after

    places = st.one_of(
        st.integers(0, len(whole) - 1), st.integers(max(0, len(whole) - 300), len(whole) - 1)
    )
    return st.builds(
        damage,
        st.lists(st.tuples(places, st.integers(0, 255)), max_size=4),
        st.one_of(st.just(len(whole)), st.integers(0, len(whole))),
        st.one_of(st.just(b""), st.binary(max_size=9), st.just(b"\x93NUMPY\x01\x00")),
        st.one_of(st.just(b""), st.binary(max_size=9)),
    )


# Folders of images


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@cache
def specimens() -> dict[str, bytes]:
    """Files by name."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8))
    jpeg, png = _saved(noise, "JPEG"), _saved(noise, "PNG")
    # Another size, and its checksum.
    bomb = png[:16] + struct.pack(">II", 50_000, 50_000) + png[24:29]
    return {
        "rgb.png": png,
        "photo.JPG": jpeg,
        "cmyk.jpg": _saved(noise.convert("CMYK"), "JPEG"),
        "deep.png": _saved(
            Image.fromarray(np.arange(120, dtype=np.uint16).reshape(12, 10) * 500), "PNG"
        ),
        "palette.png": _saved(noise.convert("P"), "PNG", transparency=bytes(range(256))),
        "alpha.webp": _saved(noise.convert("RGBA"), "WEBP"),
        "moving.gif": _saved(
            noise.convert("P"),
            "GIF",
            save_all=True,
            append_images=[noise.convert("L").convert("P")],
        ),
        "one.tif": _saved(noise.convert("1"), "TIFF", compression="group4"),
        "thin.bmp": _saved(noise.resize((90, 1)), "BMP"),
        "wrong name.png": jpeg,
        "floats.tiff": _saved(Image.new("F", (4, 4)), "TIFF"),
        "empty.jpg": b"",
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "cut.png": png[: len(png) // 2],
        "text.jpg": b"no image\n",
        "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "nothing.ppm": b"P6 0 5 255\n",
        "bomb.png": bomb + struct.pack(">I", zlib.crc32(bomb[12:])) + png[33:],
    }


BAD = {
    "floats.tiff",
    "empty.jpg",
    "cut.jpg",
    "cut.png",
    "text.jpg",
    "script.png",
    "nothing.ppm",
    "bomb.png",
}
GOOD = sorted(specimens().keys() - BAD)
LINKS = {
    "dead.png": "nowhere",
    "loop.png": "loop.png",
    "zero.png": "/dev/zero",
    "shared.png": "../../photo.png",
    "up": "..",
}
ODD = [
    "cat",
    "a\nb",
    "..cat",
    ".hidden",
    "é",
    "-x",
    " ",
    "train",
    "val",
    "x" * 255,
    "[/red]",
    "\x1b[31m",
    "\u202ex",
]
NAMES = st.one_of(
    st.sampled_from(ODD),
    st.text(
        st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=20
    ),
    st.binary(min_size=1, max_size=8).map(lambda name: os.fsdecode(name.translate(None, b"/\0"))),
).filter(lambda name: name not in ("", ".", "..") and len(os.fsencode(name)) < 256)
EXTRA = st.sampled_from([*specimens(), *LINKS, "pipe.png", "folder.jpg"])


def add(place: Path, name: str) -> None:
    """One file, link, pipe or folder of `EXTRA`."""
    if name in LINKS:
        (place / name).symlink_to(LINKS[name])
    elif name == "pipe.png":
        os.mkfifo(place / name)
    elif name == "folder.jpg":
        (place / name / "deep" / "er").mkdir(parents=True)
        (place / name / "deep" / "er" / "rgb.png").write_bytes(specimens()["rgb.png"])
    else:
        (place / name).write_bytes(specimens()[name])


@tried(max_examples=60)
@given(
    st.dictionaries(NAMES, st.lists(EXTRA, unique=True, max_size=3), min_size=1, max_size=3),
    st.sampled_from([0, 2, 9]),
)
def test_any_folder_may_hold_classes(classes: dict[str, list[str]], images: int) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "photos"
        (Path(folder) / "photo.png").write_bytes(specimens()["rgb.png"])
        for label, extra in classes.items():
            (root / label).mkdir(parents=True)
            for number in range(images):
                (root / label / f"{number}.png").hardlink_to(Path(folder) / "photo.png")
            for more in extra:
                add(root / label, more)
        problems = "\n".join(answer(root))
        shown = {label: extra for label, extra in classes.items() if not label.startswith(".")}
        bad = {one for extra in shown.values() for one in extra} & {
            *BAD,
            "dead.png",
            "loop.png",
            "zero.png",
            "pipe.png",
        }
        if images == 9 and len(shown) > 1 and not {"train", "val"} & shown.keys():
            assert bool(problems) == bool(
                bad or any("\udc80" <= letter <= "\udcff" for letter in "".join(shown))
            )


@tried(max_examples=50)
@given(
    st.sampled_from(GOOD).flatmap(lambda name: st.tuples(st.just(name), damaged(specimens()[name])))
)
def test_any_bytes_may_be_an_image(image: tuple[str, bytes]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "photos"
        for label in ("cat", "dog"):
            (root / label).mkdir(parents=True)
            for number in range(9):
                (root / label / f"{number}.png").write_bytes(specimens()["rgb.png"])
        (root / "cat" / image[0]).write_bytes(image[1])
        problems = answer(root)
        assert all(image[0] in line for line in problems)
        assert len(problems) < 2


# Kaggle


IDS = st.sampled_from(
    [
        "a",
        "b",
        "c",
        "a.png",
        "../a",
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        "",
        "A",
        "a\nb",
        "pipe",
        '"',
        "é",
    ]
)
LINES = st.lists(
    st.tuples(IDS, st.sampled_from(["cat", "dog", "", " ", "a\nb", "x" * 999])), max_size=30
)
HEADS = st.sampled_from(["id,label", "", "a", "\ufeffid,x"])
TABLES = st.one_of(
    st.text(max_size=60).map(str.encode),
    st.binary(max_size=60),
    st.builds(lambda head, lines: "\n".join([head, *map(",".join, lines)]).encode(), HEADS, LINES),
    st.just(b'id,label\n"' + b"x" * 200_000),
)


@tried(max_examples=50)
@given(
    TABLES,
    st.sets(
        st.sampled_from(["a.png", "b.png", "c.jpg", "a.jpg", "a.png.gif", "pipe.png", "n0.png"])
    ),
    st.booleans(),
)
def test_any_table_may_be_kaggles(table: bytes, files: set[str], whole: bool) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "dogs"
        (root / "train").mkdir(parents=True)
        (root / "a.png").write_bytes(b"outside of train")
        for name in files:
            add(root / "train", name) if name == "pipe.png" else (
                root / "train" / name
            ).write_bytes(specimens()["rgb.png"])
        if whole:  # two classes that would do, and then the rest
            for number in range(20):
                (root / "train" / f"n{number}.png").write_bytes(specimens()["rgb.png"])
            table = (
                b"".join(b"n%d,k%d\n" % (number, number % 2) for number in range(-1, 20)) + table
            )
        (root / "labels.csv").write_bytes(table)
        answer(root)
