"""Which table of a folder gives the labels, where there are several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from trainables.data.table_choice import MOST_TABLES, find_table, is_table, tables_in
from trainables.data.table_files import match
from trainables.data.table_ids import Files
from trainables.data.tables import Table

TRAIN = [f"train/{number}.png" for number in range(8)]
TEST = [f"test/{number}.png" for number in range(8)]
LABELS = "id,label\n" + "".join(f"{number},{'ab'[number % 2]}\n" for number in range(8))
IDS = "id\n" + "".join(f"{number}\n" for number in range(8))


def choose(
    folder: Path,
    tables: Mapping[str, str],
    files: list[str],
    columns: tuple[str, str] | None = None,
) -> Table | None:
    for name, text in tables.items():
        (folder / name).write_text(text)
    return find_table(folder, sorted(tables), files=files, columns=columns)


MAY_BE = """
labels.csv trainLabels.csv train.csv Train.CSV train_labels.csv annotations.csv metadata.csv HAM10000_metadata.csv
ISIC_2019_Training_GroundTruth.csv any.tsv labels.txt train.txt train_list.txt image_class_labels.txt birds.csv
"""
ARE_NOT = """
sample_submission.csv submission.csv sampleSubmission.csv readme.txt classes.txt requirements.txt notes.txt labels.json
.labels.csv labels.csv.bak labels labels.xlsx
"""


@pytest.mark.parametrize("name", MAY_BE.split())
def test_these_names_may_be_tables(name: str) -> None:
    assert is_table(name)


@pytest.mark.parametrize("name", ARE_NOT.split())
def test_these_names_are_not(name: str) -> None:
    assert not is_table(name)


def test_the_likeliest_names_come_first() -> None:
    names = ["birds.csv", "test.csv", "labels.csv", "readme.txt", "train.csv"]
    assert tables_in(names) == ("labels.csv", "test.csv", "train.csv", "birds.csv")


def test_a_text_called_like_an_image_beside_it_is_no_table() -> None:
    texts = [f"train_{number:03}.txt" for number in range(50)]
    images = [f"train_{number:03}.jpg" for number in range(49)]
    assert tables_in([*texts, "train.txt"], images) == ("train.txt", "train_049.txt")


def test_of_many_tables_a_few_are_read_and_the_images_are_sorted_by_name_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr(Files, "__init__", _counted(Files.__init__, made))
    tables = {f"train_{number:03}.csv": "epoch,loss\n100,0.1\n" for number in range(50)}
    choose(tmp_path, {**tables, "truth.csv": LABELS}, TRAIN)
    assert len(made) == 1
    assert len(tables_in(sorted(tables))) == MOST_TABLES


def _counted(call: Callable[..., None], calls: list[int]) -> Callable[..., None]:
    def counting(*args: object) -> None:
        calls.append(1)
        call(*args)

    return counting


def test_a_competition_has_its_labels_in_train(tmp_path: Path) -> None:
    table = choose(
        tmp_path,
        {"train.csv": LABELS, "test.csv": IDS, "sample_submission.csv": LABELS},
        TRAIN + TEST,
    )
    assert table is not None
    assert table.path == tmp_path / "train.csv"
    assert table.notes[-1] == "tables that are not used: 'test.csv'"
    matched = match(table, TRAIN + TEST)
    assert [(TRAIN + TEST)[file] for file in matched.files] == TRAIN


def test_a_test_table_filled_with_one_label_is_no_test_split(tmp_path: Path) -> None:
    table = choose(
        tmp_path, {"train.csv": LABELS, "test.csv": LABELS.replace(",b", ",a")}, TRAIN + TEST
    )
    assert table is not None
    assert (table.path.name, table.splits) == ("train.csv", None)


@pytest.mark.parametrize(
    ("train", "test"), [("train.csv", "test.csv"), ("Train_labels.csv", "Test_labels.csv")]
)
def test_tables_of_train_and_test_are_one_with_splits(
    tmp_path: Path, train: str, test: str
) -> None:
    table = choose(tmp_path, {train: LABELS, test: LABELS}, TRAIN + TEST)
    assert table is not None
    assert table.problems == ()
    assert table.splits == ("train",) * 8 + ("test",) * 8
    assert (table.path, table.more) == (tmp_path / train, (tmp_path / test,))
    assert table.lines[8] == f"2 of {test}"
    matched = match(table, TRAIN + TEST)
    assert matched.problems == ()
    assert [(TRAIN + TEST)[file] for file in matched.files] == TRAIN + TEST


def test_tables_of_other_things_are_passed_over(tmp_path: Path) -> None:
    tables = {"train.csv": LABELS, "breeds.csv": "BreedID,Type\n100,x\n101,y\n102,x\n"}
    table = choose(tmp_path, tables, TRAIN)
    assert table is not None
    assert table.path.name == "train.csv"
    assert choose(tmp_path, {"results.csv": "epoch,loss\n100,0.1\n200,0.2\n"}, TRAIN) is None
    assert choose(tmp_path, {"labels.txt": "golden retriever\nlab\n"}, TRAIN) is None


def test_a_table_called_labels_wins(tmp_path: Path) -> None:
    table = choose(
        tmp_path, {"labels.csv": LABELS, "metadata.csv": LABELS.replace(",b", ",c")}, TRAIN
    )
    assert table is not None
    assert set(table.labels) == {"a", "b"}


def test_two_tables_that_could_be_meant_are_refused_and_the_mend_works(tmp_path: Path) -> None:
    tables = {"metadata.csv": LABELS, "annotations.csv": LABELS.replace(",b", ",c")}
    refused = choose(tmp_path, tables, TRAIN)
    assert refused is not None
    (line,) = refused.problems
    assert (
        "'annotations.csv', 'metadata.csv' could be it: rename the right one to labels.csv" in line
    )
    (tmp_path / "metadata.csv").rename(tmp_path / "labels.csv")
    table = find_table(tmp_path, ["labels.csv", "annotations.csv"], files=TRAIN)
    assert table is not None
    assert set(table.labels) == {"a", "b"}


def test_columns_tell_which_table_is_meant(tmp_path: Path) -> None:
    tables = {"metadata.csv": LABELS, "annotations.csv": LABELS.replace("label", "sort")}
    table = choose(tmp_path, tables, TRAIN, columns=("id", "sort"))
    assert table is not None
    assert table.path.name == "annotations.csv"


def test_what_is_wrong_with_the_only_likely_table_is_said(tmp_path: Path) -> None:
    table = choose(
        tmp_path,
        {"train.csv": LABELS.replace("label", "a,b").replace("\n", ",1.5\n"), "test.csv": IDS},
        TRAIN,
    )
    assert table is not None
    assert table.path.name == "train.csv"
    assert table.problems


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("labels.xlsx", "is an Excel workbook: save it as labels.csv"),
        ("annotations.json", "is JSON: write its images and labels as annotations.csv"),
        ("train.parquet", "is a parquet file: save it as train.csv"),
        ("labels.csv.zip", "is compressed: decompress it with unzip"),
    ],
)
def test_a_table_in_another_format_is_named_for_what_it_is(
    tmp_path: Path, name: str, said: str
) -> None:
    table = choose(tmp_path, {name: "", "notes.json": "", "model.parquet": ""}, TRAIN)
    assert table is not None
    assert said in table.problems[0]
