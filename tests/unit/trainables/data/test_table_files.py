"""Rows of a table find their images by stated rules, and what is not certain is one line per cause."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.table_files import Matched, match
from trainables.data.tables import Table

HERE = Path("/data/dogs/labels.csv")


def table(
    ids: Sequence[str],
    labels: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
) -> Table:
    return Table(
        path=HERE,
        ids=tuple(ids),
        labels=tuple(labels or ["cat"] * len(ids)),
        lines=tuple(str(line) for line in range(2, len(ids) + 2)),
        splits=None if splits is None else tuple(splits),
        groups=None if groups is None else tuple(groups),
        columns={"image": "id", "label": "label"},
    )


def found(matched: Matched, files: Sequence[str]) -> list[str]:
    assert matched.problems == ()
    assert list(matched.rows) == sorted(set(matched.rows))
    assert len(set(matched.files)) == len(matched.files)
    return [files[file] for file in matched.files]


def one_problem(matched: Matched) -> str:
    (line,) = matched.problems
    assert line.endswith(".")
    assert len(line) < 400
    return line


@pytest.mark.parametrize(
    ("written", "files", "right", "said"),
    [
        ("a.png", ["a.png", "a.jpg"], "a.png", None),
        ("a", ["a.png", "a"], "a", None),
        ("x/a.png", ["a.png", "x/a.png"], "x/a.png", None),
        ("A.png", ["a.png", "A.png"], "A.png", None),
        ("a\\b.png", ["a\\b.png", "b.png"], "a\\b.png", None),
        ("a.jpeg?x=1", ["a.jpeg?x=1"], "a.jpeg?x=1", None),
        ("a.b", ["a.b.png"], "a.b.png", "lack the suffix '.png'"),
        ("a.png", ["a.png.gif"], "a.png.gif", "lack the suffix '.gif'"),
        ("a.png", ["a.jpg"], "a.jpg", "another suffix"),
        ("a.png", ["a"], "a", "another suffix"),
        ("A", ["a.jpg"], "a.jpg", "case"),
        ("STRASSE.png", ["straße.png"], "straße.png", "case"),
        ("e\u0301.png", ["é.png"], "é.png", "Unicode form"),
        ("7", ["0007.png", "0070.png"], "0007.png", "numbers"),
        ("7.0", ["0007.png"], "0007.png", "numbers"),
        ("007.png", ["7.jpg"], "7.jpg", "numbers"),
        ("0", ["000.png"], "000.png", "numbers"),
        ("/home/me/train/a.png", ["test/a.png", "train/a.png"], "train/a.png", None),
        ("C:\\me\\Train\\a.png", ["test/a.png", "train/a.png"], "train/a.png", None),
        ("https://x.org/train/a%20b.png?w=3#top", ["train/a b.png"], "train/a b.png", None),
        ("../input/dogs/train/a.png", ["train/a.png"], "train/a.png", None),
        ("old/a.png", ["new/a.png"], "new/a.png", "other folders"),
    ],
)
def test_an_id_names_a_file(written: str, files: list[str], right: str, said: str | None) -> None:
    matched = match(table([written]), files)
    assert found(matched, files) == [right]
    notes = [line for line in matched.notes if "without a label" not in line]
    assert len(notes) == (said is not None)
    assert said is None or said in notes[0]


@pytest.mark.parametrize(
    "written", ["b", "", ".", "..", "/", "a.png/", "aa", "1.5", "-1", "a*", "\0", "a.png\n"]
)
def test_other_ids_name_none(written: str) -> None:
    if written == "a.png/":
        assert match(table([written]), ["a.png", "1.png"]).files == (0,)
        return
    assert "have none" in one_problem(match(table([written]), ["a.png", "1.png"]))


def test_ids_without_an_image_are_one_line_with_what_nearly_fits() -> None:
    line = one_problem(
        match(
            table([f"img-{number}.jpg" for number in range(60)]),
            [f"img_{n}.jpg" for n in range(99)],
        )
    )
    assert line == (
        "Each id of /data/dogs/labels.csv must have an image in /data/dogs, but 60 have none, such as 'img-0.jpg', "
        "'img-1.jpg', 'img-2.jpg' (line 2; 60 ids in all); the nearest file is 'img_0.jpg': add the files or remove the lines."
    )
    assert "files are named like 'x.png'" in one_problem(match(table(["0000", "0001"]), ["x.png"]))
    assert "there are no images at all" in one_problem(match(table(["0000", "0001"]), []))


def test_an_id_of_several_images_is_refused() -> None:
    line = one_problem(match(table(["004", "005"]), ["004.png", "004.jpg", "005.png", "005.jpg"]))
    assert "'004' has 2, '004.png' and '004.jpg' (2 such ids)" in line


def test_equal_names_in_folders_are_told_by_the_split() -> None:
    files = ["test/1.png", "train/1.png", "val/1.png", "train/2.png"]
    matched = match(table(["1", "1", "2"], splits=["val", "test", "train"]), files)
    assert found(matched, files) == ["val/1.png", "test/1.png", "train/2.png"]
    matched = match(table(["1", "2"]), files)
    assert found(matched, files) == ["train/1.png", "train/2.png"]
    assert "names found in several folders are taken from train: 1" in matched.notes[0]
    assert "'1' has 2" in one_problem(match(table(["1"]), ["a/1.png", "b/1.png"]))


def test_a_file_in_another_folder_than_the_id_says_is_not_taken_where_folders_are_known() -> None:
    """Its picture is another one: with a label it would be a wrong label."""
    line = one_problem(match(table(["train/1.png", "train/2.png"]), ["train/1.png", "test/2.png"]))
    assert "1 have none, such as 'train/2.png'" in line


def test_lines_that_repeat_are_left_out_with_a_note() -> None:
    matched = match(table(["a", "b", "a", "a"]), ["a.png", "b.png", "c.png"])
    assert matched.rows == (0, 1)
    assert matched.files == (0, 1)
    assert matched.notes == (
        "labels.csv: lines that repeat another are left out: 2",
        "labels.csv: ids lack the suffix '.png': 'a' is 'a.png' (4 of 4 ids)",
        "1 file without a label is left out",
    )


@pytest.mark.parametrize(
    ("ids", "labels", "splits", "groups", "said"),
    [
        (
            ["3", "3"],
            ["cat", "dog"],
            None,
            None,
            "one label in /data/dogs/labels.csv, but '3.png' has 'cat' and 'dog' (lines 2 and 3)",
        ),
        (
            ["3", "3.png"],
            ["cat", "cat"],
            None,
            None,
            "one id in /data/dogs/labels.csv, but '3.png' has '3' and '3.png'",
        ),
        (["3", "x/3.png"], ["cat", "dog"], None, None, "one id in"),
        (["3", "3"], ["cat", "cat"], ["train", "test"], None, "one split in"),
        (["3", "3"], ["cat", "cat"], None, ["p", "q"], "one group in"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(
    ids: list[str], labels: list[str], splits: list[str] | None, groups: list[str] | None, said: str
) -> None:
    assert said in one_problem(match(table(ids, labels, splits, groups), ["3.png", "4.png"]))


def test_many_contradictions_are_one_line() -> None:
    ids = [str(number) for number in range(500)] * 2
    line = one_problem(
        match(table(ids, ["cat"] * 500 + ["dog"] * 500), [f"{number}.png" for number in range(500)])
    )
    assert "(500 such images)" in line


PLAIN = st.text("abcdefgh", min_size=1, max_size=5)
PATHS = st.builds("/".join, st.tuples(st.sampled_from(["train", "test", "x/y"]), PLAIN)).map(
    "{}.png".format
)
CHANGES = {
    "none": str,
    "suffix": lambda path: path.removesuffix(".png"),
    "other suffix": lambda path: path.replace(".png", ".JPG"),
    "case": str.upper,
    "machine": "/kaggle/input/{}".format,
    "windows": lambda path: "D:\\set\\" + path.replace("/", "\\"),
    "here": "./{}".format,
    "url": "https://example.org/{}?download=1".format,
}


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(PATHS, min_size=1, max_size=12, unique_by=str.upper),
    st.sampled_from(sorted(CHANGES)),
    st.randoms(),
)
def test_any_change_of_writing_is_undone(
    files: list[str], change: str, random: st.DataObject
) -> None:
    order = list(range(len(files)))
    random.shuffle(order)  # type: ignore[attr-defined]
    matched = match(table([CHANGES[change](files[file]) for file in order]), files)
    assert matched.problems == ()
    assert list(matched.files) == order


ODD = st.text("ab01./\\:%?éE\u0301 ", max_size=8)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(ODD, max_size=8), st.lists(ODD.filter(bool), max_size=8, unique=True))
def test_any_ids_and_files_are_matched_once_or_refused(ids: list[str], files: list[str]) -> None:
    matched = match(table(ids), files)
    assert len(set(matched.files)) == len(matched.files) == len(matched.rows)
    assert len(matched.problems) <= 3
    for row, file in zip(matched.rows, matched.files, strict=True):
        assert ids[row] not in files or files[file] == ids[row]
    if not matched.problems:
        assert len(matched.rows) == len(set(ids))
