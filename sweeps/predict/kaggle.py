"""The submission files of two Kaggle competitions: CIFAR-10 (a label an image) and dog breeds (a probability a breed)."""

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
    """What a competition asks for.

    Attributes:
        numbered: Whether an id is a number, as in `1.png`, and ids come in the order of numbers.
        labels: Whether an image is answered by the class's name; otherwise by a probability a class, in columns.
    """

    numbered: bool
    labels: bool


COMPETITIONS = {
    "cifar10": Competition(numbered=True, labels=True),
    "dogs": Competition(numbered=False, labels=False),
}


def images_of(name: str, folder: Path) -> tuple[list[Path], list[str]]:
    """The images directly in a competition's `test` folder, in the order of their ids, and what is wrong with it.

    That is no image at all, a name that is no id, or an id that several files have.
    """
    numbered, problems = COMPETITIONS[name].numbered, []
    images = [path for path in folder.iterdir() if is_image(path)]
    if not images:
        problems.append(
            f"{folder} must hold the competition's test images, but holds none: give its test folder."
        )
    ids: dict[str, Path] = {}
    strange, twice = [], []
    for path in sorted(images):
        if numbered and not re.fullmatch(r"[0-9]{1,18}", path.stem):
            strange.append(
                f"{path} must be named by its number, such as 1.png: rename or remove it."
            )
        elif (first := ids.setdefault(_id(name, path), path)) is not path:
            twice.append(
                f"An id must have one image, but {first} and {path} have the same: remove one."
            )
    problems += [
        *shortened(strange, "files have no number"),
        *shortened(twice, "ids have several images"),
    ]
    order = sorted(ids.values(), key=lambda path: (int(path.stem) if numbered else 0, path.stem))
    return order, list(map(one_line, problems))


def check_classes(name: str, classes: Sequence[str]) -> None:
    """See to it that a model answers what the competition asks.

    Raises:
        Refused: It does not.
    """
    what = f"has {len(classes)} ({', '.join(classes[:3])}{', …' if len(classes) > 3 else ''})"
    if name == "cifar10" and set(classes) != set(CLASSES):
        rule = f"--kaggle cifar10 needs a model of its classes, {', '.join(CLASSES)}, but this one {what}"
    elif name == "dogs" and len(classes) != BREEDS:
        rule = f"--kaggle dogs needs a model of the {BREEDS} breeds, but this one {what}"
    else:
        return
    raise Refused(one_line(f"{rule}: give a sweep of that competition's data."))


def write(
    name: str, out: Path, answered: Iterable[tuple[Path, Probabilities]], classes: Sequence[str]
) -> int:
    """Write the submission, whole or not at all; how many images it answers.

    Probabilities of an image sum to 1 within 1e-7, and are written so that float32 gives them back.

    Raises:
        OSError: It cannot be written.
    """
    columns = sorted(range(len(classes)), key=lambda number: classes[number])
    labels, count = COMPETITIONS[name].labels, 0
    header = ["id", "label"] if labels else ["id", *(classes[number] for number in columns)]
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".submission-") as folder:
        temporary = Path(folder, out.name)
        with temporary.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(header)
            for path, probabilities in answered:
                exact = probabilities.astype(np.float64)
                exact /= exact.sum()
                values = (
                    [classes[int(exact.argmax())]]
                    if labels
                    else [f"{exact[number]:.9g}" for number in columns]
                )
                lines.writerow([_id(name, path), *values])
                count += 1
        temporary.replace(out)
    return count


def _id(name: str, path: Path) -> str:
    return str(int(path.stem)) if COMPETITIONS[name].numbered else path.stem
