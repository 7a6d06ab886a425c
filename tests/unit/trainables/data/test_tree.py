"""A folder is read once: links are followed, loops end, and what is passed over is counted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trainables.data.split_names import in_each_name, splits_of
from trainables.data.tree import Folder, walk


@contextmanager
def as_nobody() -> Iterator[None]:
    """Lay root's rights down, which no permission binds."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def all_below(folder: Folder) -> Iterator[Folder]:
    for child in folder.folders:
        yield child
        yield from all_below(child)


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_litter_is_counted_by_its_folder_with_an_example(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a/1.jpg",
        "a/@eaDir/1.jpg/THUMB.jpg",
        "a/@eaDir/2.jpg/THUMB.jpg",
        "#recycle/x.jpg",
        "a/Thumbs.db",
        "a/.x",
    )
    tree, passed = walk(tmp_path)
    assert [path.name for path in tree.all_images()] == ["1.jpg"]
    assert passed.lines() == {
        "in #recycle/": "1, such as #recycle/x.jpg",
        "hidden": "1, such as a/.x",
        "in @eaDir/": "2, such as a/@eaDir/1.jpg/THUMB.jpg",
        "named Thumbs.db": "1, such as a/Thumbs.db",
    }


def test_a_class_may_be_called_recycle_or_thumbs(tmp_path: Path) -> None:
    touch(tmp_path, "recycle/1.jpg", "thumbs/2.jpg", "up/3.jpg")
    assert [folder.name for folder in walk(tmp_path)[0].with_images] == ["recycle", "thumbs", "up"]


def test_thumbnails_and_masks_belong_to_the_images_beside_them(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a/1.jpg",
        "a/2.jpg",
        "a/thumbs/1.png",
        "a/1_mask.png",
        "a/2_mask_1.png",
        "a/mask.png",
        "a/the_mask.png",
    )
    tree, passed = walk(tmp_path)
    assert [path.name for path in tree.all_images()] == [
        "1.jpg",
        "2.jpg",
        "mask.png",
        "the_mask.png",
    ]
    assert sum(passed.counts.values()) == 3


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "c").symlink_to("b")
    (tmp_path / "a" / "twice").symlink_to("../b")
    (tmp_path / "a" / "more").symlink_to("../b")
    tree, passed = walk(tmp_path)
    by_name = {folder.name: [path.name for path in folder.all_images()] for folder in tree.folders}
    assert by_name == {"a": ["1.jpg", "2.jpg"], "b": ["2.jpg"], "c": ["2.jpg"]}
    assert passed.counts["links back to a folder above"] == 1


def test_folders_that_link_to_each_other_are_read_a_few_times(tmp_path: Path) -> None:
    names = "abcdefg"
    touch(tmp_path, *(f"{name}/{name}.jpg" for name in names))
    for one in names:
        for other in names:
            (tmp_path / one / f"to_{other}").symlink_to(f"../{other}")
    tree, passed = walk(tmp_path)
    assert all({path.stem for path in folder.all_images()} == set(names) for folder in tree.folders)
    assert len(list(all_below(tree))) <= len(names) ** 3
    assert passed.counts["links to a folder that was read already"] > 0


def test_each_class_that_is_a_link_to_one_folder_is_read_whole(tmp_path: Path) -> None:
    touch(tmp_path, "store/deep/1.jpg", "set/cat/2.jpg")
    for name in ("ant", "bee"):
        (tmp_path / "set" / name).symlink_to("../store")
    tree, passed = walk(tmp_path)
    by_name = {
        folder.name: [path.name for path in folder.all_images()]
        for folder in tree.folders[0].folders
    }
    assert by_name == {"ant": ["1.jpg"], "bee": ["1.jpg"], "cat": ["2.jpg"]}
    assert not passed.counts


@pytest.mark.skipif(os.name != "posix", reason="needs permissions of files")
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_folder_that_may_not_be_entered_is_closed_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    touch(tmp_path, "a/1.jpg", "b/inner/2.jpg", "b/Thumbs.db", "c/3.jpg")
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the folders above it are root's alone
    (tmp_path / "b").chmod(mode)
    closed: list[OSError] = []
    with as_nobody():
        tree, _ = walk(Path(), closed)
        assert [path.name for path in tree.all_images()] == ["1.jpg", "3.jpg"]
    (tmp_path / "b").chmod(0o755)
    assert [(error.filename, type(error)) for error in closed] == [("b", PermissionError)]


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        ("Training Testing", {"Training": "train", "Testing": "test"}),
        ("training_set test_set", {"training_set": "train", "test_set": "test"}),
        ("seg_train seg_test seg_pred", {"seg_train": "train", "seg_test": "test"}),
        ("TRAIN Valid dev", {"TRAIN": "train", "Valid": "val", "dev": "val"}),
        ("01_train 02_test", {"01_train": "train", "02_test": "test"}),
        ("train2017 val2017", {"train2017": "train", "val2017": "val"}),
        ("train_station test_tube", {}),
        ("train plane car", {"train": "train"}),
        ("trains tests valley", {}),
    ],
)
def test_the_split_that_a_name_means(names: str, meant: dict[str, str]) -> None:
    assert splits_of(names.split()) == meant


def test_classes_that_tell_of_splits_in_their_names() -> None:
    assert in_each_name(["cat_train", "cat_test", "dog_train", "dog_test"])
    assert not in_each_name(["train", "test", "val", "dev"])
    assert not in_each_name(["cat", "dog", "train", "test"])
