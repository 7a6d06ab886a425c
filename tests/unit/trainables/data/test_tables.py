"""A table of labels is read as it was written, and whatever is not certain is a line."""

from __future__ import annotations

import csv
import io
import os
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.table_ids import Files
from trainables.data.table_labels import _MISSING
from trainables.data.tables import Table, read_table

FILES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
TEXT = "id,breed\na,pug\nb,lab\nc,pug\nd,lab\n"


def read(
    folder: Path,
    text: str | bytes,
    columns: tuple[str, str] | None = None,
    group: str | None = None,
) -> Table:
    path = folder / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, columns=columns, group=group, files=Files(FILES))


def one_problem(table: Table) -> str:
    (line,) = table.problems
    assert line.isprintable()
    assert line.endswith(".")
    return line


# Bytes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_of_encodings_and_ends_of_lines_do_not_matter(
    tmp_path: Path, encoding: str, end: str
) -> None:
    table = read(tmp_path, TEXT.replace("pug", "Köter").replace("\n", end).encode(encoding))
    assert table.problems == ()
    assert table.ids == ("a", "b", "c", "d")
    assert table.labels == ("Köter", "lab", "Köter", "lab")
    assert table.lines == ("2", "3", "4", "5")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,breed\na,Köter\n".encode("latin-1"), ["line 2 has the byte 0xf6", "save it as UTF-8"]),
        (TEXT.encode("utf-16-le"), ["line 1 has a byte 0", "save it as UTF-8"]),
        (b"PK\x03\x04\x14\x00", ["Excel workbook", "save the table as CSV"]),
        (b"\x1f\x8b\x08", ["gzip", "gunzip"]),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
            ["Git LFS", "git lfs pull"],
        ),
        (b"<!DOCTYPE html>\n<html>", ["web page", "download"]),
    ],
)
def test_other_kinds_of_files_are_named_for_what_they_are(
    tmp_path: Path, content: bytes, said: list[str]
) -> None:
    line = one_problem(read(tmp_path, content))
    assert all(words in line for words in [*said, str(tmp_path / "labels.csv")])


@pytest.mark.timeout(10)
def test_folders_pipes_and_missing_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for name in (".", "pipe.csv", "none.csv"):
        assert "is not a file" in one_problem(read_table(tmp_path / name))


def test_a_line_of_empty_cells_is_passed_over_however_long(tmp_path: Path) -> None:
    assert read(tmp_path, TEXT + "," * 100_000 + "\n\n,\n").labels == ("pug", "lab", "pug", "lab")


def test_a_long_line_is_cut_in_its_message(tmp_path: Path) -> None:
    assert len(one_problem(read(tmp_path, TEXT + "," * 100_000 + "x\n"))) < 500


def test_a_line_that_begins_with_the_comment_mark_is_a_row_where_it_has_all_cells(
    tmp_path: Path,
) -> None:
    table = read(tmp_path, "id,breed\n#1,pug\na,lab\n# the rest is older\nb,pug\n")
    assert table.ids == ("#1", "a", "b")
    assert table.lines == ("2", "3", "5")


def test_a_cell_may_hold_the_separator_quotes_and_line_ends(tmp_path: Path) -> None:
    table = read(tmp_path, 'id,breed,more\na,"pug, ""black""","two\nlines"\nb,lab,\n')
    assert table.labels == ('pug, "black"', "lab")
    assert table.lines == ("2", "4")


# Columns


def test_what_was_understood_is_said(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        "xmin,filename,breed,split,patient\n1,a,pug,train,p\n2,b,lab,Test,q\n",
        group="Patient",
    )
    assert table.columns == {
        "image": "filename",
        "label": "breed",
        "split": "split",
        "group": "patient",
    }
    assert table.header == ("xmin", "filename", "breed", "split", "patient")
    assert table.splits == ("train", "test")
    assert table.groups == ("p", "q")
    assert table.notes == (
        "labels.csv: images by column 'filename', labels by column 'breed', splits by column "
        "'split', "
        "groups by column 'patient'; left out: 'xmin'",
    )


@pytest.mark.parametrize("asked", [("id", "xmin"), ("ID", "X_min"), ("1", "2"), ("id", "2")])
def test_columns_may_be_asked_for_by_name_and_number(
    tmp_path: Path, asked: tuple[str, str]
) -> None:
    assert read(tmp_path, "id,xmin,breed\na,1,pug\nb,2,lab\n", columns=asked).labels == ("1", "2")


def test_a_column_whose_name_is_a_number_comes_before_the_column_of_that_number(
    tmp_path: Path,
) -> None:
    assert read(tmp_path, "id,3,breed\na,x,pug\nb,y,lab\n", columns=("id", "3")).labels == (
        "x",
        "y",
    )


def test_columns_of_a_table_without_a_header_are_asked_for_by_number(tmp_path: Path) -> None:
    table = read(tmp_path, "a.jpg,1,2,pug\nb.jpg,3,4,lab\n", columns=("1", "4"))
    assert table.ids == ("a.jpg", "b.jpg")
    assert table.labels == ("pug", "lab")


def test_unknown_columns_are_refused_with_the_nearest(tmp_path: Path) -> None:
    first, second = read(tmp_path, TEXT, columns=("idd", "bred")).problems
    assert "unknown column 'idd'" in first
    assert "unknown column 'bred' in" in second
    assert "did you mean 'breed'? it has 'id', 'breed'." in second


def test_one_column_twice_is_refused(tmp_path: Path) -> None:
    assert "must name two columns" in one_problem(read(tmp_path, TEXT, columns=("id", "id")))


@pytest.mark.parametrize(
    "header", ["id,label,class", 'id,"label,",class', "a b,label,label", "'id',label,class"]
)
def test_the_columns_that_a_refusal_suggests_are_read_when_typed(
    tmp_path: Path, header: str
) -> None:
    text = f"{header}\na,x,1\nb,x,2\nc,y,1\nd,y,3\n"
    line = one_problem(read(tmp_path, text))
    (words,) = shlex.split(line.rpartition("--columns ")[2].rstrip("."))
    image, label = words.split(",")
    assert read(tmp_path, text, columns=(image, label)).labels == ("x", "x", "y", "y")


def test_columns_that_give_the_same_classes_are_no_question(tmp_path: Path) -> None:
    table = read(tmp_path, "id,class_id,class_name\na,0,pug\nb,1,lab\nc,0,pug\nd,1,lab\n")
    assert table.labels == ("pug", "lab", "pug", "lab")
    assert (
        table.notes[1]
        == "labels.csv: column 'class_name' gives the labels; 'class_id' would give the same "
        "classes"
    )


def test_a_first_line_that_names_a_file_is_no_header(tmp_path: Path) -> None:
    table = read(tmp_path, "a,pug\nb,lab\nc,pug\n")
    assert table.ids == ("a", "b", "c")
    assert table.header == ()
    assert table.notes == ("labels.csv has no header: images by column 1, labels by column 2",)


def test_a_first_line_whose_image_is_missing_is_no_header_either(tmp_path: Path) -> None:
    assert read(tmp_path, "gone.jpg,pug\nb.jpg,lab\nc.jpg,pug\n").ids == (
        "gone.jpg",
        "b.jpg",
        "c.jpg",
    )


def test_without_files_names_decide(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("id,file,breed\n0,a,pug\n1,b,lab\n")
    assert read_table(path).ids == ("a", "b")


# Splits, groups


@pytest.mark.parametrize(
    ("column", "words", "splits"),
    [
        (
            "Split",
            "TRAIN training val valid validation dev test Testing",
            "train train val val val val test test",
        ),
        ("is_valid", "True False", "val train"),
        ("is_training_image", "1 0", "train test"),
        ("anything", "train valid test", "train val test"),
    ],
)
def test_a_column_of_splits_is_normalized(
    tmp_path: Path, column: str, words: str, splits: str
) -> None:
    rows = "".join(f"{n},{'xy'[n % 2]},{word}\n" for n, word in enumerate(words.split()))
    assert read(tmp_path, f"id,label,{column}\n{rows}").splits == tuple(splits.split())


def test_folds_are_no_split_but_a_note(tmp_path: Path) -> None:
    table = read(tmp_path, "id,label,fold\na,x,0\nb,y,1\nc,x,2\nd,y,0\n")
    assert table.splits is None
    assert "column 'fold' ('0', '1', '2') is not used as a split" in table.notes[1]


def test_a_label_called_train_is_a_label(tmp_path: Path) -> None:
    table = read(tmp_path, "id,label\na,train\nb,test\nc,train\n")
    assert table.labels == ("train", "test", "train")
    assert table.splits is None


@pytest.mark.parametrize("group", ["^([a-z]+)_", "none", "", "1", "(a)"])
def test_a_group_that_is_no_column_gives_no_groups(tmp_path: Path, group: str) -> None:
    table = read(
        tmp_path, "id,a,label\n1,2,x\n2,2,y\n3,2,x\n" if group == "(a)" else TEXT, group=group
    )
    assert table.problems == ()
    assert (table.groups, "group" in table.columns) == (None, False)


def test_the_column_of_images_may_be_that_of_groups(tmp_path: Path) -> None:
    table = read(tmp_path, TEXT, group="id")
    assert (table.problems, table.columns["image"], table.columns["group"]) == ((), "id", "id")
    assert table.groups == table.ids


def test_a_row_without_a_group_is_refused(tmp_path: Path) -> None:
    table = read(tmp_path, "id,patient,label\na,p,x\nb,,y\nc,,x\n", group="patient")
    assert "must name a group in each row, but 2 rows have none, such as line 3" in one_problem(
        table
    )


# Labels


def test_rows_without_a_label_are_left_out_with_a_note(tmp_path: Path) -> None:
    table = read(tmp_path, "id,breed\na,pug\nb,\nc,?\nd,lab\n0,NaN\ne,lab\n")
    assert table.ids == ("a", "d", "e")
    assert table.lines == ("2", "5", "7")
    assert (
        table.notes[1]
        == "labels.csv: rows without a label ('', '?', 'NaN') are left out: 3, such as line 3"
    )


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("1.0 0.0 1.0", "1 0 1"),
        ("1.0 0.0 1", "1 0 1"),
        ("1.0 1 x", "1 1 x"),
        ("1.0 2 x", "1.0 2 x"),
        ("-1.0 1 1", "-1 1 1"),
        ("1.5 1 1.5", "1.5 1 1.5"),
        ("v1.0 v2.0 v1.0", "v1.0 v2.0 v1.0"),
    ],
)
def test_whole_numbers_lose_what_pandas_adds(tmp_path: Path, written: str, read_as: str) -> None:
    rows = "".join(f"{name},{label}\n" for name, label in zip("abc", written.split(), strict=True))
    assert read(tmp_path, f"id,label\n{rows}").labels == tuple(read_as.split())


def test_labels_in_other_cases_are_left_as_they_are(tmp_path: Path) -> None:
    assert read(tmp_path, "id,label\na,Dog\nb,dog\nc,dog\n").labels == ("Dog", "dog", "dog")


def test_a_name_for_each_image_is_no_class(tmp_path: Path) -> None:
    line = one_problem(read(tmp_path, "id,label\na,p\nb,q\nc,r\nd,s\n"))
    assert "all 4 are different, such as 'p', 'q', 'r'" in line


def test_one_cause_is_one_line_however_many_rows(tmp_path: Path) -> None:
    line = one_problem(read(tmp_path, "id,breed\n" + "a,pug,black\n" * 500 + "b,lab\n" * 600))
    assert "500 of 1100 have others; line 2 is ['a', 'pug', 'black']" in line


# Round trip

CELLS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="#"), min_size=1, max_size=12
).map(str.strip)
LABELS = CELLS.filter(lambda cell: cell not in _MISSING and not cell.endswith(".0"))
NAMES = CELLS.filter(bool)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(NAMES, LABELS), min_size=2, max_size=12),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([("id", "breed"), ("Image_Name", "Class"), ("file path", "labels")]),
)
def test_any_table_that_is_written_is_read_back(
    rows: list[tuple[str, str]],
    separator: str,
    quoting: int,
    encoding: str,
    end: str,
    backward: bool,
    numbered: bool,
    names: tuple[str, str],
) -> None:
    rows = [*rows, ("last", rows[0][1])]  # a label that two share
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
    for number, row in enumerate([names, *rows]):
        cells = row[::-1] if backward else row
        writer.writerow([*([number - 1 if number else ""] if numbered else []), *cells])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        path.write_bytes(text.getvalue().encode(encoding))
        for columns in (None, names):
            table = read_table(path, columns=columns, files=Files(["other.png"]))
            assert table.problems == ()
            assert table.ids == tuple(name for name, _ in rows)
            assert table.labels == tuple(label for _, label in rows)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(str.encode),
        st.lists(st.text("ab10,;|\t\"'#\n\r é.", max_size=12), max_size=9).map(
            lambda lines: "\n".join(lines).encode()
        ),
    )
)
def test_any_bytes_are_a_table_or_a_few_lines(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        path.write_bytes(content)
        for columns in (None, ("1", "2"), ("a", "b")):
            table = read_table(path, columns=columns, files=Files(["a.png", "b/1.png", "10.jpg"]))
            assert len(table.problems) <= 4
            assert len(table.ids) == len(table.labels) == len(table.lines)
            assert all(table.labels)
            if not table.problems:
                assert table.ids
                assert all(table.ids)
