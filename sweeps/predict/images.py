"""The images of a command line: looked at before any work, then decoded as training decodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sweeps.predict.folder import Contents, contents
from sweeps.predict.model import Model, Probabilities
from trainables.data.decode import Files
from trainables.data.listing import DECODE_SCALE, Rows
from trainables.problems import counted, one_line, shortened

HEADERS = 1024  # files whose headers are read between two steps of the progress bar
PIXELS = 32 * 224**2  # of a batch's views: some 0.5 GB of activations for a ResNet-50
SMALLEST = 2  # pixels per side that the registered graph takes
REASONS = 6  # for which files were passed over, in the note on a folder

Track = Callable[[Sequence[Sequence[Path]], str], Iterator[Sequence[Path]]]
"""Goes through chunks of files and shows how far it is; the second argument names the work."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The files that the words of a command line mean, and what else there is to say.

    Attributes:
        paths: The files, each once, in the order of the words.
        problems: A line for each word that is neither file nor folder, and for each folder without
            images.
        closed: A line for each folder inside a given one that cannot be read.
        notes: What was found in the folders and what was passed over, for a person.
    """

    paths: tuple[Path, ...]
    problems: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find(words: Sequence[str]) -> Found:
    """Look for the files that are meant.

    A folder gives its visible images, sorted, with those of its subfolders; a file that is named
    itself is taken as one.
    """
    paths: dict[Path, None] = {}
    folders = []
    inside = Contents()
    problems = []
    for word in words:
        path = Path(word)
        try:
            if path.is_dir():
                here = contents(path)
                if here.images:
                    paths |= dict.fromkeys(here.images)
                    folders.append(word)
                    inside.add(here)
                else:
                    problems.append(_without_images(word, here))
            elif path.exists() or path.is_symlink():
                paths[path] = None
            else:
                problems.append(
                    f"{word} must be an image or a folder of images, but is not there: "
                    "correct the path."
                )
        except OSError as error:  # closed to us, a name too long
            problems.append(_unreadable(word, error.strerror))
        except ValueError as error:  # a null byte
            problems.append(_unreadable(word, error))

    # Each line fits on a terminal, whatever the names hold.
    closed = shortened([_closed(error) for error in inside.closed], "folders cannot be read")
    notes = [_understood(folders, inside)] if folders else []
    return Found(
        paths=tuple(paths),
        problems=tuple(map(one_line, problems)),
        closed=tuple(map(one_line, closed)),
        notes=tuple(map(one_line, notes)),
    )


def check(paths: Sequence[Path], track: Track) -> list[str]:
    """Read all headers, and return a problem for each file that is no image by it.

    That is an empty one, one of another format, or one as large as a bomb.
    """
    problems: list[str] = []
    for chunk in track(_chunks(paths, HEADERS), "Checking"):
        problems += Files(chunk).problems
    return [one_line(line) for line in shortened(problems, "files are no images")]


def answers(
    paths: Sequence[Path], model: Model, track: Track
) -> Iterator[tuple[Path, Probabilities | str]]:
    """Yield each file with its probabilities, float32 [classes], or with what is wrong with it.

    One batch at a time is in memory.
    """
    size = max(1, min(256, PIXELS // model.image_size**2))
    for chunk in track(_chunks(paths, size), "Classifying"):
        files = Files(chunk)
        by_row: dict[int, Probabilities | str] = {}
        # The network takes images of one size at once.
        sides = _sides(files, model)
        for side in np.unique(sides).tolist():
            by_row |= _of_one_size(files, np.flatnonzero(sides == side), side, model)
        for row, path in enumerate(chunk):
            yield path, by_row[row]


def _without_images(word: str, here: Contents) -> str:
    if here.closed:
        return _closed(here.closed[0])
    passed = f" ({_passed_over(here)})" if here.passed else ""
    return f"{word} must hold images, but holds none{passed}: give another folder."


def _closed(error: OSError) -> str:
    place = os.fsdecode(error.filename or "a folder")
    return _unreadable(place, error.strerror)


def _unreadable(place: str, why: object) -> str:
    return f"{place} must be readable, but is not ({why}): change its permissions or leave it out."


def _understood(folders: Sequence[str], inside: Contents) -> str:
    where = folders[0] if len(folders) == 1 else f"{len(folders)} folders"
    passed = f"; {_passed_over(inside)}" if inside.passed else ""
    return f"{counted(len(set(inside.images)), 'image')} in {where}{passed}."


def _passed_over(inside: Contents) -> str:
    """Return the most frequent reasons first, each with an example."""
    reasons = inside.passed.most_common()
    said = []
    for reason, count in reasons[:REASONS]:
        said.append(f"{count:,} {reason} (such as {inside.examples[reason]})")
    rest = sum(count for _, count in reasons[REASONS:])
    if rest:
        said.append(f"{rest:,} of other kinds")
    return f"passed over: {', '.join(said)}"


def _chunks(paths: Sequence[Path], size: int) -> list[Sequence[Path]]:
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def _sides(files: Files, model: Model) -> Rows:
    """Return to how many pixels per side each file is decoded: as its training did, if known."""
    if model.stored_side is not None:
        return np.full(len(files.paths), model.stored_side)
    return files.sizes[:, 0].clip(SMALLEST, round(DECODE_SCALE * model.image_size))


def _of_one_size(
    files: Files, rows: Rows, side: int, model: Model
) -> dict[int, Probabilities | str]:
    """Return what `answers` does of files that are decoded to one size, by row."""
    images, problems = files.squares(rows, side)  # [N, side, side, 3]
    by_row: dict[int, Probabilities | str] = {}

    # Problems do not say whose they are: then each file is decoded by itself.
    if problems:
        whole = [images[:0]]
        for row in rows.tolist():
            image, lines = files.squares(np.array([row], np.int64), side)
            if lines:
                by_row[row] = lines[0]
            else:
                whole.append(image)
        images = np.concatenate(whole)
        rows = np.array([row for row in rows.tolist() if row not in by_row], np.int64)
    if len(rows):
        by_row |= zip(rows.tolist(), model.probabilities(images), strict=True)
    return by_row
