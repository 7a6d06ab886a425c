"""What a command line calls images: files and folders, looked at before any work, decoded in batches as training decodes."""

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
from trainables.problems import one_line, shortened

HEADERS = 1024  # files whose headers are read between two steps of the progress bar
PIXELS = 32 * 224**2  # of a batch's views: some 0.5 GB of activations for a ResNet-50
SMALLEST = 2  # pixels a side that the registered graph takes
REASONS = 6  # for which files were passed over, in the note on a folder

Track = Callable[[Sequence[Sequence[Path]], str], Iterator[Sequence[Path]]]
"""Goes through chunks of files and shows how far it is; the second argument says what is done with them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What the words of a command line mean.

    Attributes:
        paths: The files, each once, in the order of the words.
        problems: A line for each word that is neither file nor folder, and for each folder without images.
        closed: A line for each folder inside a given one that cannot be read.
        notes: What was found in the folders and what was passed over, for a person.
    """

    paths: tuple[Path, ...]
    problems: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find(words: Sequence[str]) -> Found:
    """Look for the files that are meant.

    A folder gives its visible images, sorted, with those of its subfolders; a file that is named itself is taken as one.
    """
    paths: dict[Path, None] = {}
    folders, inside = [], Contents()
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
                    f"{word} must be an image or a folder of images, but is not there: correct the path."
                )
        except (OSError, ValueError) as error:  # closed to us, a name too long, a null byte
            said = error.strerror if isinstance(error, OSError) else error
            problems.append(
                f"{word} must be readable, but is not ({said}): change its rights or leave it out."
            )
    closed = [_closed(error) for error in inside.closed]
    return Found(
        paths=tuple(paths),
        problems=tuple(map(one_line, problems)),
        closed=tuple(map(one_line, shortened(closed, "folders cannot be read"))),
        notes=(one_line(_understood(folders, inside)),) if folders else (),
    )


def check(paths: Sequence[Path], track: Track) -> list[str]:
    """Read all headers: a problem for each file that is no image by it: empty, of another format, or as large as a bomb."""
    problems = [
        line
        for chunk in track(_chunks(paths, HEADERS), "Checking")
        for line in Files(chunk).problems
    ]
    return list(map(one_line, shortened(problems, "files are no images")))


def answers(
    paths: Sequence[Path], model: Model, track: Track
) -> Iterator[tuple[Path, Probabilities | str]]:
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


def _without_images(word: str, here: Contents) -> str:
    if here.closed:
        return _closed(here.closed[0])
    passed = f" ({_passed_over(here)})" if here.passed else ""
    return f"{word} must hold images, but holds none{passed}: give another folder."


def _closed(error: OSError) -> str:
    place = os.fsdecode(error.filename or "a folder")
    return f"{place} must be readable, but is not ({error.strerror}): change its rights or leave it out."


def _understood(folders: Sequence[str], inside: Contents) -> str:
    count = len(set(inside.images))
    where = folders[0] if len(folders) == 1 else f"{len(folders)} folders"
    passed = f"; {_passed_over(inside)}" if inside.passed else ""
    return f"{count:,} image{'' if count == 1 else 's'} in {where}{passed}."


def _passed_over(inside: Contents) -> str:
    """The most frequent reasons first, each with an example."""
    reasons = inside.passed.most_common()
    said = [
        f"{count:,} {reason} (such as {inside.examples[reason]})"
        for reason, count in reasons[:REASONS]
    ]
    rest = sum(count for _, count in reasons[REASONS:])
    return f"passed over: {', '.join([*said, *([f'{rest:,} of other kinds'] if rest else [])])}"


def _chunks(paths: Sequence[Path], size: int) -> list[Sequence[Path]]:
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def _sides(files: Files, model: Model) -> Rows:
    """To how many pixels a side each file is decoded: as its training did, where the model says so."""
    if model.stored_side is not None:
        return np.full(len(files.paths), model.stored_side)
    return files.sizes[:, 0].clip(SMALLEST, round(DECODE_SCALE * model.image_size))


def _of_one_size(
    files: Files, rows: Rows, side: int, model: Model
) -> dict[int, Probabilities | str]:
    images, problems = files.squares(rows, side)
    wrong: dict[int, str] = {}
    if problems:  # they do not say whose they are
        parts = [files.squares(rows[[place]], side) for place in range(len(rows))]
        wrong = {
            row: lines[0] for row, (_, lines) in zip(rows.tolist(), parts, strict=True) if lines
        }
        rows = np.array([row for row in rows.tolist() if row not in wrong], np.int64)
        images = np.concatenate([images[:0], *(image for image, lines in parts if not lines)])
    probabilities = model.probabilities(images) if len(rows) else ()
    return {**wrong, **dict(zip(rows.tolist(), probabilities, strict=True))}
