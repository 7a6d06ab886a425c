"""The digits to learn have a test part of their own, large enough for an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainables.data.dataset import Caps, Dataset, prepare, read
from trainables.data.digits import TESTED

CAPS = Caps(train=20, val=25, test=TESTED)


def drawn(cache: Path, seed: int, draw: int | None = None) -> Dataset:
    made = prepare("digits", image_size=32, caps=CAPS, seed=seed, cache=cache, draw=draw)
    return read(made.path, test=True)


def names(data: Dataset, split: Any) -> set[str]:
    return {image.tobytes().hex() for image in data.split(split).images}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_the_test_images_are_the_same_whatever_the_seed(cache: Path) -> None:
    first = drawn(cache, 0)
    assert set(first.counts["test"].values()) == {TESTED}
    for other in (drawn(cache, 1), drawn(cache, 0, 3)):
        assert names(other, "test") == names(first, "test")
        assert names(other, "train") != names(first, "train")
        assert not names(other, "test") & (names(other, "train") | names(other, "val"))


def test_draws_have_few_train_images_in_common(cache: Path) -> None:
    draws = [names(drawn(cache, 0, number), "train") for number in range(4)]
    shared = [len(a & b) for i, a in enumerate(draws) for b in draws[:i]]
    # A draw takes 20 of the 104 to 112 of a class.
    assert sum(shared) / len(shared) < 25


def test_the_owner_reads_where_each_split_comes_from(cache: Path) -> None:
    assert drawn(cache, 0).origins == {
        "train": "75% of 546 of scikit-learn's digits",
        "val": "25% of 546 of scikit-learn's digits, split off here",
        "test": "350 of scikit-learn's digits",
    }


def test_the_digits_of_the_source_model_are_not_parted(cache: Path) -> None:
    made = prepare("digits-source", image_size=32, caps=CAPS, seed=0, cache=cache)
    assert set(made.counts["test"].values()) <= {35, 36}
