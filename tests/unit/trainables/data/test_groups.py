"""Groups stay whole: no split shares one with another, and classes keep near their shares."""

from __future__ import annotations

import itertools
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.listing import SPLITS, Listing
from trainables.data.problems import DataError
from trainables.data.splits import Caps, Choice, choose

ALL = Caps(train=10**6, val=10**6, test=10**6)


def listing(**parts: list[int]) -> Listing:
    """Parts with so many images of each class, in the order of the classes."""
    labels = {part: np.repeat(np.arange(len(counts)), counts) for part, counts in parts.items()}
    names = tuple("abcdefgh"[: len(next(iter(parts.values())))])
    return Listing(classes=names, labels=labels, places={part: part for part in parts})  # type: ignore[arg-type]


def shared(choice: Choice, groups: np.ndarray) -> list[int]:
    """Groups that two splits have."""
    seen = [set(groups[choice.rows[split]].tolist()) for split in SPLITS]
    return sorted((seen[0] & seen[1]) | (seen[0] & seen[2]) | (seen[1] & seen[2]))


@pytest.mark.parametrize(
    "parts",
    [
        {"train": [20, 33]},
        {"train": [20, 33], "test": [5, 6]},
        {"train": [9, 9], "val": [3, 3], "test": [4, 4]},
    ],
)
@pytest.mark.parametrize("caps", [ALL, Caps(train=5, val=3, test=3)])
def test_where_each_image_is_alone_groups_change_nothing(
    parts: dict[str, list[int]], caps: Caps
) -> None:
    data = listing(**parts)
    alone = np.arange(sum(map(sum, parts.values())))
    plain, grouped = (choose(data, caps=caps, seed=3, groups=groups) for groups in (None, alone))
    assert all(np.array_equal(plain.rows[split], grouped.rows[split]) for split in SPLITS)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 30), st.sampled_from([1, 2, 3]))
def test_no_group_is_in_two_splits(seed: int, number: int, given_parts: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = {"train": [60, 40, 25], "test": [12, 9, 8], "val": [9, 9, 9]}
    data = listing(**{part: sizes[part] for part in list(sizes)[:given_parts]})
    groups = rng.integers(0, number, sum(map(len, data.labels.values())))
    alone = rng.random(len(groups)) < 0.5
    groups[alone] = number + np.flatnonzero(alone)
    for caps in (ALL, Caps(train=7, val=5, test=5)):
        with suppress(DataError):  # a class of too few groups
            choice = choose(data, caps=caps, seed=seed, groups=groups)
            assert shared(choice, groups) == []
            rows = np.concatenate([choice.rows[split] for split in SPLITS])
            assert len(set(rows.tolist())) == len(rows)


def test_patients_of_equal_size_are_split_near_60_20_20() -> None:
    data = listing(train=[300, 300])
    groups = np.arange(600) // 6
    choice = choose(data, caps=ALL, seed=0, groups=groups)
    assert shared(choice, groups) == []
    for name in "ab":
        found = [choice.counts[split][name] for split in SPLITS]
        assert sum(found) == 300
        assert found == pytest.approx([180, 60, 60], abs=6)


def test_a_giant_group_goes_to_train_and_a_class_of_two_groups_is_refused() -> None:
    data = listing(train=[60, 60])
    giant = np.where(np.arange(120) < 36, 0, np.arange(120))
    choice = choose(data, caps=ALL, seed=1, groups=giant)
    assert 0 in giant[choice.rows["train"]]
    assert min(choice.counts[split]["a"] for split in SPLITS) >= 3
    with pytest.raises(DataError, match="once copies are kept on one side 'a' has 0 in val"):
        choose(
            data,
            caps=ALL,
            seed=1,
            groups=np.where(np.arange(120) < 60, np.arange(120) // 30, np.arange(120)),
        )


def test_of_given_parts_test_keeps_its_images_and_the_others_lose_those_of_its_groups() -> None:
    data = listing(train=[12, 12], val=[6, 6], test=[5, 5])
    groups = np.arange(46)
    groups[[0, 24, 36]] = 99  # one of train, val and test
    groups[[1, 25]] = 98  # one of train and val
    choice = choose(data, caps=ALL, seed=0, groups=groups)
    kept = {split: set(choice.rows[split].tolist()) for split in SPLITS}
    assert kept["test"] == set(range(36, 46))
    assert kept["val"] == set(range(24, 36)) - {24}
    assert kept["train"] == set(range(24)) - {0, 1}


@pytest.mark.parametrize(("patients", "shots"), [(9, 2), (18, 2), (5, 3), (6, 5), (12, 1)])
@pytest.mark.parametrize("given_parts", [1, 2])
def test_a_class_that_has_groups_enough_for_all_splits_is_not_refused(
    patients: int, shots: int, given_parts: int
) -> None:
    sizes = {"train": [patients * shots, patients * shots], "test": [6, 6]}
    data = listing(**{part: sizes[part] for part in list(sizes)[:given_parts]})
    groups = np.arange(sum(map(len, data.labels.values()))) // shots
    for seed in range(10):
        choice = choose(data, caps=ALL, seed=seed, groups=groups)
        assert shared(choice, groups) == []
        assert min(min(choice.counts[split].values()) for split in SPLITS) >= 3


@pytest.mark.parametrize("seed", range(185, 195))  # 191 needs two groups to change places
def test_patients_with_images_of_two_classes_are_parted_wherever_that_can_be(seed: int) -> None:
    data = listing(train=[14, 14])
    groups = np.random.default_rng(seed).integers(0, 8, 28)
    sizes = np.array([np.bincount(groups[start : start + 14], minlength=8) for start in (0, 14)])
    parted = np.array(list(itertools.product(range(3), repeat=8)))  # [3^8, groups]
    can = np.all([(parted == split) @ sizes.T >= 3 for split in range(3)], (0, 2)).any()
    if can:
        choice = choose(data, caps=ALL, seed=0, groups=groups)
        assert shared(choice, groups) == []
    else:
        with pytest.raises(DataError, match="once copies are kept on one side"):
            choose(data, caps=ALL, seed=0, groups=groups)
