"""What a folder means: nothing is lost silently, and what would be misused is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.data.dataset import Caps, DataError, ReadOptions, inspect, prepare
from trainables.data.understood import said_of_data

ALL = Caps(train=10**6, val=10**6, test=10**6)


def fill(root: Path, count: int, *folders: str) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            seed = sum(map(ord, folder)) * 1000 + number
            coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
            Image.fromarray(coarse).resize((24, 24), Image.Resampling.BICUBIC).save(
                root / folder / f"{number:03}.png"
            )


def look(root: Path, **how: Any) -> Any:
    return inspect(str(root), caps=ALL, seed=0, cache=root.parent / "cache", how=ReadOptions(**how))


def ready(root: Path, **how: Any) -> Any:
    return prepare(
        str(root),
        image_size=16,
        caps=ALL,
        seed=0,
        cache=root.parent / "cache",
        how=ReadOptions(**how),
    )


def problem(root: Path, **how: Any) -> str:
    with pytest.raises(DataError) as refused:
        look(root, **how)
    return "\n".join(refused.value.problems)


def test_a_label_that_is_corrected_in_the_table_is_decoded_anew(tmp_path: Path) -> None:
    fill(tmp_path / "set", 24, "train")
    for first_of_b in (12, 14):
        rows = [f"{number:03},{'a' if number < first_of_b else 'b'}" for number in range(24)]
        (tmp_path / "set" / "labels.csv").write_text("\n".join(["id,label", *rows]))
        assert (
            sum(by_class["a"] for by_class in ready(tmp_path / "set").counts.values()) == first_of_b
        )


def test_two_layouts_of_one_folder_have_entries_of_their_own(tmp_path: Path) -> None:
    fill(tmp_path / "set", 10, "a", "a/b", "b")
    counts = {
        layout: ready(tmp_path / "set", layout=layout).counts["train"]
        for layout in ("classes", "leaves")
    }
    assert counts["classes"]["a"] > counts["leaves"]["a"]
    assert counts["classes"]["b"] < counts["leaves"]["b"]


def test_two_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    fill(
        tmp_path / "first",
        9,
        "cat/train",
        "cat/training",
        "cat/test",
        "dog/train",
        "dog/training",
        "dog/test",
    )
    assert "must hold one folder for train, but has 'train' and 'training'" in problem(
        tmp_path / "first"
    )
    fill(tmp_path / "second", 9, "cat", "dog", "test1/cat", "test1/dog", "test2/cat", "test2/dog")
    assert "must hold one folder for test, but has 'test1' and 'test2'" in problem(
        tmp_path / "second"
    )


def test_class_first_counts_what_it_leaves_out(tmp_path: Path) -> None:
    fill(tmp_path / "set", 9, "cat/train", "cat/test", "dog/train", "dog/test", "dog/more")
    fill(tmp_path / "set", 2, "cat")
    passed = look(tmp_path / "set", layout="class-first").passed_over
    assert passed["in more/, which is not a split"].startswith("9, such as dog/more/")
    assert passed["images beside split folders"].startswith("2, such as cat/")


@pytest.mark.parametrize("flat", ["test", "validation_images"])
def test_a_flat_split_beside_classes_is_no_class(tmp_path: Path, flat: str) -> None:
    fill(tmp_path / "set", 10, "cat", "dog", flat)
    assert f"two readings, since there is {flat} without class folders beside cat" in problem(
        tmp_path / "set"
    )
    assert flat in look(tmp_path / "set", layout="classes").classes


def test_a_flat_test_folder_beside_classes_and_their_val_is_for_predict(tmp_path: Path) -> None:
    fill(tmp_path / "set", 10, "cat", "dog", "val/cat", "val/dog", "test")
    summary = look(tmp_path / "set")
    assert summary.classes == ("cat", "dog")
    assert any(
        "set/test has no class folders" in note and "dvt predict" in note for note in summary.notes
    )


@pytest.mark.parametrize("empty", ["labels", "extra", "logs"])
def test_an_empty_folder_beside_splits_is_nothing(tmp_path: Path, empty: str) -> None:
    fill(tmp_path / "set", 10, "train/cat", "train/dog", "test/cat", "test/dog")
    (tmp_path / "set" / empty).mkdir()
    summary = look(tmp_path / "set")
    assert (summary.classes, tuple(summary.notes)) == (("cat", "dog"), ())
    assert not summary.passed_over


@pytest.mark.parametrize(
    "flag", [{"group": "a"}, {"layout": "table"}, {"columns": ("image", "label")}]
)
def test_what_is_no_folder_is_not_read_in_other_ways(tmp_path: Path, flag: dict[str, Any]) -> None:
    np.savez(
        tmp_path / "a.npz", x_train=np.zeros((20, 4, 4, 3), np.uint8), y_train=np.arange(20) % 2
    )
    for data in (tmp_path / "a.npz", Path("digits")):
        assert (
            f"--{next(iter(flag))} must go with a folder of images, but {data} is not one"
            in problem(data, **flag)
        )


def test_what_a_table_uses_is_not_passed_over(tmp_path: Path) -> None:
    fill(tmp_path / "set", 12, "part_1", "part_2")
    fill(tmp_path / "set", 3, ".")
    files = [
        path.relative_to(tmp_path / "set").as_posix()
        for path in sorted((tmp_path / "set").rglob("*.png"))
    ]
    rows = [f"{file},{'ab'[number % 2]}" for number, file in enumerate(files)]
    (tmp_path / "set" / "metadata.csv").write_text("\n".join(["file,label", *rows]))
    summary = look(tmp_path / "set")
    assert sum(sum(by_class.values()) for by_class in summary.counts.values()) == 27
    assert summary.passed_over == {}


def test_all_that_is_said_is_one_line_each(tmp_path: Path) -> None:
    fill(tmp_path / "set", 12, "train/cat", "train/dog", "test/cat", "test/dog")
    picture = (tmp_path / "set/test/cat/000.png").read_bytes()
    (tmp_path / "set/train/cat/n\nl.png").write_bytes(picture)
    said = said_of_data(ready(tmp_path / "set"))
    assert any(r"train/cat/n\nl.png" in line for line in said)
    assert all(line.isprintable() for line in said)
