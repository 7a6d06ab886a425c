"""Images as a notebook hands them over: paths and folders, arrays, and Pillow's images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from cluster.refused import Refused
from sweeps.predict.images import PIXELS, SMALLEST, answers, check, find
from sweeps.predict.model import Model, Probabilities
from sweeps.tracking.pyfunc import rgb
from trainables.data.decode import in_memory, squares_of
from trainables.data.listing import DECODE_SCALE

Label: TypeAlias = str | int
"""The path of a file, or the place of an image among all that were given."""


@dataclass(frozen=True, slots=True)
class _Given:
    label: Label
    # A file, or one of Pillow's images.
    image: Any


def classify(images: object, model: Model) -> list[tuple[Label, Probabilities]]:
    """Return the probabilities of each image, float32 [classes], as its training saw images.

    Args:
        images: One or a sequence of: a path of a file, or of a folder with all below it; an array
            or nested lists as the registered model takes them, of one image or several; one of
            Pillow's images.
        model: It answers.

    Raises:
        Refused: One line for each thing that is no image.
    """
    several: Sequence[object] = [images]
    # Nested lists of numbers are one array.
    if isinstance(images, list | tuple) and not _holds_numbers(images):
        several = images
    problems: list[str] = []
    given: list[_Given] = []
    for image in several:
        try:
            given += list(_read(image, len(given)))
        except Refused as error:
            problems += error.problems
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise Refused(*problems)
    return _classified(given, model)


def _holds_numbers(value: object) -> bool:
    """Return whether lists hold numbers in the end, and not arrays, paths or images."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, int | float)


def _read(image: object, before: int) -> Iterator[_Given]:
    """Yield the images that one thing means.

    Raises:
        Refused, ValueError: It is no image, or no place where images are.
    """
    if isinstance(image, str | Path):
        found = find([str(image)])
        problems = [*found.problems, *found.closed]
        problems += check(found.paths, lambda chunks, what: iter(chunks))
        if problems:
            raise Refused(*problems)
        for path in found.paths:
            yield _Given(str(path), path)
        return
    known = None if isinstance(image, np.ndarray) else in_memory(image)
    if known is not None:
        yield _Given(before, known)
        return
    for number, pixels in enumerate(rgb(image)):
        yield _Given(before + number, in_memory(pixels))


def _classified(given: Sequence[_Given], model: Model) -> list[tuple[Label, Probabilities]]:
    """Return the answers in the order of the images; files and others are looked at apart.

    Raises:
        Refused: One line for each file that is damaged.
    """
    found: dict[int, Probabilities] = {}
    problems = []
    files = [at for at, each in enumerate(given) if isinstance(each.image, Path)]
    told = answers([given[at].image for at in files], model, lambda chunks, what: iter(chunks))
    for at, (_, answer) in zip(files, told, strict=True):
        if isinstance(answer, str):
            problems.append(answer)
        else:
            found[at] = answer
    if problems:
        raise Refused(*problems)

    # The network takes images of one size at once.
    by_side: dict[int, list[int]] = {}
    for at, each in enumerate(given):
        if at not in found:
            by_side.setdefault(_side(each.image, model), []).append(at)
    most = max(1, min(256, PIXELS // model.image_size**2))
    for side, places in by_side.items():
        for start in range(0, len(places), most):
            some = places[start : start + most]
            try:
                squares = squares_of([given[at].image for at in some], side)
            except ValueError as error:
                raise Refused(f"An image {error}") from error
            found |= zip(some, model.probabilities(squares), strict=True)
    return [(each.label, found[at]) for at, each in enumerate(given)]


def _side(image: Any, model: Model) -> int:
    """Return to how many pixels per side an image is cut: as training cut its files, if known."""
    if model.stored_side is not None:
        return model.stored_side
    largest = round(DECODE_SCALE * model.image_size)
    return int(np.clip(min(image.size), SMALLEST, largest))
