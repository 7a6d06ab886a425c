from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.listing import Listing
from trainables.data.problems import DataError
from trainables.data.splits import EVERY, Caps, Choice, choose

ALL = Caps(train=10**6, val=10**6, test=10**6)


def listing(**counts: list[int]) -> Listing:
    """Classes a, b, c ... with so many images in each part, mixed."""
    labels = {
        part: np.random.default_rng(7).permutation(np.repeat(np.arange(len(n)), n))
        for part, n in counts.items()
    }
    classes = tuple("abcdefgh"[: len(counts["train"])])
    return Listing(classes=classes, labels=labels, places={part: f"set/{part}" for part in counts})  # type: ignore[arg-type, misc]


def test_a_flat_class_is_split_60_20_20_and_val_and_test_get_at_least_3() -> None:
    choice = choose(listing(train=[100, 9, 17]), caps=ALL, seed=0)
    assert choice.counts == {
        "train": {"a": 60, "b": 3, "c": 11},
        "val": {"a": 20, "b": 3, "c": 3},
        "test": {"a": 20, "b": 3, "c": 3},
    }


@pytest.mark.parametrize("other", ["val", "test"])
def test_with_one_other_part_that_is_test_and_val_is_split_from_train(other: str) -> None:
    choice = choose(listing(**{"train": [100, 6], other: [10, 3]}), caps=ALL, seed=0)
    assert choice.counts == {
        "train": {"a": 75, "b": 3},
        "val": {"a": 25, "b": 3},
        "test": {"a": 10, "b": 3},
    }
    assert set(choice.rows["test"]) == set(range(106, 119))


def test_three_parts_stay_as_they_are() -> None:
    choice = choose(listing(train=[5, 3], val=[4, 4], test=[3, 6]), caps=ALL, seed=0)
    assert [sorted(choice.rows[split]) for split in ("train", "val", "test")] == [
        list(range(8)),
        list(range(8, 16)),
        list(range(16, 25)),
    ]


PARTS = [
    {"train": [30, 9]},
    {"train": [30, 6], "val": [5, 9]},
    {"train": [30, 6], "test": [5, 9]},
    {"train": [9, 9], "val": [5, 5], "test": [9, 3]},
]


@pytest.mark.parametrize("parts", PARTS)
def test_splits_never_share_an_image_and_labels_belong_to_their_rows(
    parts: dict[str, list[int]],
) -> None:
    source = listing(**parts)
    labels = np.concatenate(list(source.labels.values()))
    for seed, cap in itertools.product(range(20), (1, 4, 10**6)):
        choice = choose(source, caps=Caps(train=cap, val=cap, test=cap), seed=seed)
        rows = np.concatenate(list(choice.rows.values()))
        assert len(set(rows.tolist())) == len(rows)
        for split, chosen in choice.rows.items():
            assert (choice.labels[split] == labels[chosen]).all()
            assert choice.counts[split] == dict(
                zip("ab", np.bincount(labels[chosen], minlength=2).tolist(), strict=True)
            )


@pytest.mark.parametrize("parts", PARTS)
def test_a_higher_cap_only_adds_images(parts: dict[str, list[int]]) -> None:
    for seed in range(5):
        before: Choice | None = None
        for cap in (1, 2, 5, 30):
            choice = choose(listing(**parts), caps=Caps(train=cap, val=cap, test=cap), seed=seed)
            if before is not None:
                assert all(
                    set(before.rows[split]) <= set(choice.rows[split]) for split in choice.rows
                )
            before = choice


ONE_CLASS_OF = st.integers(9, 60)
CAPS = st.builds(Caps, train=st.integers(1, 70), val=st.integers(1, 30), test=st.integers(1, 30))
PARTS_OF = st.sampled_from([("train",), ("train", "test"), ("train", "val")])


def held(parts: tuple[str, ...], size: int) -> int:
    """Images of a class that are kept back for val alone, whatever its cap."""
    return max(3, size // (5 if len(parts) == 1 else 4))


@settings(derandomize=True, deadline=None)
@given(PARTS_OF, ONE_CLASS_OF, CAPS, st.integers(0, 99))
def test_train_may_use_what_vals_cap_leaves_over_and_shares_no_image(
    parts: tuple[str, ...], size: int, caps: Caps, seed: int
) -> None:
    source = listing(**{part: [size, 9] for part in parts})
    choice = choose(source, caps=caps, seed=seed)
    tested = held(parts, size) if len(parts) == 1 else 0
    val = min(caps.val, held(parts, size))
    assert choice.counts["val"]["a"] == val
    assert choice.counts["train"]["a"] == min(caps.train, size - tested - val)
    rows = np.concatenate(list(choice.rows.values()))
    assert len(np.unique(rows)) == len(rows)


@settings(derandomize=True, deadline=None)
@given(PARTS_OF, ONE_CLASS_OF, CAPS, st.integers(0, 99))
def test_until_train_needs_them_what_is_kept_back_for_val_changes_nothing(
    parts: tuple[str, ...], size: int, caps: Caps, seed: int
) -> None:
    """The order of train's rows decides the data's digest: it is as if all that is kept back were val's."""
    source = listing(**{part: [size, size] for part in parts})
    caps = replace(
        caps, train=min(caps.train, size - held(parts, size) * (2 if len(parts) == 1 else 1))
    )
    one, whole = (
        choose(source, caps=caps, seed=seed),
        choose(source, caps=replace(caps, val=10**6), seed=seed),
    )
    assert (one.rows["train"] == whole.rows["train"]).all()
    assert (one.rows["test"] == whole.rows["test"]).all()


@settings(derandomize=True, deadline=None)
@given(PARTS_OF, ONE_CLASS_OF, CAPS, st.integers(0, 30), st.integers(0, 20))
def test_a_higher_cap_of_one_split_only_adds_to_it_and_vals_takes_none_from_train_while_there_are_others(
    parts: tuple[str, ...], size: int, caps: Caps, more_train: int, more_val: int
) -> None:
    source = listing(**{part: [size, size] for part in parts})
    before = choose(source, caps=caps, seed=3)
    larger = choose(source, caps=replace(caps, train=caps.train + more_train), seed=3)
    assert set(before.rows["train"]) <= set(larger.rows["train"])
    assert set(before.rows["val"]) == set(larger.rows["val"])
    judged = choose(source, caps=replace(caps, val=caps.val + more_val), seed=3)
    assert set(before.rows["val"]) <= set(judged.rows["val"])
    if judged.counts["train"] == before.counts["train"]:
        assert set(before.rows["train"]) == set(judged.rows["train"])


def test_all_of_cifar10_gives_4500_train_and_500_val_a_class() -> None:
    source = listing(train=[5000, 5000], test=[1000, 1000])
    choice = choose(source, caps=Caps(train=4500, val=500, test=1000), seed=0)
    assert choice.counts == {
        "train": {"a": 4500, "b": 4500},
        "val": {"a": 500, "b": 500},
        "test": {"a": 1000, "b": 1000},
    }
    assert choice.notes == ()


def test_a_split_depends_on_the_seed_and_on_the_class_name_alone() -> None:
    one, same, other = (choose(listing(train=[40, 40]), caps=ALL, seed=seed) for seed in (1, 1, 2))
    assert all((one.rows[split] == same.rows[split]).all() for split in one.rows)
    assert set(one.rows["test"]) != set(other.rows["test"])
    more = choose(
        listing(train=[40, 40, 40]), caps=ALL, seed=1
    )  # the rows differ, the choice within a class does not
    ranks = [np.searchsorted(np.flatnonzero(np.asarray(source.labels["train"]) == 0), choice.rows["test"][:8])
             for source, choice in ((listing(train=[40, 40]), one), (listing(train=[40, 40, 40]), more))]  # fmt: skip
    assert (ranks[0] == ranks[1]).all()


def test_train_is_stored_with_its_classes_interleaved() -> None:
    labels = choose(listing(train=[100, 100]), caps=ALL, seed=0).labels["train"]
    assert 15 < labels[:60].sum() < 45


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"train": [20, 8]},
            ["at least 9 images in set/train to be split into train, val and test, but 'b' has 8"],
        ),
        (
            {"train": [5, 20], "val": [3, 2]},
            ["at least 6 images in set/train", "at least 3 images in set/val, but 'b' has 2"],
        ),
        (
            {"train": [3, 3], "val": [3, 0], "test": [3, 3]},
            ["at least 3 images in set/val, but 'b' has 0"],
        ),
        ({"train": [30]}, ["at least 2 classes, but set/train has only 'a'"]),
    ],
)
def test_a_class_with_too_few_images_is_refused(
    parts: dict[str, list[int]], said: list[str]
) -> None:
    with pytest.raises(DataError) as refused:
        choose(listing(**parts), caps=ALL, seed=0)
    assert len(refused.value.problems) == len(said)
    assert all(words in line for words, line in zip(said, refused.value.problems, strict=True))


def test_classes_short_of_the_cap_are_one_line_a_split() -> None:
    one = choose(listing(train=[95, 200]), caps=Caps(train=100, val=19, test=10), seed=0)
    assert one.notes == ("class 'a' has 57 train images, fewer than 100",)
    many = choose(listing(train=[95, 90, 500]), caps=Caps(train=100, val=18, test=18), seed=0)
    assert many.notes == ("2 of 3 classes have fewer than 100 train images (54 to 58)",)


def test_no_class_is_short_of_a_cap_that_asks_for_every_image() -> None:
    assert (
        choose(listing(train=[95, 200]), caps=Caps(train=EVERY, val=10, test=EVERY), seed=0).notes
        == ()
    )
    (note,) = choose(
        listing(train=[95, 200]), caps=Caps(train=EVERY - 1, val=10, test=EVERY), seed=0
    ).notes
    assert note.startswith("all 2 classes have fewer than 999999 train images")


@pytest.mark.parametrize("cap", [0, -1, 1.5, True])
def test_a_cap_is_a_whole_number_of_at_least_one(cap: int) -> None:
    with pytest.raises(ValueError, match="caps: val must be a whole number of at least 1"):
        Caps(train=1, val=cap, test=1)
