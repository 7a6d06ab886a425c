from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import trainables.feature_store
from tests.unit.trainables.test_feature_store import (
    SPECS,
    VIEW,
    Computation,
    activations,
    filled,
    folders,
    read,
)
from trainables.feature_store import ArraySpec, FeatureStore

DISK = 20_000  # bytes that the entries and free disk are together; half of it is the budget


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def usage(path: Path) -> SimpleNamespace:
        return SimpleNamespace(
            free=DISK - sum(file.stat().st_size for file in path.rglob("activations.npy"))
        )

    monkeypatch.setattr(shutil, "disk_usage", usage)
    return tmp_path / "prefix"


def of(folder: Path, sweep: str) -> FeatureStore:
    return FeatureStore(folder, sweep=sweep, share=0.5)


def sized(**sizes: int) -> dict[str, ArraySpec]:
    """Arrays whose files have these sizes."""
    return {cut: ArraySpec((1, size - 128), "|u1") for cut, size in sizes.items()}


def fill(
    store: FeatureStore, epoch: int, before: Callable[[], object] = lambda: None, **sizes: int
) -> str:
    arrays = sized(**sizes)

    def chunks(cuts: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        before()
        yield {cut: np.zeros(arrays[cut].shape, np.uint8) for cut in cuts}

    return store.fill({"epoch": epoch}, arrays, chunks, wait=False)


def there(store: FeatureStore, cut: str = "fc") -> list[int]:
    return [epoch for epoch in range(10) if not store.missing({"epoch": epoch}, [cut])]


def used(folder: Path, *epochs: int) -> None:
    """Set the time of each mark, in this order."""
    store = of(folder, "old")
    for time, epoch in enumerate(epochs, start=1):
        array = store.open({"epoch": epoch}, "fc")
        for mark in (Path(array.filename).parent / "sweeps").iterdir():  # type: ignore[attr-defined]
            os.utime(mark, (time, time))


def test_the_least_recently_used_entries_make_room(folder: Path) -> None:
    old, new = of(folder, "old"), of(folder, "new")
    for epoch in range(5):
        assert fill(old, epoch, fc=2000) == "filled"
    used(folder, 3, 1, 0, 4, 2)
    assert fill(new, 5, fc=1000) == "filled"
    assert there(new) == [0, 1, 2, 4, 5]
    assert fill(new, 6, fc=3500) == "filled"  # 1000 are left of the first
    assert there(new) == [2, 4, 5, 6]
    assert old.open({"epoch": 4}, "fc") is not None
    assert fill(new, 7, fc=2000) == "filled"
    assert there(new) == [4, 5, 6, 7]
    assert len(folders(new)) == 4


def test_the_last_of_several_sweeps_counts_and_an_entry_of_none_is_the_oldest(folder: Path) -> None:
    for epoch in range(5):
        assert fill(of(folder, "old"), epoch, fc=2000) == "filled"
    used(folder, 0, 1, 2, 3, 4)
    assert of(folder, "between").open({"epoch": 0}, "fc") is not None
    for mark in folder.glob("*/sweeps/old"):
        if mark.stat().st_mtime == 4:
            mark.unlink()
    for epoch, left in ((5, [0, 1, 2, 4, 5]), (6, [0, 2, 4, 5, 6])):
        assert fill(of(folder, "new"), epoch, fc=2000) == "filled"
        assert there(of(folder, "new")) == left


def test_what_this_sweep_made_or_read_is_never_evicted(folder: Path) -> None:
    old, new = of(folder, "old"), of(folder, "new")
    assert fill(old, 0, fc=2000) == fill(old, 1, fc=2000) == "filled"
    assert new.open({"epoch": 0}, "fc") is not None
    assert fill(new, 2, fc=6000) == "filled"
    assert there(new) == [0, 1, 2]
    assert fill(of(folder, "new"), 3, fc=2000) == "filled"
    assert fill(of(folder, "new"), 4, fc=2000) == "full"
    assert there(new) == [0, 2, 3]


def test_a_part_of_a_sweep_evicts_what_only_other_parts_of_it_used(folder: Path) -> None:
    search, first, second = of(folder, "night"), of(folder, "night@s0"), of(folder, "night@s1")
    for epoch in range(5):
        assert fill(search, epoch, fc=2000) == "filled"
    assert fill(search, 5, fc=2000) == "full"
    array = first.open({"epoch": 0}, "fc")
    assert array is not None
    for epoch in range(5, 9):
        assert fill(first, epoch, fc=2000) == "filled"
    assert there(first) == [0, 5, 6, 7, 8]
    assert fill(first, 9, fc=2000) == "full"
    assert fill(second, 9, fc=10_000) == "filled"
    assert there(second) == [9]
    np.testing.assert_array_equal(array, 0)  # who reads it keeps it


def test_of_several_cuts_the_smallest_are_written(folder: Path) -> None:
    store = of(folder, "new")
    assert fill(store, 0, layer3=9000, fc=1000, layer4=4000) == "full"
    assert store.missing({"epoch": 0}, ["layer3", "layer4", "fc"]) == ["layer3"]
    assert fill(store, 0, layer3=9000, fc=1000, layer4=4000) == "full"
    assert fill(store, 1, layer3=9000) == "full"
    assert len(folders(store)) == 2


def test_nothing_is_evicted_for_what_does_not_fit_anyway(folder: Path) -> None:
    assert fill(of(folder, "old"), 0, fc=3000) == "filled"
    assert fill(of(folder, "new"), 1, layer3=10_001) == "full"
    assert fill(of(folder, "new"), 1, layer3=10_001, fc=2000) == "full"
    assert there(of(folder, "new")) == [0, 1]


def test_a_whole_budget_can_be_used(folder: Path) -> None:
    assert fill(of(folder, "old"), 0, fc=10_000) == "filled"
    assert fill(of(folder, "new"), 1, fc=10_000) == "filled"
    assert there(of(folder, "new")) == [1]


def test_what_a_live_writer_has_reserved_is_taken(folder: Path) -> None:
    store, outcomes = of(folder, "new"), list[str]()

    def meanwhile() -> None:
        outcomes.append(fill(of(folder, "old"), 1, fc=5000))
        outcomes.append(fill(of(folder, "old"), 1, fc=4000))

    assert fill(store, 0, meanwhile, fc=6000) == "filled"
    assert outcomes == ["full", "filled"]
    assert there(store) == [0, 1]


def test_a_reader_keeps_an_evicted_array(folder: Path) -> None:
    old = of(folder, "old")
    assert fill(old, 0, fc=9000) == "filled"
    array = old.open({"epoch": 0}, "fc")
    assert fill(of(folder, "new"), 1, fc=9000) == "filled"
    assert old.open({"epoch": 0}, "fc") is None
    assert array is not None
    assert (array == 0).all()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_disk_that_fills_up_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, after: int
) -> None:
    writes: list[int] = []
    write = trainables.feature_store._File.write

    def full(self: Any, data: Any) -> None:
        writes.append(len(data))
        if len(writes) > after:
            raise OSError(number, os.strerror(number))
        write(self, data)

    store = FeatureStore(tmp_path / "prefix", sweep="night")
    with monkeypatch.context() as patch:
        patch.setattr(trainables.feature_store._File, "write", full)
        assert store.fill(VIEW, SPECS, Computation(), wait=False) == "full"
    assert folders(store) == []
    filled(store)


def test_a_disk_that_is_full_at_the_end_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = FeatureStore(tmp_path / "prefix", sweep="night")
    monkeypatch.setattr(os, "fsync", full)
    assert store.fill(VIEW, SPECS, Computation(), wait=False) == "full"
    assert folders(store) == []
    store.decide({"backbone": "resnet18"}, True)
    assert store.decision({"backbone": "resnet18"}) is None
    assert list((store._folder / "decisions").iterdir()) == []


def test_another_failure_of_the_disk_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    store = FeatureStore(tmp_path / "prefix", sweep="night")
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        store.fill(VIEW, SPECS, Computation(), wait=False)
    with pytest.raises(OSError, match="Input/output error"):
        store.decide({"backbone": "resnet18"}, True)
    assert folders(store) == []


@pytest.mark.parametrize(
    "failure",
    [RuntimeError("out of memory"), FileNotFoundError(2, "no image"), KeyboardInterrupt("Ctrl-C")],
)
def test_a_failed_computation_is_told_and_leaves_nothing(
    tmp_path: Path, failure: BaseException
) -> None:
    def fail() -> None:
        raise failure

    store = FeatureStore(tmp_path / "prefix", sweep="night")
    with pytest.raises(type(failure)) as told:
        store.fill(VIEW, SPECS, Computation(fail), wait=False)
    assert told.value is failure
    assert folders(store) == []
    filled(store)


@pytest.mark.parametrize(
    "spec",
    [
        ArraySpec((41, 6), "<u2"),
        ArraySpec((39, 6), "<u2"),
        ArraySpec((40, 5), "<u2"),
        ArraySpec((40, 6), "<i2"),
    ],
)
def test_rows_must_be_those_announced(tmp_path: Path, spec: ArraySpec) -> None:
    store = FeatureStore(tmp_path / "prefix", sweep="night")
    with pytest.raises(ValueError, match=r"Rows must be ArraySpec"):
        store.fill(VIEW, {"fc": spec}, Computation(), wait=False)
    assert folders(store) == []


def test_a_cache_deleted_while_it_is_written_is_no_crash(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "prefix", sweep="night")
    deleting = Computation(lambda: shutil.rmtree(store._folder, ignore_errors=True))
    assert store.fill(VIEW, SPECS, deleting, wait=False) == "full"
    assert store.open(VIEW, "fc") is None
    filled(store)


@pytest.mark.parametrize("step", ["_meta", "_mapped"])
@pytest.mark.parametrize("first", [True, False])
def test_an_entry_deleted_while_it_is_opened_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, first: bool
) -> None:
    store = FeatureStore(tmp_path / "prefix", sweep="night")
    real = getattr(trainables.feature_store, step)

    def deleted(path: Path) -> Any:
        found = None if first else real(path)
        shutil.rmtree(path)
        return real(path) if first else found

    filled(store)
    monkeypatch.setattr(trainables.feature_store, step, deleted)
    array = store.open(VIEW, "fc")
    assert (array is not None) == (step == "_mapped" and not first)
    assert array is None or (array == activations("fc")).all()


def test_two_that_write_one_view_after_its_lock_was_deleted_do_no_harm(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "prefix", sweep="night")

    def unlocked() -> None:
        shutil.rmtree(store._folder / "locks", ignore_errors=True)
        other = FeatureStore(store._folder, sweep="another")
        assert other.fill(VIEW, SPECS, Computation(), wait=False) == "filled"

    assert store.fill(VIEW, SPECS, Computation(unlocked), wait=False) == "full"
    assert all((read(store, cut) == activations(cut)).all() for cut in SPECS)
    assert len(folders(store)) == 3


def test_a_decision_is_remembered(tmp_path: Path) -> None:
    store, family = (
        FeatureStore(tmp_path / "prefix", sweep="night"),
        {"backbone": "resnet18", "size": 64},
    )
    assert store.decision(family) is None
    for keep in (True, False):
        store.decide(family, keep)
        assert (
            FeatureStore(tmp_path / "prefix", sweep="another").decision(
                dict(reversed(family.items()))
            )
            is keep
        )
    assert store.decision(family | {"size": 96}) is None
    (file,) = (store._folder / "decisions").iterdir()
    for damage in (b"", b"tru", b"1", b"\xff\xfe\xfd"):
        file.write_bytes(damage)
        assert store.decision(family) is None
    store.decide(family, True)
    assert store.decision(family) is True
