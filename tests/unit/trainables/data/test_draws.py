"""A draw has train and val of its own, beside the test split that all draws share."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from trainables.data.dataset import Caps, DataError, Dataset, Split, prepare, present, read
from trainables.data.decode import Files
from trainables.data.entry import TEST_ROWS
from trainables.data.listing import SPLITS, Listing
from trainables.data.splits import Choice, Draw, choose
from trainables.randomness import named_seed

ALL = Caps(train=10**6, val=10**6, test=10**6)
FEW = Caps(train=4, val=3, test=3)


def arrays(path: Path, **numbers: int) -> Path:
    """Two classes with so many images in each part, all of them different."""
    content: dict[str, Any] = {}
    for part, number in numbers.items():
        rng = np.random.default_rng(named_seed(0, part))
        content[f"x_{part}"] = rng.integers(0, 256, (2 * number, 12, 12, 3), np.uint8)
        content[f"y_{part}"] = np.arange(2 * number) % 2
    np.savez(path, **content)
    return path


def ready(data: Path | str, cache: Path, draw: int | None, caps: Caps = FEW) -> Dataset:
    made = prepare(str(data), image_size=16, caps=caps, seed=0, cache=cache, draw=draw)
    return read(made.path, test=True)


def images(data: Dataset, split: Any) -> list[bytes]:
    return [image.tobytes() for image in data.split(split).images]


def parts(data: Dataset) -> list[set[bytes]]:
    return [set(images(data, split)) for split in SPLITS]


def digest_of(names: list[str], splits: dict[Any, Split]) -> str:
    digest = hashlib.sha256(json.dumps(names).encode())
    for split, content in splits.items():
        digest.update(f"{split} {len(content.labels)} {content.images.shape[1]}".encode())
        digest.update(content.labels.astype(np.int64).tobytes())
        digest.update(content.images.tobytes())
    return digest.hexdigest()[:16]


def reference(caps: Caps, seed: int) -> str:
    """The digest of a flat set as this project has always split and stored it."""
    scans = load_digits()
    names = ["5", "6", "7", "8", "9"]
    rows: dict[str, list[Any]] = {split: [] for split in SPLITS}
    for name in names:
        shuffled = np.random.default_rng(named_seed(seed, "split", name)).permutation(
            np.flatnonzero(scans.target == int(name))
        )
        fifth = len(shuffled) // 5
        rows["test"] += [*shuffled[:fifth][: caps.test]]
        rows["val"] += [*shuffled[fifth : 2 * fifth][: caps.val]]
        rest = [*shuffled[2 * fifth :], *shuffled[fifth : 2 * fifth][caps.val :][::-1]]
        rows["train"] += rest[: caps.train]
    order = np.random.default_rng(named_seed(seed, "stored order"))
    rows["train"] = [rows["train"][at] for at in order.permutation(len(rows["train"]))]

    splits = {}
    for split in SPLITS:
        greys = np.rint(scans.images[rows[split]] * (255 / 16)).astype(np.uint8)
        splits[split] = Split(np.repeat(greys[..., None], 3, axis=3), scans.target[rows[split]] - 5)
    return digest_of(names, splits)


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("caps", [Caps(train=20, val=10, test=10), ALL])
def test_without_a_draw_all_is_as_it_always_was(caps: Caps, seed: int, tmp_path: Path) -> None:
    scans = load_digits()
    flat = scans.target >= 5
    greys = np.rint(scans.images[flat] * (255 / 16)).astype(np.uint8)
    np.savez(tmp_path / "flat.npz", x_train=greys, y_train=scans.target[flat])
    data = prepare(str(tmp_path / "flat.npz"), image_size=32, caps=caps, seed=seed, cache=tmp_path)
    assert data.digest == reference(caps, seed)
    assert data.draw is None


@pytest.mark.parametrize(
    "numbers", [{"train": 40}, {"train": 30, "test": 9}, {"train": 20, "val": 9, "test": 9}]
)
def test_draws_share_their_test_split_and_nothing_else_where_there_are_images_enough(
    numbers: dict[str, int], tmp_path: Path
) -> None:
    source = arrays(tmp_path / "set.npz", **numbers)
    base = ready(source, tmp_path / "cache", None)
    draws = [ready(source, tmp_path / "cache", number) for number in range(3)]
    assert [data.draw for data in draws] == [0, 1, 2]
    assert len({data.digest for data in (base, *draws)}) == 4
    for data in draws:
        assert images(data, "test") == images(base, "test")
        assert data.names("test") == base.names("test")
        assert data.counts == base.counts
        assert data.digest == digest_of(["0", "1"], {split: data.split(split) for split in SPLITS})
        train, val, test = parts(data)
        assert not train & val and not (train | val) & test  # noqa: PT018
    for split in ("train", "val"):
        assert len({frozenset(images(data, split)) for data in (base, *draws)}) == 4


def test_a_draw_is_the_same_whenever_and_wherever_it_is_made(tmp_path: Path) -> None:
    source = arrays(tmp_path / "set.npz", train=40)
    first = ready(source, tmp_path / "cache", 7)
    ready(source, tmp_path / "elsewhere", 2)
    assert ready(source, tmp_path / "cache", 7) == first
    assert ready(source, tmp_path / "elsewhere", 7).digest == first.digest
    assert read(first.path, test=True) == first


def test_the_files_of_the_test_split_are_shared_or_copied_where_the_disk_has_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = arrays(tmp_path / "set.npz", train=40)
    base = ready(source, tmp_path / "cache", None)
    linked = ready(source, tmp_path / "cache", 0)

    def refused(*_: object, **__: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    copied = ready(source, tmp_path / "cache", 1)
    files = [path.name for path in base.path.glob("test_*")]
    assert TEST_ROWS in files
    for name in files:
        assert (linked.path / name).samefile(base.path / name)
        assert not (copied.path / name).samefile(base.path / name)
        assert (copied.path / name).read_bytes() == (base.path / name).read_bytes()


def test_a_draw_outlives_its_base_and_is_found_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = arrays(tmp_path / "set.npz", train=40)
    base = ready(source, tmp_path / "cache", None)
    data = ready(source, tmp_path / "cache", 0)
    shutil.rmtree(base.path)
    assert present(data.path)
    assert len(images(data, "test")) == 6
    assert ready(source, tmp_path / "cache", 0) == data
    assert not present(base.path)
    # Damaged, it is made again, and so is what it is made from.
    (data.path / "train_images.npy").unlink()
    assert ready(source, tmp_path / "cache", 0) == data
    assert present(base.path)


def test_an_entry_of_an_older_version_is_made_again(tmp_path: Path) -> None:
    source = arrays(tmp_path / "set.npz", train=40)
    base = ready(source, tmp_path / "cache", None)
    meta = json.loads((base.path / "meta.json").read_text())
    del meta["draw"]
    del meta["files"][TEST_ROWS]
    (base.path / TEST_ROWS).unlink()
    (base.path / "meta.json").write_text(json.dumps(meta | {"format": 3}))
    assert images(ready(source, tmp_path / "cache", 0), "test") == images(base, "test")


def test_a_small_flat_set_is_split_anew_beside_its_test_split(tmp_path: Path) -> None:
    source = arrays(tmp_path / "set.npz", train=20)
    base = ready(source, tmp_path / "cache", None, ALL)
    draws = [ready(source, tmp_path / "cache", number, ALL) for number in range(4)]
    rest = parts(base)[0] | parts(base)[1]
    for data in draws:
        train, val, test = parts(data)
        assert train | val == rest
        assert test == parts(base)[2]
        assert data.counts == base.counts
    assert len({frozenset(images(data, "val")) for data in draws}) == 4


def test_what_test_does_not_use_is_drawn_from_a_flat_set_and_never_from_a_given_test(
    tmp_path: Path,
) -> None:
    seen: dict[str, set[str]] = {}
    for name, numbers in (("flat", {"train": 20}), ("given", {"train": 20, "test": 9})):
        source = arrays(tmp_path / f"{name}.npz", **numbers)
        draws = [ready(source, tmp_path / "cache", number) for number in range(12)]
        seen[name] = {
            image for data in draws for image in (*data.names("train"), *data.names("val"))
        }
    assert len(seen["flat"]) == 40 - 6
    assert len(seen["given"]) == 40
    assert all(image.startswith("x_train") for image in seen["given"])


def test_three_given_parts_stay_what_they_are(tmp_path: Path) -> None:
    source = arrays(tmp_path / "set.npz", train=12, val=9, test=5)
    for caps in (FEW, ALL):
        draws = [ready(source, tmp_path / "cache", number, caps) for number in range(3)]
        for split in SPLITS:
            names = [data.names(split) for data in draws]
            assert all(name.startswith(f"x_{split}[") for name in names[0])
            assert len(set(names)) == (1 if split == "test" else 3)


def test_images_are_stored_as_large_as_those_of_the_base(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("train/ant", "train/bee", "test/ant", "test/bee"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(15):
            height = 5 + number if "train" in name else 5
            pixels = rng.integers(0, 256, (height, 19, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{number}.png")
    data = [ready(tmp_path / "set", tmp_path / "cache", draw) for draw in (None, *range(6))]
    largest = [np.load(one.path / "train_sizes.npy")[:, 0].max() for one in data]
    assert len(set(largest)) > 1, "draws have other sizes than the base, and must not show it"
    for one in data:
        for split in SPLITS:
            assert one.split(split).images.shape[1:] == data[0].split("test").images.shape[1:]


def picture(number: int) -> Any:
    """A smooth picture that no other number has, uint8 [40, 40, 3]."""
    coarse = np.random.default_rng(number).integers(0, 256, (5, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC))


def test_a_copy_of_a_test_image_is_in_no_draw(tmp_path: Path) -> None:
    # Half of train are copies of test images, some of them brighter.
    copied = [picture(number) for number in range(6)]
    brighter = [np.minimum(image.astype(int) + 9, 255).astype(np.uint8) for image in copied]
    own = [picture(number) for number in range(100, 112)]
    labels = np.arange(24) % 2
    np.savez(
        tmp_path / "set.npz",
        x_train=np.stack([*copied, *brighter, *own]),
        y_train=labels,
        x_test=np.stack(copied),
        y_test=np.arange(6) % 2,
    )
    caps = Caps(train=2, val=1, test=3)
    base = ready(tmp_path / "set.npz", tmp_path / "cache", None, caps)
    taken = set()
    for number in range(8):
        data = ready(tmp_path / "set.npz", tmp_path / "cache", number, caps)
        assert images(data, "test") == images(base, "test")
        assert data.counts == base.counts
        drawn = {*data.names("train"), *data.names("val")}
        assert drawn <= {f"x_train[{row}]" for row in range(12, 24)}
        taken |= drawn
        assert "copies of test images" in data.cautions[0]
    assert len(taken) > 6


def test_a_draw_of_nothing_but_copies_takes_others_instead(tmp_path: Path) -> None:
    # Of 12 train images a class 9 are copies of the three in test: some draw begins with three.
    copied = [picture(number) for number in range(6)]
    own = [picture(number) for number in range(100, 106)]
    source = tmp_path / "set.npz"
    y_train = np.arange(24) % 2
    y_test = np.arange(6) % 2
    x_train = np.stack([*copied, *copied, *copied, *own])
    np.savez(source, x_train=x_train, y_train=y_train, x_test=np.stack(copied), y_test=y_test)
    caps = Caps(train=2, val=1, test=3)
    base = ready(source, tmp_path / "cache", None, caps)
    listing = Listing(
        classes=("0", "1"),
        labels={"train": y_train, "test": y_test},
        places={"train": "x", "test": "x"},
    )
    test = np.load(base.path / TEST_ROWS)
    for number in range(500):
        choice = choose(listing, caps=caps, seed=0, draw=Draw(number=number, test=test))
        rows = np.concatenate([choice.rows["train"], choice.rows["val"]])
        if set(rows % 6) == set(range(6)) and rows.max() < 18:
            break
    else:
        pytest.fail("no draw begins with a copy of each test image")
    data = ready(source, tmp_path / "cache", number, caps)
    assert {*data.names("train"), *data.names("val")} == {f"x_train[{at}]" for at in range(18, 24)}


def listed(groups: Any = None, **sizes: list[int]) -> Listing:
    """Parts with so many images of each class, in the order of the classes."""
    labels = {part: np.repeat(np.arange(len(counts)), counts) for part, counts in sizes.items()}
    names = tuple("abcdefgh"[: len(sizes["train"])])
    return Listing(
        classes=names, labels=labels, places={part: part for part in sizes}, groups=groups
    )  # type: ignore[arg-type, misc]


def drawn(listing: Listing, number: int, caps: Caps = ALL) -> Choice:
    base = choose(listing, caps=caps, seed=0, groups=listing.groups)
    draw = Draw(number=number, test=base.rows["test"])
    return choose(listing, caps=caps, seed=0, groups=listing.groups, draw=draw)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(9, 30), min_size=2, max_size=3),
    number=st.integers(3, 25),
    alone=st.sampled_from([0.0, 0.3, 0.9]),
    caps=st.builds(Caps, train=st.integers(1, 20), val=st.integers(1, 9), test=st.integers(1, 9)),
)
def test_no_draw_parts_a_group_or_touches_test(
    seed: int, sizes: list[int], number: int, alone: float, caps: Caps
) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, number, sum(sizes))
    singles = rng.random(len(groups)) < alone
    groups[singles] = number + np.flatnonzero(singles)
    listing = listed(groups, train=sizes)
    labels = listing.labels["train"]
    with suppress(DataError):  # a class of too few groups
        base = choose(listing, caps=caps, seed=seed, groups=groups)
        for at in range(3):
            draw = Draw(number=at, test=base.rows["test"])
            choice = choose(listing, caps=caps, seed=seed, groups=groups, draw=draw)
            assert np.array_equal(choice.rows["test"], base.rows["test"])
            train, val, test = (set(groups[choice.rows[split]].tolist()) for split in SPLITS)
            assert not train & val and not (train | val) & test  # noqa: PT018
            rows = np.concatenate([choice.rows[split] for split in SPLITS])
            assert len(set(rows.tolist())) == len(rows)
            for split in SPLITS:
                assert np.array_equal(choice.labels[split], labels[choice.rows[split]])
                counts = np.bincount(choice.labels[split], minlength=len(sizes))
                assert [*choice.counts[split].values()] == counts.tolist()
                assert counts.max() <= caps.of(split)
                assert counts.min() >= min(3, caps.of(split))


@pytest.mark.parametrize("sizes", [{"train": [60, 33]}, {"train": [30, 20], "test": [9, 9]}])
def test_a_higher_cap_only_adds_images_to_a_draw(sizes: dict[str, list[int]]) -> None:
    listing = listed(**sizes)
    for number in range(5):
        before = drawn(listing, number, Caps(train=4, val=3, test=5))
        after = drawn(listing, number, Caps(train=9, val=3, test=5))
        assert set(before.rows["train"]) < set(after.rows["train"])
        assert np.array_equal(before.rows["val"], after.rows["val"])
        judged = drawn(listing, number, Caps(train=4, val=6, test=5))
        assert set(before.rows["val"]) < set(judged.rows["val"])
        assert np.array_equal(before.rows["train"], judged.rows["train"])


@pytest.mark.parametrize("caps", [ALL, FEW])
def test_where_each_image_is_alone_groups_change_no_draw(caps: Caps) -> None:
    plain = drawn(listed(train=[20, 33]), 1, caps)
    alone = drawn(listed(np.arange(53), train=[20, 33]), 1, caps)
    assert all(np.array_equal(plain.rows[split], alone.rows[split]) for split in SPLITS)


def test_groups_of_different_sizes_are_drawn_too_and_near_their_shares() -> None:
    # Handed out by their exact size, they would all go the same way in each draw.
    sizes = np.concatenate([np.arange(5, 65, 4), np.arange(7, 65, 4)])
    groups = np.repeat(np.arange(30), sizes)
    listing = listed(groups, train=[495, 525])
    draws = [drawn(listing, number) for number in range(8)]
    assert len({frozenset(groups[choice.rows["val"]].tolist()) for choice in draws}) == 8
    for choice in draws:
        assert [*choice.counts["val"].values()] == pytest.approx([99, 105], abs=8)


def test_a_draw_that_groups_leave_too_small_is_refused_by_its_number() -> None:
    # All of b that is not in test belongs to one group of it, but for 4 images.
    groups = np.arange(40)
    groups[20:36] = 99
    listing = listed(groups, train=[20, 20])
    test = np.array([0, 1, 2, 20, 21, 22])
    with pytest.raises(DataError) as refused:
        choose(listing, caps=ALL, seed=0, groups=groups, draw=Draw(number=4, test=test))
    assert refused.value.problems == (
        "A class needs 3 images in each split, but once groups are kept on one side, in draw 4, "
        "'b' has 1 in train: add other images, or use --group with smaller groups, or leave it "
        "out.",
    )


def test_a_draw_that_is_there_decodes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ant", "bee"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(12):
            file = tmp_path / "set" / name / f"{number}.png"
            Image.fromarray(picture(named_seed(number, name))).save(file)
    data = ready(tmp_path / "set", tmp_path / "cache", 0)
    monkeypatch.setattr(Files, "squares", lambda *_: pytest.fail("it decoded an image"))
    assert ready(tmp_path / "set", tmp_path / "cache", 0) == data
