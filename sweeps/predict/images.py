"""What a command line calls images: files and folders, looked at before any work, decoded in batches as training decodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from sweeps.predict.model import Model, Probabilities
from trainables.data.dataset import DECODE_SCALE
from trainables.data.decode import Files
from trainables.data.folders import is_image
from trainables.data.listing import Rows
from trainables.data.problems import one_line, shortened

HEADERS = 1024  # files whose headers are read between two steps of the progress bar
PIXELS = 32 * 224**2  # of a batch's views: some 0.5 GB of activations for a ResNet-50
SMALLEST = 2  # pixels a side that the registered graph takes

Track = Callable[[Sequence[Sequence[Path]], str], Iterator[Sequence[Path]]]
"""Goes through chunks of files and shows how far it is; the second argument says what is done with them."""


def find(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The files that are meant, each once, and a problem for each word that is none and each folder without images.

    They come in the order of the words, those of a folder sorted, with those of its subfolders. A folder gives its visible
    files with an image's extension; a file that is named itself need not have one.
    """
    found: dict[Path, None] = {}
    problems = []
    for word in words:
        path = Path(word)
        try:
            if path.is_dir():
                images = [file for file in _files(path) if is_image(file)]
                if not images:
                    problems.append(f"{word} must hold images, but holds none: give another folder.")
                found |= dict.fromkeys(images)
            elif path.exists() or path.is_symlink():
                found[path] = None
            else:
                problems.append(f"{word} must be an image or a folder of images, but is not there: correct the path.")
        except (OSError, ValueError) as error:  # closed to us, a name too long, a null byte
            said = error.strerror if isinstance(error, OSError) else error
            problems.append(f"{word} must be readable, but is not ({said}): change its rights or leave it out.")
    return list(found), list(map(one_line, problems))


def check(paths: Sequence[Path], track: Track) -> list[str]:
    """Read all headers: a problem for each file that is no image by it: empty, of another format, or as large as a bomb."""
    problems = [line for chunk in track(_chunks(paths, HEADERS), "Checking") for line in Files(chunk).problems]
    return list(map(one_line, shortened(problems, "files are no images")))


def answers(paths: Sequence[Path], model: Model, track: Track) -> Iterator[tuple[Path, Probabilities | str]]:
    """Each file with its probabilities, float32 `[classes]`, or with what is wrong with it, a batch in memory at a time."""
    size = max(1, min(256, PIXELS // model.image_size**2))
    for chunk in track(_chunks(paths, size), "Classifying"):
        files = Files(chunk)
        found: dict[int, Probabilities | str] = {}
        sides = _sides(files, model)
        for side in np.unique(sides).tolist():
            found |= _of_one_size(files, np.flatnonzero(sides == side), side, model)
        for row, path in enumerate(chunk):
            yield path, found[row]


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files))


def _unreadable(error: OSError) -> None:
    raise error


def _chunks(paths: Sequence[Path], size: int) -> list[Sequence[Path]]:
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def _sides(files: Files, model: Model) -> Rows:
    """To how many pixels a side each file is decoded: as its training did, where the model says so."""
    if model.stored_side is not None:
        return np.full(len(files.paths), model.stored_side)
    return files.sides.clip(SMALLEST, round(DECODE_SCALE * model.image_size))


def _of_one_size(files: Files, rows: Rows, side: int, model: Model) -> dict[int, Probabilities | str]:
    images, problems = files.squares(rows, side)
    wrong: dict[int, str] = {}
    if problems:  # they do not say whose they are
        parts = [files.squares(rows[[place]], side) for place in range(len(rows))]
        wrong = {row: lines[0] for row, (_, lines) in zip(rows.tolist(), parts, strict=True) if lines}
        rows = np.array([row for row in rows.tolist() if row not in wrong], np.int64)
        images = np.concatenate([images[:0], *(image for image, lines in parts if not lines)])
    probabilities = model.probabilities(images) if len(rows) else ()
    return {**wrong, **dict(zip(rows.tolist(), probabilities, strict=True))}
