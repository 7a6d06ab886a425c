"""Image files to uint8 squares: headers of all are checked, the chosen ones are decoded."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from trainables.cpus import available_cpus
from trainables.data import tiff_bands
from trainables.data.file_kinds import FIRST_BYTES, image_format, what_is
from trainables.data.listing import Images, Rows, below
from trainables.data.png_chunks import without_extras
from trainables.data.rgb import PixelsError, grey_bits, to_rgb
from trainables.problems import reason

# Some others start programs (EPS).
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO")
LOOKED_AT = 16  # files of a set whose pixels are looked at before all are decoded
LOOK_SIDE = 32  # pixels
MOST_AT_A_TIME = 16  # files that a thread takes from the waiting ones
DARK = 16  # of 255: 12 bits in 16 reach no more
DIM = 64  # of 255: 14 bits in 16 reach no more
# What undoes each EXIF orientation.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Or Python prints what Pillow logs of odd TIFFs.
logging.getLogger("PIL").addHandler(logging.NullHandler())

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Files:
    """The pixels of image files, which are named by their paths below `root`."""

    paths: Sequence[Path]
    root: Path = Path()

    @property
    def sizes(self) -> Rows:
        """The shorter and the longer side of each file's image, [M, 2]; 0 for a broken header."""
        return self._headers[0]

    @property
    def problems(self) -> list[str]:
        """A line for each file that is no image by its header, a few bytes read of each."""
        return self._headers[1]

    @cached_property
    def _headers(self) -> tuple[Rows, list[str]]:
        sizes = np.zeros((len(self.paths), 2), np.int64)
        problems = []
        for place, result in enumerate(_in_threads(_size, self.paths)):
            if isinstance(result, str):
                problems.append(result)
            else:
                sizes[place] = result
        return sizes, problems

    def squares(self, rows: Rows, side: int) -> tuple[Images, list[str]]:
        """Decode some files.

        Returns:
            uint8 [N, side, side, 3], black where a file is damaged, and a problem for each of those
            files.
        """
        images = np.zeros((len(rows), side, side, 3), np.uint8)
        problems = []
        results = _in_threads(lambda row: _decoded(self.paths[row], side), rows.tolist())
        for place, result in enumerate(results):
            if isinstance(result, str):
                problems.append(result)
            else:
                images[place] = result
        return images, problems

    def names(self, rows: Rows) -> list[str]:
        """Return the path of each file below the root."""
        return [below(self.paths[row], self.root) for row in rows.tolist()]


def in_memory(image: object) -> Image.Image | None:
    """Return a copy of one of Pillow's images, or an image of an array, uint8 [H, W, 3].

    Anything else gives None. A copy, since decoding would change an image that its owner uses.
    """
    if isinstance(image, Image.Image):
        return image.copy()
    if isinstance(image, np.ndarray):
        return Image.fromarray(image)
    return None


def squares_of(images: Sequence[Image.Image], side: int) -> Images:
    """Return what `Files.squares` does for images in memory: uint8 [N, side, side, 3].

    Raises:
        ValueError: An image whose white is not known.
    """
    return np.stack([_pixels(image, side) for image in images])


def square(image: Image.Image, side: int) -> Images:
    """Cut and resize an RGB image to its center square, antialiased: uint8 [side, side, 3]."""
    width, height = image.size
    edge = min(width, height)
    left = (width - edge) // 2
    top = (height - edge) // 2
    box = (left, top, left + edge, top + edge)
    resized = image.resize((side, side), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    return np.asarray(resized)


def cautions(paths: Sequence[Path]) -> list[str]:
    """Return lines for what looks odd in `LOOKED_AT` of these files, decoded small.

    Odd are images that are nearly black, and pages that are not read. It takes milliseconds, so
    that it can be said before a night is spent. Files that do not decode are passed over here.
    """
    # Some files, evenly spaced: neighbors in a folder are alike.
    rows = np.linspace(0, len(paths) - 1, min(LOOKED_AT, len(paths))).astype(int)
    some = [paths[row] for row in np.unique(rows)]
    peaks: dict[Path, int] = {}
    paged: list[Path] = []
    for path, look in zip(some, _in_threads(_look, some), strict=True):
        if look is None:
            continue
        peaks[path], pages = look
        if pages > 1:
            paged.append(path)

    # Where all are dim, they are likely to hold 14 bits in 16.
    all_are_dim = max(peaks.values(), default=255) <= DIM
    most = DIM if all_are_dim else DARK
    dark = [path for path, peak in peaks.items() if peak <= most]
    lines = []
    if dark:
        lines.append(
            f"{len(dark)} of {len(peaks)} sampled images are nearly black, such as {dark[0]}, "
            f"whose brightest value is {peaks[dark[0]]} of 255: if they are masks, "
            "or 10 to 14 bits in 16, scale their values to the full range"
        )
    if paged:
        lines.append(
            f"{len(paged)} of {len(peaks)} sampled images are TIFF files with several pages, "
            f"such as {paged[0]}: only the first page is used"
        )
    return lines


def nearly_black(images: Images) -> npt.NDArray[np.bool_]:
    """Return which images, uint8 [N, ...], have no value above `DARK`, [N]."""
    brightest: npt.NDArray[np.uint8] = images.max(tuple(range(1, images.ndim)), initial=0)
    return brightest <= DARK


def _size(path: Path) -> tuple[int, int] | str:
    """Return the shorter and the longer side, or a problem; turning an image changes neither."""
    try:
        if not path.is_file():  # a pipe would never end
            return (
                f"{path} must be an image, but it is a dead link, a pipe or a device: "
                "replace or remove it."
            )
        return _read(path, lambda image: (min(image.size), max(image.size)))
    except Exception as error:  # noqa: BLE001 - Pillow raises almost anything on broken bytes
        return _problem(path, error, "a readable image")


def _decoded(path: Path, side: int) -> Images | str:
    """Return the square of a file, or a problem."""
    try:
        return _read(path, lambda image: _pixels(image, side))
    except Exception as error:  # noqa: BLE001 - Pillow raises almost anything on broken bytes
        return _problem(path, error, "an undamaged image")


def _look(path: Path) -> tuple[int, int] | None:
    """Return the brightest value of an image and, of a TIFF, the number of its pages."""
    try:
        return _read(path, lambda image: (int(_pixels(image, LOOK_SIDE).max()), _pages(image)))
    except Exception:  # noqa: BLE001 - it is named where all files are read
        return None


def _read(path: Path, use: Callable[[Image.Image], R]) -> R:
    """Open a file by its content, whatever its name, and use its image."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            _check_bands(image)
            return use(image)
    except (Image.DecompressionBombError, PixelsError):
        raise
    except Exception:
        # Pillow raises almost anything; the other way may do, or this is raised again.
        other = _other_way(path)
        if other is None:
            raise
    file, formats = other
    with Image.open(file, formats=formats) as image:
        return use(image)


def _other_way(path: Path) -> tuple[Path | BytesIO, tuple[str, ...]] | None:
    """Return how to open what Pillow cannot open as it is, or None.

    A PNG is read without its broken extras, HEIC by pillow-heif.
    """
    with path.open("rb") as file:
        kind = image_format(file.read(FIRST_BYTES))
    if kind == "PNG" and (bare := without_extras(path.read_bytes())):
        return BytesIO(bare), ("PNG",)
    if kind == "HEIC" and _reads_heic():
        return path, ("HEIF",)
    return None


@cache
def _reads_heic() -> bool:
    """Return whether pillow-heif is installed, the extra `heif`; Pillow knows HEIC from then on."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _check_bands(image: Image.Image) -> None:
    """Refuse a TIFF whose bands Pillow would misread."""
    if isinstance(image, TiffImageFile) and (line := tiff_bands.misread(image.tag_v2)):
        raise PixelsError(line)


def _pixels(image: Image.Image, side: int) -> Images:
    """Return the upright center square of an opened image: uint8 [side, side, 3]."""
    # Large JPEGs are decoded at 1/2 to 1/8, still twice what is kept.
    image.draft(None, (2 * side, 2 * side))
    if isinstance(image, TiffImageFile):
        tiff_bands.decode_as_meant(image)
    bits = grey_bits(image)
    image.load()  # an animation's first frame
    turn = _turn(image)
    rgb = to_rgb(image, bits)
    if turn is not None:
        rgb = rgb.transpose(turn)
    return square(rgb, side)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return what turns an image upright, or None."""
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - broken EXIF beside whole pixels asks for no turn
        return None


def _pages(image: Image.Image) -> int:
    return image.n_frames if isinstance(image, TiffImageFile) else 1


def _problem(path: Path, error: Exception, expected: str) -> str:
    """Return a line for a file that is not read: what it is, and what to do about it."""
    if isinstance(error, PixelsError):
        return f"{path} {error}"
    if isinstance(error, Image.DecompressionBombError):
        return f"{path} must have a reasonable size, but {reason(error)}: shrink or remove it."
    # No image by its first bytes, or one of a form that Pillow does not know.
    if isinstance(error, UnidentifiedImageError):
        if line := tiff_bands.unread(path):
            return f"{path} {line}"
        kind = what_is(path)
        return f"{path} must be an image, but it is {kind.what}: {kind.mend}."
    return f"{path} must be {expected}, but {reason(error)}: replace or remove it."


def _in_threads(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Map over threads and keep the order; Pillow works without the interpreter's lock.

    A thread takes some items at a time: one by one, handing over small images costs a quarter of
    decoding them.
    """
    cpus = available_cpus()
    size = max(1, min(MOST_AT_A_TIME, len(items) // (4 * cpus)))
    runs = [items[start : start + size] for start in range(0, len(items), size)]
    with _quiet(), ThreadPoolExecutor(cpus) as pool:
        results = pool.map(lambda run: list(map(function, run)), runs)
        return list(chain.from_iterable(results))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Pillow's warnings; what cannot be read is a problem's line."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield
