"""The submission files of two Kaggle competitions, CIFAR-10 and dog breeds.

The first one wants a label per image, the second a probability per breed.
"""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cluster.refused import Refused
from sweeps.predict.model import Probabilities
from trainables.data.cifar10 import CLASSES
from trainables.data.file_kinds import is_image
from trainables.problems import one_line, shortened

BREEDS = 120


@dataclass(frozen=True, slots=True)
class Competition:
    """A competition's form of an answer.

    Attributes:
        numbered: Whether an id is a number, as in `1.png`, and ids come in the order of numbers.
        labels: Whether an image is answered by the class's name; otherwise by a probability per
            class, in columns.
    """

    numbered: bool
    labels: bool


COMPETITIONS = {
    "cifar10": Competition(numbered=True, labels=True),
    "dogs": Competition(numbered=False, labels=False),
}


def images_of(name: str, folder: Path) -> tuple[list[Path], list[str]]:
    """Return the images directly in a competition's `test` folder, and what is wrong with it.

    They are in the order of their ids. Wrong is no image at all, a name that is no id, or an id
    that several files have.
    """
    images = sorted(path for path in folder.iterdir() if is_image(path))
    problems = []
    if not images:
        problems.append(
            f"{folder} must hold the competition's test images, but holds none: "
            "give its test folder."
        )

    # Each id has one file.
    numbered = COMPETITIONS[name].numbered
    ids: dict[str, Path] = {}
    strange = []
    twice = []
    for path in images:
        if numbered and not re.fullmatch(r"[0-9]{1,18}", path.stem):
            strange.append(
                f"{path} must be named by its number, such as 1.png: rename or remove it."
            )
            continue
        first = ids.setdefault(_id(name, path), path)
        if first is not path:
            twice.append(
                f"An id must have one image, but {first} and {path} have the same: remove one."
            )
    problems += shortened(strange, "files have no number")
    problems += shortened(twice, "ids have several images")

    # Numbers in their own order; of equal ones, as 1 and 01, there is only one left.
    order = sorted(ids.values(), key=lambda path: path.stem)
    if numbered:
        order.sort(key=lambda path: int(path.stem))
    return order, [one_line(problem) for problem in problems]


def check_classes(name: str, classes: Sequence[str]) -> None:
    """Refuse a model that does not answer what the competition asks.

    Raises:
        Refused: It does not.
    """
    if name == "cifar10" and set(classes) != set(CLASSES):
        needed = f"--kaggle cifar10 needs a model of its classes, {', '.join(CLASSES)}"
    elif name == "dogs" and len(classes) != BREEDS:
        needed = f"--kaggle dogs needs a model of the {BREEDS} breeds"
    else:
        return
    first = ", ".join(classes[:3])
    more = ", …" if len(classes) > 3 else ""
    raise Refused(
        one_line(
            f"{needed}, but this one has {len(classes)} ({first}{more}): "
            "give a sweep of that competition's data."
        )
    )


def write(
    name: str, out: Path, answered: Iterable[tuple[Path, Probabilities]], classes: Sequence[str]
) -> int:
    """Write the submission, whole or not at all, and return how many images it answers.

    Probabilities of an image sum to 1 within 1e-7, and are written so that float32 gives them back.

    Raises:
        OSError: It cannot be written.
    """
    # Columns of probabilities are in the order of the names.
    labels = COMPETITIONS[name].labels
    columns = sorted(range(len(classes)), key=lambda number: classes[number])
    header = ["id", "label"]
    if not labels:
        header = ["id", *(classes[number] for number in columns)]

    # A temporary file, which takes the place once it is whole.
    count = 0
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".submission-") as folder:
        temporary = Path(folder, out.name)
        with temporary.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(header)
            for path, probabilities in answered:
                exact = probabilities.astype(np.float64)
                exact /= exact.sum()
                if labels:
                    values = [classes[int(exact.argmax())]]
                else:
                    values = [f"{exact[number]:.9g}" for number in columns]
                lines.writerow([_id(name, path), *values])
                count += 1
        temporary.replace(out)
    return count


def _id(name: str, path: Path) -> str:
    if COMPETITIONS[name].numbered:
        return str(int(path.stem))
    return path.stem
