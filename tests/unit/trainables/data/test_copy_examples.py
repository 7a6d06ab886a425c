"""What a cache entry says of its images beside their pixels: copies, sizes, brightness."""

from __future__ import annotations

import base64
import json
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data_zoo.pictures import picture, save
from trainables.data.copy_examples import GROUPS, IMAGES, CopyExamples, read_examples
from trainables.data.dataset import Caps, Dataset, prepare
from trainables.data.looks import brightness_of, read_looks
from trainables.data.reading import ReadOptions
from trainables.data.splits import EVERY
from trainables.data.thumbnails import SIDE, data_uri

ALL = Caps(train=EVERY, val=EVERY, test=EVERY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`train` and `test` of two classes, 12 and 4 pictures each."""
    for part, number in (("train", 12), ("test", 4)):
        for name in ("cat", "dog"):
            for at in range(number):
                save(
                    tmp_path / "pets" / part / name / f"{at:02d}.png", picture(f"{part} {name}", at)
                )
    return tmp_path / "pets"


def ready(folder: Path, **how: bool) -> Dataset:
    cache = folder.parent / "cache"
    return prepare(
        str(folder), image_size=32, caps=ALL, seed=0, cache=cache, how=ReadOptions(**how)
    )


def copy(folder: Path, origin: str, to: str) -> None:
    shutil.copy(folder / origin, folder / to)


def test_without_copies_there_are_no_examples(folder: Path) -> None:
    assert read_examples(ready(folder).path) == CopyExamples(groups=0, images=0, examples=())


def test_leaks_come_first_then_contradictions_then_the_largest(folder: Path) -> None:
    for at in range(6):
        copy(folder, "train/dog/00.png", f"train/dog/again{at}.png")
    copy(folder, "train/cat/01.png", "train/dog/cat.png")
    copy(folder, "train/cat/02.png", "test/cat/leak.png")
    found = read_examples(ready(folder).path)
    assert (found.groups, found.images) == (3, 2 + 2 + 7)
    leak, torn, large = found.examples
    assert {(image.name, image.given, image.used) for image in leak.images} == {
        ("train/cat/02.png", "train", ""),
        ("test/cat/leak.png", "test", "test"),
    }
    assert {image.class_name for image in torn.images} == {"cat", "dog"}
    assert (large.number, len(large.images), large.equal) == (7, IMAGES, True)


def test_kept_copies_are_said_to_be_in_their_split(folder: Path) -> None:
    copy(folder, "train/cat/02.png", "test/cat/leak.png")
    (leak,) = read_examples(ready(folder, keep_copies=True).path).examples
    assert {image.given for image in leak.images} == {"train", "test"}
    assert all(image.used for image in leak.images)


def test_an_edited_copy_is_not_called_equal(folder: Path) -> None:
    with Image.open(folder / "train/cat/03.png") as image:
        image.resize((24, 24)).save(folder / "train/cat/small.png")
    (example,) = read_examples(ready(folder).path).examples
    assert not example.equal
    assert {image.name for image in example.images} == {"train/cat/03.png", "train/cat/small.png"}


def test_of_many_groups_some_are_shown_and_all_are_counted(folder: Path) -> None:
    for at in range(10):
        copy(folder, f"train/cat/{at:02d}.png", f"train/cat/again{at}.png")
    found = read_examples(ready(folder).path)
    assert (found.groups, found.images, len(found.examples)) == (10, 20, GROUPS)
    assert CopyExamples.from_json(json.loads(found.as_json())) == found


def test_sizes_are_those_of_the_files_and_in_the_order_of_the_names(folder: Path) -> None:
    Image.fromarray(picture("wide", 0, 64)).resize((90, 40)).save(folder / "test/cat/00.png")
    data = ready(folder)
    looks = read_looks(data.path, "test")
    by_name = dict(zip(data.names("test"), looks.sizes.tolist(), strict=True))
    assert by_name.pop("test/cat/00.png") == [40, 90]
    assert set(map(tuple, by_name.values())) == {(32, 32)}


def test_brightness_is_the_darkest_the_mean_and_the_brightest_value_of_each_image() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 7, 7, 3), np.uint8)
    images[0] = 255
    flat = images.reshape(5, -1).astype(float)
    expected = np.stack([flat.min(1), flat.mean(1), flat.max(1)], axis=1)
    assert np.allclose(brightness_of(images), expected)


@pytest.mark.parametrize("shape", [(8, 8, 3), (300, 200, 3), (1, 1, 3)])
def test_a_data_uri_is_a_picture_that_is_small_enough_for_a_page(
    shape: tuple[int, int, int],
) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    head, _, text = data_uri(image).partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    with Image.open(BytesIO(base64.b64decode(text))) as small:
        assert max(small.size) == min(SIDE, max(shape[:2]))
    assert len(text) < 8_000
