"""Image files to uint8 squares: header check of all, full decode of the chosen ones."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from io import BytesIO
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

FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "BMP",
    "GIF",
    "TIFF",
    "PPM",
    "AVIF",
    "JPEG2000",
    "ICO",
)  # some others start programs (EPS)
LOOKED_AT = 16  # files of a set whose pixels are looked at before all are decoded
LOOK_SIDE = 32  # pixels
MOST_AT_A_TIME = 16  # files that a thread takes from the waiting ones
DARK = 16  # of 255: 12 bits in 16 reach no more
DIM = 64  # of 255: 14 bits in 16 reach no more
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # what undoes each EXIF orientation

logging.getLogger("PIL").addHandler(
    logging.NullHandler()
)  # or Python prints what Pillow logs of odd TIFFs

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Files:
    """The pixels of image files, which are called by their paths below `root`."""

    paths: Sequence[Path]
    root: Path = Path()

    @property
    def sizes(self) -> Rows:
        """The shorter and the longer side of each file's image, [M, 2]; 0 where the header cannot be read."""
        return self._headers[0]

    @property
    def problems(self) -> list[str]:
        """One line for each file that is no image by its header, a few bytes read of each."""
        return self._headers[1]

    @cached_property
    def _headers(self) -> tuple[Rows, list[str]]:
        results = _in_threads(_size, self.paths)
        sizes = [(0, 0) if isinstance(size, str) else size for size in results]
        return np.array(sizes, np.int64).reshape(-1, 2), [
            line for line in results if isinstance(line, str)
        ]

    def squares(self, rows: Rows, side: int) -> tuple[Images, list[str]]:
        """Decode some files: uint8 [N, side, side, 3], and a problem for each that is damaged (its square is black)."""
        images = np.zeros((len(rows), side, side, 3), np.uint8)
        problems = []
        for place, result in enumerate(
            _in_threads(lambda row: _decoded(self.paths[row], side), rows.tolist())
        ):
            if isinstance(result, str):
                problems.append(result)
            else:
                images[place] = result
        return images, problems

    def names(self, rows: Rows) -> list[str]:
        """The path of each file below the root."""
        paths = [self.paths[row] for row in rows.tolist()]
        return [below(path, self.root) for path in paths]


def square(image: Image.Image, side: int) -> Images:
    """The centre square of an RGB image, resized with antialiasing: uint8 [side, side, 3]."""
    width, height = image.size
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    box = (left, top, left + edge, top + edge)
    return np.asarray(
        image.resize((side, side), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    )


def cautions(paths: Sequence[Path]) -> list[str]:
    """What looks odd in `LOOKED_AT` of these files, decoded small: images that are nearly black, and unread pages.

    It takes milliseconds, so that it can be said before a night is spent. Files that do not decode are passed over here.
    """
    rows = np.unique(np.linspace(0, len(paths) - 1, min(LOOKED_AT, len(paths))).astype(int))
    some = [paths[row] for row in rows]
    looked = [
        (path, *look) for path, look in zip(some, _in_threads(_look, some), strict=True) if look
    ]
    peaks = {path: peak for path, peak, _ in looked}
    most = DIM if max(peaks.values(), default=255) <= DIM else DARK
    dark = [path for path, peak in peaks.items() if peak <= most]
    lines = []
    if dark:
        lines.append(
            f"{len(dark)} of {len(peaks)} images looked at are nearly black, such as {dark[0]}, whose brightest value is "
            f"{peaks[dark[0]]} of 255: if they are masks, or 10 to 14 bits in 16, scale their values to the full range"
        )
    if pages := [path for path, _, frames in looked if frames > 1]:
        lines.append(
            f"{len(pages)} of {len(peaks)} images looked at are TIFF files of several pages, such as {pages[0]}: only the "
            "first page is used"
        )
    return lines


def nearly_black(images: Images) -> npt.NDArray[np.bool_]:
    """Which images, uint8 [N, ...], have no value above `DARK`, [N]."""
    brightest: npt.NDArray[np.uint8] = images.max(tuple(range(1, images.ndim)), initial=0)
    return brightest <= DARK


def _size(path: Path) -> tuple[int, int] | str:
    """The shorter and the longer side; turning an image changes neither."""
    try:
        if not path.is_file():  # a pipe would never end
            return f"{path} must be an image, but it is a dead link, a pipe or a device: replace or remove it."
        return _read(path, lambda image: (min(image.size), max(image.size)))
    except Exception as error:  # noqa: BLE001 - Pillow raises almost anything on broken bytes
        return _problem(path, error, "a readable image")


def _decoded(path: Path, side: int) -> Images | str:
    try:
        return _read(path, lambda image: _pixels(image, side))
    except Exception as error:  # noqa: BLE001 - Pillow raises almost anything on broken bytes
        return _problem(path, error, "an undamaged image")


def _look(path: Path) -> tuple[int, int] | None:
    """The brightest value of an image and, of a TIFF, the number of its pages."""
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
    except (
        Exception
    ):  # Pillow raises almost anything; the other way may do, or this is raised again
        other = _other_way(path)
        if other is None:
            raise
    file, formats = other
    with Image.open(file, formats=formats) as image:
        return use(image)


def _other_way(path: Path) -> tuple[Path | BytesIO, tuple[str, ...]] | None:
    """How to open what Pillow cannot open as it is: a PNG without its broken extras, HEIC by pillow-heif."""
    with path.open("rb") as file:
        kind = image_format(file.read(FIRST_BYTES))
    if kind == "PNG" and (bare := without_extras(path.read_bytes())):
        return BytesIO(bare), ("PNG",)
    return (path, ("HEIF",)) if kind == "HEIC" and _reads_heic() else None


@cache
def _reads_heic() -> bool:
    """Whether pillow-heif is installed, the extra `heif`; Pillow knows its format from then on."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _check_bands(image: Image.Image) -> None:
    if isinstance(image, TiffImageFile) and (line := tiff_bands.misread(image.tag_v2)):
        raise PixelsError(line)


def _pixels(image: Image.Image, side: int) -> Images:
    image.draft(
        None, (2 * side, 2 * side)
    )  # large JPEGs are decoded at 1/2 to 1/8, still twice what is kept
    if isinstance(image, TiffImageFile):
        tiff_bands.decode_as_meant(image)
    bits = grey_bits(image)
    image.load()  # an animation's first frame
    turn = _turn(image)
    rgb = to_rgb(image, bits)
    return square(rgb if turn is None else rgb.transpose(turn), side)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - broken EXIF beside whole pixels asks for no turn
        return None


def _pages(image: Image.Image) -> int:
    return image.n_frames if isinstance(image, TiffImageFile) else 1


def _problem(path: Path, error: Exception, expected: str) -> str:
    """One line for a file that is not read: what it is, if not an image, and what to do about it."""
    if isinstance(error, PixelsError):
        return f"{path} {error}"
    if isinstance(error, Image.DecompressionBombError):
        return f"{path} must be of a sane size, but {reason(error)}: shrink or remove it."
    if isinstance(error, UnidentifiedImageError):
        if line := tiff_bands.unread(path):
            return f"{path} {line}"
        kind = what_is(path)
        return f"{path} must be an image, but it is {kind.what}: {kind.mend}."
    return f"{path} must be {expected}, but {reason(error)}: replace or remove it."


def _in_threads(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Map over threads and keep the order; Pillow works without the interpreter's lock.

    A thread takes some items at a time: one by one, handing over small images costs a quarter of decoding them.
    """
    cores = available_cpus()
    size = max(1, min(MOST_AT_A_TIME, len(items) // (4 * cores)))
    runs = [items[start : start + size] for start in range(0, len(items), size)]
    with _quiet(), ThreadPoolExecutor(cores) as pool:
        found = pool.map(lambda run: [function(item) for item in run], runs)
        return [result for of_run in found for result in of_run]


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield
