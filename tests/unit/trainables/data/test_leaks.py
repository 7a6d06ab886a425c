"""Copies of images: where they are is said, and no split holds one of another's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.data import leaks
from trainables.data.dataset import Caps, DataError, Dataset, ReadOptions, prepare, read
from trainables.data.listing import Listing

ALL = Caps(train=10**6, val=10**6, test=10**6)


def picture(number: int) -> Image.Image:
    """A smooth picture that no other number has."""
    coarse = np.random.default_rng(number).integers(0, 256, (5, 5, 3), np.uint8)
    return Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC)


def fill(folder: Path, numbers: range, **options: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        picture(number).save(folder / f"{number}.png", **options)


def ready(root: Path, **how: Any) -> Dataset:
    data = prepare(
        str(root),
        image_size=32,
        caps=ALL,
        seed=0,
        cache=root.parent / "cache",
        how=ReadOptions(**how),
    )
    return read(data.path, test=True)


def pixels(data: Dataset) -> list[set[bytes]]:
    return [
        {image.tobytes() for image in data.split(split).images}
        for split in ("train", "val", "test")
    ]


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """Train and test of two classes, with three test images in train.

    One of them is re-encoded and one is in the other class.
    """
    root = tmp_path / "set"
    for start, name in ((0, "cat"), (100, "dog")):
        fill(root / "train" / name, range(start, start + 20))
        fill(root / "test" / name, range(start + 50, start + 56))
    picture(50).save(root / "train" / "cat" / "same.png")
    picture(51).resize((40, 40)).save(root / "train" / "cat" / "near.jpg", quality=80)
    picture(150).save(root / "train" / "cat" / "other.png")
    return root


def test_copies_of_test_images_are_left_out_of_train_and_named(given: Path) -> None:
    data = ready(given)
    train, val, test = pixels(data)
    assert not train & val and not (train | val) & test  # noqa: PT018
    assert sum(map(sum, (data.counts[split].values() for split in ("train", "val")))) == 40
    copied, torn = data.cautions
    assert copied.startswith(
        "train images that are copies of test images: 3 (2 identical, 1 nearly), such as train/cat/"
    )
    assert copied.endswith("; left out of train")
    assert (
        "pictures under two classes: 1 (2 images), such as train/cat/other.png and test/dog/150.png"
        in torn
    )


def test_copies_stay_where_that_is_asked_for_and_are_named_all_the_same(given: Path) -> None:
    data = ready(given, keep_copies=True)
    assert sum(map(sum, (data.counts[split].values() for split in ("train", "val")))) == 43
    assert data.cautions[0].endswith(
        "; kept because of --keep-copies, so scores may be too optimistic"
    )


def test_a_flat_set_keeps_copies_on_one_side(tmp_path: Path) -> None:
    for start, name in ((0, "cat"), (100, "dog")):
        fill(tmp_path / "set" / name, range(start, start + 15))
        for number in range(start, start + 15):
            picture(number).save(tmp_path / "set" / name / f"again-{number}.png")
            picture(number).save(tmp_path / "set" / name / f"near-{number}.jpg", quality=70)
    data = ready(tmp_path / "set")
    train, val, test = pixels(data)
    assert not train & val and not (train | val) & test  # noqa: PT018
    origin = [
        {name.split("/")[1].split("-")[-1].split(".")[0] for name in data.names(split)}
        for split in ("train", "val", "test")
    ]
    assert not origin[0] & origin[1] and not (origin[0] | origin[1]) & origin[2]  # noqa: PT018
    assert sum(map(sum, (by_class.values() for by_class in data.counts.values()))) == 90
    (line,) = data.cautions
    assert line.startswith("images that are copies of another: 60 (30 identical, 30 nearly)")


def test_with_caps_images_come_in_for_those_that_went(given: Path) -> None:
    caps = Caps(train=12, val=4, test=6)
    data = prepare(str(given), image_size=32, caps=caps, seed=0, cache=given.parent / "cache")
    assert data.counts["train"] == {"cat": 12, "dog": 12}
    train, val, test = pixels(read(data.path, test=True))
    assert not train & val and not (train | val) & test  # noqa: PT018


def test_a_test_split_that_is_train_again_is_refused(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for start, name in ((0, "cat"), (100, "dog")):
            fill(
                tmp_path / "set" / part / name,
                range(start, start + 12),
                compress_level=1 + (part == "test"),
            )
    with pytest.raises(
        DataError, match=r"set/test must hold other images than .*set/train, but all 24 are copies"
    ):
        ready(tmp_path / "set")
    assert ready(tmp_path / "set", keep_copies=True).counts["test"] == {"cat": 12, "dog": 12}


def test_a_class_that_is_anothers_copy_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "cat", range(20))
    fill(tmp_path / "set" / "dog", range(100, 120))
    (tmp_path / "set" / "felines").symlink_to("cat")
    assert any(
        "class 'felines' is a copy of 'cat': 20 of its 20 images" in line
        for line in ready(tmp_path / "set").cautions
    )


def test_mirror_images_of_two_classes_are_no_copies(tmp_path: Path) -> None:
    for name, turn in (("left", False), ("right", True)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(12):
            image = (
                picture(number).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
                if turn
                else picture(number)
            )
            image.save(tmp_path / "set" / name / f"{number}.png")
    assert ready(tmp_path / "set").cautions == ()


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_split_that_is_a_part_of_train_is_used_and_taken_out_of_train(
    tmp_path: Path, part: str
) -> None:
    for start, name in ((0, "cat"), (100, "dog")):
        fill(tmp_path / "set" / "train" / name, range(start, start + 20))
        fill(tmp_path / "set" / part / name, range(start, start + 5), compress_level=1)
    data = ready(tmp_path / "set")
    train, val, test = pixels(data)
    assert not train & val and not (train | val) & test  # noqa: PT018
    assert sum(map(sum, (by_class.values() for by_class in data.counts.values()))) == 40
    assert data.cautions[0].startswith(
        f"train images that are copies of {part} images: 10 (identical)"
    )


def test_a_val_split_that_is_test_again_is_refused(tmp_path: Path) -> None:
    for start, name in ((0, "cat"), (100, "dog")):
        fill(tmp_path / "set" / "train" / name, range(start + 50, start + 60))
        for part in ("val", "test"):
            fill(
                tmp_path / "set" / part / name,
                range(start, start + 5),
                compress_level=1 + (part == "test"),
            )
    with pytest.raises(
        DataError,
        match=r"set/test must hold other images than .*set/val, but all 10 are copies of val",
    ):
        ready(tmp_path / "set")


def test_copies_that_are_kept_in_a_flat_set_are_said_to_be_parted(tmp_path: Path) -> None:
    for start, name in ((0, "cat"), (100, "dog")):
        fill(tmp_path / "set" / name, range(start, start + 10))
        fill(tmp_path / "set" / name / "again", range(start, start + 10))
    (line,) = ready(tmp_path / "set", keep_copies=True).cautions
    assert line.endswith(
        "; some are in different splits because of --keep-copies, so scores may be too optimistic"
    )


def test_a_set_that_is_refused_for_its_copies_names_some(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "cat", range(15))
    for number in range(15):
        fill(tmp_path / "set" / "dog" / str(number), range(100, 101))
    with pytest.raises(DataError) as refused:
        ready(tmp_path / "set")
    rule, *evidence = refused.value.problems
    assert "once copies are kept on one side 'dog' has 0" in rule
    assert any("14" in line and "dog/1" in line for line in evidence), evidence


def test_a_class_that_is_a_copy_is_seen_where_only_some_of_its_images_are_decoded() -> None:
    labels = np.repeat([0, 1], 20)
    listing = Listing(classes=("ant", "bee"), labels={"train": labels}, places={"train": "x"})
    rows = np.array([*range(10), *range(20, 30)])
    of_copy = np.tile(np.arange(10), 2)
    found = leaks.Found(rows=rows, near=of_copy, exact=of_copy)
    lines = leaks.cautions(found, listing, lambda some: [str(row) for row in some], kept=False)
    assert "class 'bee' is a copy of 'ant': 10 of its 10 images are in both" in lines


def test_many_classes_that_are_one_are_few_lines(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "0", range(10))
    fill(tmp_path / "set" / "other", range(100, 110))
    for number in range(1, 20):
        (tmp_path / "set" / str(number)).symlink_to("0")
    copied = [
        line for line in ready(tmp_path / "set").cautions if "copies" in line or "a copy of" in line
    ]
    assert "and 185 more pairs of classes are copies." in copied
    assert len(copied) == 7
