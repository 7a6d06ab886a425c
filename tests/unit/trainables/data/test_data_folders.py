from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from trainables.data.dataset import Caps, DataError, Summary, inspect, prepare

ALL = Caps(train=10**6, val=10**6, test=10**6)


def fill(folder: Path, count: int, extension: str = ".png", colour: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (6, 5), (number, colour, 0)).save(folder / f"{number:03}{extension}")


def look(data: Path, caps: Caps = ALL) -> Summary:
    return inspect(str(data), caps=caps, seed=0, cache=data.parent / "cache")


def problems(data: Path) -> tuple[str, ...]:
    """What both `inspect` and `prepare` refuse with; neither leaves a file."""
    with pytest.raises(DataError) as looked:
        look(data)
    with pytest.raises(DataError) as prepared:
        prepare(str(data), image_size=8, caps=ALL, seed=0, cache=data.parent / "cache")
    assert looked.value.problems == prepared.value.problems
    assert not (data.parent / "cache").exists()
    return looked.value.problems


def one_problem(data: Path) -> str:
    (line,) = problems(data)
    assert "\n" not in line
    return line


def test_a_flat_folder_has_sorted_classes_and_hidden_and_other_files_do_not_count(
    tmp_path: Path,
) -> None:
    root = tmp_path / "my: flowers"
    for name, extension in (
        ("tulip", ".JPG"),
        ("aster", ".png"),
        ("rose", ".tiff"),
        (".git", ".png"),
    ):
        fill(root / name, 10, extension)
    fill(root / "rose" / "wild" / "deep", 5, ".bmp")
    fill(root / "rose" / ".thumbs", 5)
    (root / "rose" / ".hidden.png").write_text("no image")
    (root / "rose" / "Thumbs.db").write_text("no image")
    (root / "readme.txt").write_text("hello")
    summary = look(root)
    assert summary.name == "my-flowers"
    assert summary.source == str(root)
    assert summary.classes == ("aster", "rose", "tulip")
    assert {
        name: sum(summary.counts[split][name] for split in summary.counts)
        for name in summary.classes
    } == {
        "aster": 10,
        "rose": 15,
        "tulip": 10,
    }
    assert summary.passed_over == {
        "hidden": "3, such as .git",
        "named Thumbs.db": "1, such as rose/Thumbs.db",
        "ending in .txt": "1, such as readme.txt",
    }
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("others", [(), ("val",), ("test",), ("val", "test")])
def test_split_folders_are_understood(tmp_path: Path, others: tuple[str, ...]) -> None:
    for part in ("train", *others):
        for name in "ab":
            fill(tmp_path / "set" / part / name, 12 if part == "train" else 4)
    summary = look(tmp_path / "set")
    expected = {0: [6, 3, 3], 1: [9, 3, 4], 2: [12, 4, 4]}[len(others)]
    assert [summary.counts[split]["a"] for split in ("train", "val", "test")] == expected


def test_train_may_be_the_name_of_a_class(tmp_path: Path) -> None:
    for name in ("train", "car", "bus"):
        fill(tmp_path / "set" / name, 9)
    assert look(tmp_path / "set").classes == ("bus", "car", "train")


def test_a_path_without_class_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert f"{tmp_path / 'set'} must hold a folder for each class, but holds none" in one_problem(
        tmp_path / "set"
    )
    fill(tmp_path / "set", 4)
    assert "holds 4 images directly" in one_problem(tmp_path / "set")


def test_split_folders_without_class_folders_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "train", 4)
    fill(tmp_path / "set" / "test", 5)
    lines = problems(tmp_path / "set")
    assert [
        str(tmp_path / "set" / part) in line
        for part, line in zip(("train", "test"), lines, strict=True)
    ] == [True, True]


def test_val_and_test_without_train_are_refused(tmp_path: Path) -> None:
    for name in "ab":
        fill(tmp_path / "set" / "val" / name, 4)
        fill(tmp_path / "set" / "test" / name, 4)
    assert f"{tmp_path / 'set'} must hold train" in one_problem(tmp_path / "set")


def test_an_unknown_folder_of_images_beside_train_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        fill(tmp_path / "set" / "train" / name, 9)
        fill(tmp_path / "set" / "more" / name, 9)
    line = one_problem(tmp_path / "set")
    assert "two readings, since there is 'more' beside train" in line
    assert "--layout classes" in line


def test_an_empty_class_folder_is_refused(tmp_path: Path) -> None:
    for name, count in (("a", 9), ("b", 9), ("c", 0)):
        fill(tmp_path / "set" / name, count)
    line = one_problem(tmp_path / "set")
    assert str(tmp_path / "set") in line
    assert "'c' has 0" in line


def test_one_class_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "a", 9)
    assert f"at least 2 classes, but {tmp_path / 'set'} has only 'a'" in one_problem(
        tmp_path / "set"
    )


def test_classes_that_only_one_split_has_are_refused_both_ways(tmp_path: Path) -> None:
    for part, names in (("train", "abc"), ("val", "abd")):
        for name in names:
            fill(tmp_path / "set" / part / name, 9)
    first, second = problems(tmp_path / "set")
    assert "set/train" in first
    assert "'d' has 0" in first
    assert "set/val, but 'c' has 0" in second


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "a", 9)
    fill(tmp_path / "set" / "b", 4)
    (tmp_path / "set" / "a" / "000.png").write_bytes(b"")
    (tmp_path / "set" / "a" / "001.png").write_text("text")
    lines = problems(tmp_path / "set")
    assert len(lines) == 3
    assert all(
        any(words in line for line in lines) for words in ("a/000.png", "a/001.png", "'b' has 4")
    )


def test_of_many_broken_files_each_cause_is_told_once(tmp_path: Path) -> None:
    for name in "ab":
        fill(tmp_path / "set" / name, 9)
    for number in range(27):
        (tmp_path / "set" / "a" / f"x{number}.jpg").touch()
        (tmp_path / "set" / "b" / f"x{number}.jpg").write_text("<html>")
    empty, page = problems(tmp_path / "set")
    assert "a/x0.jpg must be an image, but it is empty" in empty
    assert "HTML" in page
    assert all(line.endswith("The same holds for 26 more files.") for line in (empty, page))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        fill(tmp_path / "set" / name, 9)
    (tmp_path / "set" / "a").chmod(0)
    try:
        assert "must be readable" in one_problem(tmp_path / "set")
    finally:
        (tmp_path / "set" / "a").chmod(0o700)


@pytest.mark.parametrize("data", ["digit", "", "no/such/path", "x" * 5000])
def test_an_unknown_name_lists_the_known_ones(tmp_path: Path, data: str) -> None:
    with pytest.raises(DataError) as refused:
        inspect(data, caps=ALL, seed=0, cache=tmp_path)
    (line,) = refused.value.problems
    assert data in line
    assert len(data) > 255 or "Known: digits, digits-source, cifar10." in line


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b")
    assert "table.csv" in one_problem(tmp_path / "table.csv")


def breeds(root: Path, text: str, files: int = 18, table: str = "labels.csv") -> Path:
    fill(root / "train", files, ".jpg")
    (root / table).write_text(text, encoding="utf-8")
    return root


def lines_of(count: int) -> str:
    return "".join(f"{number:03},{'cat' if number % 2 else 'dog'}\n" for number in range(count))


@pytest.mark.parametrize("table", ["labels.csv", "trainLabels.csv"])
def test_a_kaggle_folder_is_flat_and_files_without_a_label_are_a_note(
    tmp_path: Path, table: str
) -> None:
    root = breeds(tmp_path / "dogs", "\ufeffid,breed\n" + lines_of(18), 21, table)
    fill(root / "test", 3)
    summary = look(root)
    assert summary.name == "dogs"
    assert summary.classes == ("cat", "dog")
    assert summary.counts["train"] == {"cat": 3, "dog": 3}
    assert any(
        "3 files without a label are left out" in note or "6 files" in note
        for note in summary.notes
    )


def test_a_kaggle_table_may_write_extensions_and_repeat_a_line(tmp_path: Path) -> None:
    text = (
        "file,label,more\n"
        + lines_of(18).replace(",", ".jpg,").replace("\n", ",1\n")
        + "003.jpg,cat,1\n\n"
    )
    assert look(breeds(tmp_path / "dogs", text)).counts["val"] == {"cat": 3, "dog": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "id,breed\n" + lines_of(23),
            ["5 have none, such as '018', '019', '020'", "files are named like 'train/000.jpg'"],
        ),
        (
            "id,breed\n" + lines_of(18) + "003,dog\n",
            ["'003.jpg' has 'cat' and 'dog' (lines 5 and 20)", "labels.csv"],
        ),
        ("id,breed\n" + lines_of(18) + "003\n", ["line 20 is ['003']", "labels.csv"]),
        ("id,breed\n", ["has none", "labels.csv"]),
        ("", ["has none", "labels.csv"]),
    ],
)
def test_a_wrong_kaggle_table_is_refused(tmp_path: Path, text: str, said: list[str]) -> None:
    lines = problems(breeds(tmp_path / "dogs", text))
    assert [words for words in said if words not in lines[0]] == [], lines


def test_a_kaggle_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    breeds(tmp_path / "dogs", "")
    (tmp_path / "dogs" / "labels.csv").write_bytes("id,breed\n1,Köter\n".encode("latin-1"))
    assert "UTF-8" in one_problem(tmp_path / "dogs")


def test_two_files_for_a_kaggle_id_are_refused(tmp_path: Path) -> None:
    root = breeds(tmp_path / "dogs", "id,breed\n" + lines_of(18))
    Image.new("RGB", (6, 6)).save(root / "train" / "004.png")
    assert "'004' has 2" in one_problem(root)


def test_one_image_under_two_kaggle_ids_is_refused(tmp_path: Path) -> None:
    """It could be in train and in test, or have two labels."""
    fill(tmp_path / "k" / "train", 20)
    rows = [f"{number:03},{number % 2}\n" for number in range(20)]
    (tmp_path / "k" / "labels.csv").write_text("id,label\n" + "".join(rows) + "003.png,1\n")
    line = one_problem(tmp_path / "k")
    assert "An image must have one id in" in line
    assert "'003.png' has '003' and '003.png'" in line


def test_a_kaggle_id_leads_nowhere_but_into_train(tmp_path: Path) -> None:
    fill(tmp_path / "k" / "train", 20)
    fill(tmp_path, 1)
    rows = "".join(f"{number:03},{number % 2}\n" for number in range(20))
    for odd in ("../../000", f"{tmp_path}/000", "../train/000", ".", ".."):
        (tmp_path / "k" / "labels.csv").write_text(f"id,label\n{rows}{odd},1\n")
        assert odd in one_problem(
            tmp_path / "k"
        )  # named like an image inside, it is one more id of that image


def test_a_long_line_of_a_table_is_cut(tmp_path: Path) -> None:
    fill(tmp_path / "k" / "train", 20)
    rows = "".join(f"{number:03},{number % 2}\n" for number in range(20))
    (tmp_path / "k" / "labels.csv").write_text(f"id,label\n{rows}{'x,' * 100_000}\n")
    assert len(one_problem(tmp_path / "k")) < 500


@pytest.mark.timeout(20)
def test_pipes_devices_and_dead_links_are_all_named(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        fill(tmp_path / "p" / name, 9)
    os.mkfifo(tmp_path / "p" / "cat" / "pipe.png")
    (tmp_path / "p" / "dog" / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "p" / "dog" / "dead.png").symlink_to("nowhere")
    lines = problems(tmp_path / "p")
    assert [Path(line.split()[0]).name for line in lines] == ["pipe.png", "dead.png", "zero.png"]
    assert all("a dead link, a pipe or a device" in line for line in lines)
    (tmp_path / "p" / "dog" / "loop.png").symlink_to("loop.png")
    (line,) = problems(tmp_path / "p")
    assert line.endswith("The same holds for 3 more files.")


def test_links_to_images_outside_are_followed(tmp_path: Path) -> None:
    fill(tmp_path / "store", 18)
    for name, numbers in (("cat", range(9)), ("dog", range(9, 18))):
        (tmp_path / "p" / name).mkdir(parents=True)
        for number in numbers:
            (tmp_path / "p" / name / f"{number}.png").symlink_to(
                tmp_path / "store" / f"{number:03}.png"
            )
    assert sum(look(tmp_path / "p").counts["train"].values()) == 6


def test_a_class_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    for name in ("cat", os.fsdecode(b"caf\xe9")):
        fill(tmp_path / "p" / name, 9)
    assert "A class must have a name in UTF-8" in one_problem(tmp_path / "p")


def test_names_with_line_breaks_stay_on_their_line(tmp_path: Path) -> None:
    for name in ("cat", "a\nb"):
        fill(tmp_path / "p\nq" / name, 9)
    (tmp_path / "p\nq" / "cat" / "x\ny.png").touch()
    assert "p\\nq/cat/x\\ny.png must be an image" in one_problem(tmp_path / "p\nq")
    (tmp_path / "p\nq" / "cat" / "x\ny.png").unlink()
    assert look(tmp_path / "p\nq").classes == ("a\nb", "cat")
