"""Submissions: ids in order, columns in order, numbers that sum to 1 and come back."""

import csv
from pathlib import Path

import numpy as np
import pytest

from cluster.refused import Refused
from sweeps.predict import kaggle
from sweeps.predict.model import Probabilities
from trainables.data.cifar10 import CLASSES

BREEDS = tuple(f"breed-{number:03d}" for number in reversed(range(kaggle.BREEDS)))


def folder_of(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return folder


def test_numbers_are_in_the_order_of_numbers_and_names_of_names(tmp_path: Path) -> None:
    test = folder_of(
        tmp_path / "test", "10.png", "9.png", "100.png", "1.png", ".DS_Store", "readme.txt"
    )
    assert [path.name for path in kaggle.images_of("cifar10", test)[0]] == [
        "1.png",
        "9.png",
        "10.png",
        "100.png",
    ]
    assert [path.stem for path in kaggle.images_of("dogs", test)[0]] == ["1", "10", "100", "9"]


def test_all_that_is_wrong_with_a_folder_is_a_line_each(tmp_path: Path) -> None:
    test = folder_of(tmp_path / "test", "1.png", "01.png", "1.jpg", "cat.png", "١.png", "-3.png")
    _, problems = kaggle.images_of("cifar10", test)
    assert sum("by its number" in line for line in problems) == 3
    assert sum("have the same" in line for line in problems) == 2
    assert len(problems) == 5
    assert "give its test folder" in kaggle.images_of("dogs", folder_of(tmp_path / "empty"))[1][0]


def test_a_label_submission_names_the_most_probable_class(tmp_path: Path) -> None:
    answered = [(Path(f"{n}.png"), _certain(n % 10, 10)) for n in (1, 2, 10, 300_000)]
    assert kaggle.write("cifar10", tmp_path / "s.csv", answered, CLASSES) == 4
    lines = (tmp_path / "s.csv").read_bytes()
    assert lines == b"id,label\n1,automobile\n2,bird\n10,airplane\n300000,airplane\n"


def test_probabilities_sum_to_1_come_back_and_have_sorted_columns(tmp_path: Path) -> None:
    values = np.random.default_rng(0).dirichlet(np.full(kaggle.BREEDS, 0.05), 50).astype(np.float32)
    out = tmp_path / "s.csv"
    kaggle.write("dogs", out, [(Path(f"{n:04x}.jpg"), row) for n, row in enumerate(values)], BREEDS)
    with out.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["id", *sorted(BREEDS)]
    assert [line[0] for line in lines] == [f"{n:04x}" for n in range(50)]
    written = np.array([line[1:] for line in lines], np.float64)
    assert np.abs(written.sum(1) - 1).max() < 1e-7
    by_class = {name: written[:, column] for column, name in enumerate(header[1:])}
    for number, name in enumerate(BREEDS):
        exact = (values[:, number] / values.astype(np.float64).sum(1)).astype(np.float32)
        assert np.array_equal(by_class[name].astype(np.float32), exact)


def test_a_submission_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> object:
        yield Path("1.png"), _certain(0, 10)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kaggle.write("cifar10", tmp_path / "s.csv", interrupted(), CLASSES)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("cifar10", CLASSES[:9]),
        ("cifar10", (*CLASSES[:9], "lorry")),
        ("dogs", CLASSES),
        ("dogs", ()),
    ],
)
def test_a_model_of_other_classes_is_refused(name: str, classes: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match=f"--kaggle {name} needs"):
        kaggle.check_classes(name, classes)
    kaggle.check_classes("cifar10", CLASSES[::-1])
    kaggle.check_classes("dogs", BREEDS)


def _certain(number: int, classes: int) -> Probabilities:
    return np.eye(classes, dtype=np.float32)[number]
