"""A test split is known by its images, labels and classes, whatever the other splits hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.data import test_identity
from trainables.data.dataset import Caps, Dataset, TestSplitShutError, prepare, read
from trainables.data.test_identity import digest_of_test

CAPS = Caps(train=99, val=99, test=99)


@pytest.fixture
def arrays() -> dict[str, Any]:
    """Three splits of 8 to 12 images of two classes, each with other images."""
    rng = np.random.default_rng(0)
    splits = {}
    for split, images in (("train", 12), ("val", 8), ("test", 8)):
        splits[f"x_{split}"] = rng.integers(0, 256, (images, 20, 20, 3), np.uint8)
        splits[f"y_{split}"] = np.arange(images) % 2
    return splits


def prepared(folder: Path, arrays: dict[str, Any], name: str = "set") -> Dataset:
    np.savez(folder / f"{name}.npz", **arrays)
    made = prepare(
        str(folder / f"{name}.npz"), image_size=16, caps=CAPS, seed=0, cache=folder / "cache"
    )
    return read(made.path, test=True)


def test_other_images_of_train_and_val_change_nothing(
    tmp_path: Path, arrays: dict[str, Any]
) -> None:
    one = prepared(tmp_path, arrays)
    fewer = arrays | {
        "x_train": arrays["x_train"][:6],
        "y_train": arrays["y_train"][:6],
        "x_val": 255 - arrays["x_val"],
    }
    other = prepared(tmp_path, fewer, name="other")
    assert one.digest != other.digest
    assert digest_of_test(one) == digest_of_test(other)
    assert len(digest_of_test(one)) == 16


def test_another_pixel_label_order_or_class_gives_another_digest(
    tmp_path: Path, arrays: dict[str, Any]
) -> None:
    images, labels = arrays["x_test"], arrays["y_test"]
    pixel = images.copy()
    pixel[-1, 10, 10, 0] ^= 1
    label = labels.copy()
    label[[0, 1]] = label[[1, 0]]
    changed = (
        {},
        {"x_test": pixel},
        {"y_test": label},
        {"x_test": images[::-1], "y_test": labels[::-1]},
        {"x_test": images[:6], "y_test": labels[:6]},
    )
    digests = set()
    for number, change in enumerate(changed):
        digests.add(digest_of_test(prepared(tmp_path, arrays | change, name=f"set{number}")))
    renamed = replace(prepared(tmp_path, arrays), classes=("cat", "dog"))
    digests.add(digest_of_test(renamed))
    assert len(digests) == len(changed) + 1


def test_the_last_images_count_where_the_split_is_read_in_pieces(
    tmp_path: Path, arrays: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepared(tmp_path, arrays)
    whole = digest_of_test(data)
    monkeypatch.setattr(test_identity, "_CHUNK", 4)
    assert digest_of_test(data) == whole


def test_a_split_that_is_shut_stays_so(tmp_path: Path, arrays: dict[str, Any]) -> None:
    with pytest.raises(TestSplitShutError):
        digest_of_test(read(prepared(tmp_path, arrays).path))
