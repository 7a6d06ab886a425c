from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.data.arrays import Arrays
from trainables.data.dataset import Caps, DataError, Dataset, inspect, prepare, read
from trainables.data.decode import Files
from trainables.data.listing import Images, Rows

CAPS = Caps(train=6, val=3, test=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "beads"
    for label, name in enumerate(("blue", "red")):
        (root / name).mkdir(parents=True)
        for number in range(15):
            Image.new("RGB", (30 + number, 24), (label * 200, number, 0)).save(
                root / name / f"{number}.png"
            )
    return root


def ready(
    data: Path | str, cache: Path, image_size: int = 16, caps: Caps = CAPS, seed: int = 0
) -> Dataset:
    return prepare(str(data), image_size=image_size, caps=caps, seed=seed, cache=cache)


def opened(data: Dataset) -> Dataset:
    return read(data.path, test=True)


def entries(cache: Path) -> list[str]:
    return (
        sorted(path.name for path in (cache / "data").iterdir())
        if (cache / "data").exists()
        else []
    )


def test_a_data_set_is_what_was_asked_for(folder: Path, tmp_path: Path) -> None:
    data = ready(folder, tmp_path / "cache")
    assert (data.name, data.source, data.classes) == ("beads", str(folder), ("blue", "red"))
    assert data.counts == {
        split: {"blue": cap, "red": cap} for split, cap in (("train", 6), ("val", 3), ("test", 3))
    }
    assert len(data.digest) == 16
    for name, count in (("train", 12), ("val", 6), ("test", 6)):
        split = opened(data).split(name)  # type: ignore[arg-type]
        assert split.images.shape == (count, 20, 20, 3)
        assert (str(split.images.dtype), str(split.labels.dtype)) == ("uint8", "int64")
        assert isinstance(split.images, np.memmap)
        assert not split.images.flags.writeable
        assert not split.labels.flags.writeable
        assert (split.images[:, 0, 0, 0] == split.labels * 200).all()


def test_an_image_is_in_one_split_only(folder: Path, tmp_path: Path) -> None:
    for seed in range(4):
        data = ready(folder, tmp_path / "cache", seed=seed, caps=Caps(train=99, val=99, test=99))
        seen = np.concatenate(
            [opened(data).split(name).images[:, 0, 0] for name in ("train", "val", "test")]
        )
        assert len(np.unique(seen, axis=0)) == len(seen) == 30


@pytest.mark.parametrize(("image_size", "side"), [(16, 20), (18, 22), (19, 24), (64, 24)])
def test_the_stored_side_has_room_for_crops_but_no_more_than_the_images(
    folder: Path, tmp_path: Path, image_size: int, side: int
) -> None:
    assert ready(folder, tmp_path / "cache", image_size).split("val").images.shape[1] == side


def test_a_second_prepare_decodes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ready(folder, tmp_path / "cache")
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("it opened an image"))
    assert ready(folder, tmp_path / "cache") == first
    assert read(first.path) == first
    assert pickle.loads(pickle.dumps(first)) == first


def test_the_same_content_has_the_same_digest_and_any_change_another(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    digest = ready(folder, tmp_path / "cache").digest
    assert ready(tmp_path / "copy", tmp_path / "elsewhere").digest == digest
    others = [
        ready(folder, tmp_path / "cache", image_size=12),
        ready(folder, tmp_path / "cache", seed=1),
    ]
    (folder / "red").rename(folder / "ruby")
    others.append(ready(folder, tmp_path / "cache"))
    assert len({digest, *(data.digest for data in others)}) == 4


def test_a_changed_file_makes_a_new_entry(folder: Path, tmp_path: Path) -> None:
    everything = Caps(train=99, val=99, test=99)
    before = ready(folder, tmp_path / "cache", caps=everything)
    Image.new("RGB", (30, 24), (0, 0, 99)).save(folder / "blue" / "3.png")
    after = ready(folder, tmp_path / "cache", caps=everything)
    assert before.path != after.path
    assert before.digest != after.digest


@pytest.mark.parametrize("damage", ["missing", "short", "no meta", "half a meta", "empty"])
def test_a_damaged_entry_is_made_again(folder: Path, tmp_path: Path, damage: str) -> None:
    data = ready(folder, tmp_path / "cache")
    images, meta = data.path / "train_images.npy", data.path / "meta.json"
    if damage == "missing":
        images.unlink()
    elif damage == "short":
        images.write_bytes(images.read_bytes()[:-1])
    elif damage == "no meta":
        meta.unlink()
    elif damage == "half a meta":
        meta.write_text(meta.read_text()[:40])
    else:
        shutil.rmtree(data.path)
        data.path.mkdir()
    with pytest.raises(DataError, match="must hold decoded data"):
        read(data.path)
    assert ready(folder, tmp_path / "cache") == data
    assert data.split("train").images.shape == (12, 20, 20, 3)
    assert entries(tmp_path / "cache") == [data.path.name]


def test_the_rest_of_a_killed_writer_is_dropped(folder: Path, tmp_path: Path) -> None:
    data = ready(folder, tmp_path / "cache")
    data.path.rename(data.path.with_name(f".{data.path.name}.tmp"))
    assert ready(folder, tmp_path / "cache") == data
    assert entries(tmp_path / "cache") == [data.path.name]


def test_an_interrupted_writer_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Files, "squares", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ready(folder, tmp_path / "cache")
    assert entries(tmp_path / "cache") == []


def test_damaged_images_are_all_named_and_nothing_is_left(folder: Path, tmp_path: Path) -> None:
    for name in ("blue/3.png", "blue/4.png", "red/0.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:60])  # the header is whole
    inspect(str(folder), caps=CAPS, seed=0, cache=tmp_path / "cache")
    with pytest.raises(DataError) as refused:
        ready(folder, tmp_path / "cache", caps=Caps(train=99, val=99, test=99))
    assert len(refused.value.problems) == 3
    assert all(
        any(name in line for line in refused.value.problems)
        for name in ("blue/3.png", "blue/4.png", "red/0.png")
    )
    assert entries(tmp_path / "cache") == []
    assert pickle.loads(pickle.dumps(refused.value)).problems == refused.value.problems


def test_a_cache_that_cannot_be_written_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match="must be writable") as refused:
        ready(folder, tmp_path / "file" / "cache")
    assert len(refused.value.problems) == 1

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        ready(folder, tmp_path / "cache")
    assert entries(tmp_path / "cache") == []


def test_threads_that_ask_at_once_decode_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    squares = Files.squares

    def counted(self: Files, rows: Rows, side: int) -> tuple[Images, list[str]]:
        calls.append(side)
        return squares(self, rows, side)

    monkeypatch.setattr(Files, "squares", counted)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: ready(folder, tmp_path / "cache"), range(4)))
    assert found == [found[0]] * 4
    assert len(calls) == 1  # of all splits together


def test_processes_that_ask_at_once_get_one_entry(folder: Path, tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        first, second = pool.map(ready, [folder] * 2, [tmp_path / "cache"] * 2)
    assert first == second
    assert entries(tmp_path / "cache") == [first.path.name]


@pytest.mark.parametrize(("name", "classes"), [("digits", "56789"), ("digits-source", "01234")])
def test_the_bundled_digits_are_stored_as_small_as_they_are(
    tmp_path: Path, name: str, classes: str
) -> None:
    caps = Caps(train=20, val=30, test=30)
    data = ready(name, tmp_path / "cache", image_size=32, caps=caps)
    assert (data.name, data.classes) == (name, tuple(classes))
    images = data.split("train").images
    assert images.shape == (100, 8, 8, 3)
    assert (images.min(), images.max()) == (0, 255)
    assert (images[..., 0] == images[..., 1]).all()
    assert inspect(name, caps=caps, seed=0, cache=tmp_path).counts == data.counts


def test_a_relative_cache_is_found_from_anywhere(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ready("beads", Path("cache"))
    monkeypatch.chdir("/")
    assert data.path.is_absolute()
    assert read(data.path).split("val").images.shape == (6, 20, 20, 3)


def test_meta_tells_what_is_there(folder: Path, tmp_path: Path) -> None:
    data = ready(folder, tmp_path / "cache")
    meta = json.loads((data.path / "meta.json").read_text())
    assert meta["digest"] == data.digest
    assert sorted(meta["files"]) == sorted(
        path.name for path in data.path.iterdir() if path.name != "meta.json"
    )


def test_arrays_of_the_right_size_are_copied_and_others_cut_and_resized() -> None:
    square = np.arange(4 * 6 * 6 * 3, dtype=np.uint8).reshape(4, 6, 6, 3)
    wide = np.repeat(square[:2, :, :3], 4, axis=2)  # [2, 6, 12, 3]
    arrays = Arrays([square, wide], ["x_train", "x_test"])
    assert arrays.names(np.array([5, 0, 3])) == ["x_test[1]", "x_train[0]", "x_train[3]"]
    assert arrays.sizes.tolist() == [*[[6, 6]] * 4, *[[6, 12]] * 2]
    images, problems = arrays.squares(np.array([5, 0, 3]), 6)
    assert problems == []
    assert (images[0] == wide[1][:, 3:9]).all()
    assert (images[1] == square[0]).all()
    assert (images[2] == square[3]).all()
    assert arrays.squares(np.array([4, 1]), 3)[0].shape == (2, 3, 3, 3)
