"""Image files to uint8 squares: header check of all, full decode of the chosen ones."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from trainables.data.listing import Images, Rows
from trainables.data.problems import reason

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # no others: some start programs (EPS)
BACKGROUND = (255, 255, 255)  # under transparent pixels: white, as on the pages that such images are made for
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # what undoes each EXIF orientation

logging.getLogger("PIL").addHandler(logging.NullHandler())  # or Python prints what Pillow logs of odd TIFFs

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Files:
    """The pixels of image files, which are called by their paths below `root`."""

    paths: Sequence[Path]
    root: Path = Path()

    @property
    def sides(self) -> Rows:
        """The shorter side of each file's image, [M]; 0 where the header cannot be read."""
        return self._headers[0]

    @property
    def problems(self) -> list[str]:
        """One line for each file that is no image by its header, a few bytes read of each."""
        return self._headers[1]

    @cached_property
    def _headers(self) -> tuple[Rows, list[str]]:
        results = _in_threads(_shorter_side, self.paths)
        sides = [side if isinstance(side, int) else 0 for side in results]
        return np.array(sides, np.int64), [line for line in results if isinstance(line, str)]

    def squares(self, rows: Rows, side: int) -> tuple[Images, list[str]]:
        """Decode some files: uint8 [N, side, side, 3], and a problem for each that is damaged (its square is black)."""
        images = np.zeros((len(rows), side, side, 3), np.uint8)
        problems = []
        for place, result in enumerate(_in_threads(lambda row: _decoded(self.paths[row], side), rows.tolist())):
            if isinstance(result, str):
                problems.append(result)
            else:
                images[place] = result
        return images, problems

    def names(self, rows: Rows) -> list[str]:
        """The path of each file below the root."""
        paths = [self.paths[row] for row in rows.tolist()]
        return [(path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix() for path in paths]


def square(image: Image.Image, side: int) -> Images:
    """The centre square of an RGB image, resized with antialiasing: uint8 [side, side, 3]."""
    width, height = image.size
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    box = (left, top, left + edge, top + edge)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode of Pillow as RGB: transparent pixels over `BACKGROUND`, 16 bits scaled to 8.

    Raises:
        ValueError: Floating-point pixels, or integers beyond 16 bits, whose white is not known.
    """
    if image.mode == "F":
        raise ValueError("it has floating-point pixels, whose white is not known")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("it has 32-bit pixels, whose white is not known")
        return Image.fromarray(np.rint(values / 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), image).convert("RGB")
    return image.convert("RGB")


def _shorter_side(path: Path) -> int | str:
    try:
        if not path.is_file():  # a pipe would never end
            return f"{path} must be an image, but it is a dead link, a pipe or a device: replace or remove it."
        with Image.open(path, formats=FORMATS) as image:
            return min(image.size)
    except UnidentifiedImageError:
        found = "it is empty" if path.stat().st_size == 0 else "its first bytes are no image's"
        return f"{path} must be an image, but {found}: replace or remove it."
    except Image.DecompressionBombError as error:
        return f"{path} must be of a sane size, but {reason(error)}: shrink or remove it."
    except Exception as error:  # noqa: BLE001 - Pillow raises almost anything on broken bytes
        return f"{path} must be a readable image, but {reason(error)}: replace or remove it."


def _decoded(path: Path, side: int) -> Images | str:
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.draft(None, (2 * side, 2 * side))  # large JPEGs are decoded at 1/2 to 1/8, still twice what is kept
            image.load()  # an animation's first frame
            return square(to_rgb(_upright(image)), side)
    except Exception as error:  # noqa: BLE001 - Pillow raises almost anything on broken bytes
        return f"{path} must be an undamaged image, but {reason(error)}: replace or remove it."


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - broken EXIF beside whole pixels asks for no turn
        turn = None
    return image if turn is None else image.transpose(turn)


def _in_threads(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Map in order over a thread for each core; Pillow works without the interpreter's lock."""
    with _quiet(), ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield
